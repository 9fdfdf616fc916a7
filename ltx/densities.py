"""Densities: how one density is shared out among the layers, in exact counts."""

from collections.abc import Callable, Mapping, Sequence

from ltx.weight import Weight

Rule = Callable[[Weight], float]


def uniform(weight: Weight) -> float:
    """Every layer as dense as any other."""
    return 1.0


def erk(weight: Weight) -> float:
    """Erdos-Renyi-Kernel: the sum of a kernel's dimensions over their product.

    Reference: Evci et al., Rigging the Lottery, https://arxiv.org/abs/1911.11134
    """
    return sum(weight.shape) / weight.size


RULES: Mapping[str, Rule] = {"layer": uniform, "erk": erk}


def counts(weights: Sequence[Weight], density: float, rule: Rule) -> dict[str, int]:
    """How many weights each tensor keeps: exactly round(density * all), as near the rule as can be.

    A layer that the rule would fill beyond its size stays dense, and the others share the rest.
    """
    total = round(density * sum(weight.size for weight in weights))
    dense: set[str] = set()
    while True:
        rest = [weight for weight in weights if weight.name not in dense]
        left = total - sum(weight.size for weight in weights if weight.name in dense)
        ideal = sum(rule(weight) * weight.size for weight in rest)
        scale = left / ideal if rest else 0.0
        full = {weight.name for weight in rest if scale * rule(weight) > 1}
        if not full:
            break
        dense |= full
    shares = {weight.name: scale * rule(weight) * weight.size for weight in rest}
    return {
        **{weight.name: weight.size for weight in weights},
        **_rounded(shares, left),
    }


def _rounded(shares: Mapping[str, float], total: int) -> dict[str, int]:
    """Whole numbers of that total, each the share rounded down or up: largest remainders first."""
    floors = {name: int(share + 1e-9) for name, share in shares.items()}
    missing = total - sum(floors.values())
    by_remainder = sorted(shares, key=lambda name: floors[name] - shares[name])
    return {name: floor + (name in by_remainder[:missing]) for name, floor in floors.items()}
