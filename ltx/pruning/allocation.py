"""Allocation of one density among the layers, in exact counts."""

from collections.abc import Callable, Mapping

from ltx.core.prunable import Weight

# What a layer's density is proportional to, given its weight, its number from 1, and their number.
Rule = Callable[[Weight, int, int], float]


def uniform(weight: Weight, number: int, layers: int) -> float:
    """The same density in every layer."""
    return 1.0


def erk(weight: Weight, number: int, layers: int) -> float:
    """Erdos-Renyi-Kernel: the sum of a kernel's dimensions over their product.

    Reference: Evci et al., Rigging the Lottery, https://arxiv.org/abs/1911.11134
    """
    return sum(weight.shape) / weight.size


def smart(weight: Weight, number: int, layers: int) -> float:
    """Smart ratios: with k layers from this one to the last, both counted, k squared plus k.

    The layer that makes the logits has density 0.3 instead. This is the paper's rule for ResNets;
    for VGG it also divides by the square of the layer's number.

    Reference: Su et al., Sanity-Checking Pruning Methods: Random Tickets can Win the Jackpot,
    https://arxiv.org/abs/2009.11094
    """
    left = layers - number + 1
    return float(left * left + left)


RULES: Mapping[str, Rule] = {"layer": uniform, "erk": erk, "smart": smart}

# The density of the layer that makes the logits, in scopes that fix it.
OUTPUT: Mapping[str, float] = {"smart": 0.3}


def allocate(
    weights: Mapping[str, Weight],
    density: float,
    scope: str,
    sizes: Mapping[str, int] | None = None,
    least: int = 0,
) -> dict[str, int]:
    """How many units each layer keeps: round(density * all) in total, as near the rule as possible.

    The units are weights, or `sizes` of them per layer. A layer that the rule would fill beyond
    its size stays dense, one that it would leave fewer than `least` keeps `least`, and the others
    share the rest.
    """
    rule, output = RULES[scope], OUTPUT.get(scope)
    sizes = sizes or {name: weight.size for name, weight in weights.items()}
    ratios = {
        name: rule(weight, number, len(weights))
        for number, (name, weight) in enumerate(weights.items(), 1)
    }
    total = round(density * sum(sizes.values()))
    fixed: dict[str, int] = {}
    if output is not None:
        fixed = {n: round(output * sizes[n]) for n, w in weights.items() if w.is_output}
        others = sum(size for name, size in sizes.items() if name not in fixed)
        if not 0 < total - sum(fixed.values()) <= others:
            fixed = {}  # nothing is left to allocate, or more than the others can hold
    while True:
        rest = [name for name in sizes if name not in fixed]
        left = total - sum(fixed.values())
        ideal = sum(ratios[name] * sizes[name] for name in rest)
        scale = left / ideal if rest else 0.0
        shares = {name: scale * ratios[name] * sizes[name] for name in rest}
        full = {name: sizes[name] for name in rest if scale * ratios[name] > 1}
        few = {name: least for name in rest if shares[name] < least <= sizes[name]}
        if not full and not few:
            break
        # One kind at a time: fixing one changes which layers are of the other.
        fixed |= full or few
    kept = {**fixed, **_rounded(shares, left)}
    return {name: kept[name] for name in sizes}


def _rounded(shares: Mapping[str, float], total: int) -> dict[str, int]:
    """The shares rounded to whole numbers of that total, up for the largest remainders."""
    floors = {name: int(share + 1e-9) for name, share in shares.items()}
    missing = total - sum(floors.values())
    by_remainder = sorted(shares, key=lambda name: floors[name] - shares[name])
    return {name: floor + (name in by_remainder[:missing]) for name, floor in floors.items()}
