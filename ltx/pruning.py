"""Pruning: how many of the surviving weights go, and from where, in exact counts."""

import dataclasses
import fnmatch
from collections.abc import Iterator, Mapping, Sequence
from typing import Protocol

import numpy as np

from ltx import densities
from ltx.channels import Channels
from ltx.checks import check_choice
from ltx.errors import UsageError, unknown
from ltx.mask import Mask
from ltx.weight import Weight

SCOPES = ("layer", "global", "erk")


class Prunable(Protocol):
    """What pruning asks of a lab."""

    @property
    def prunable(self) -> tuple[Weight, ...]: ...

    @property
    def channels(self) -> tuple[Channels, ...]: ...


@dataclasses.dataclass(frozen=True)
class Pruning:
    """One round of pruning: `rate` is the share of the surviving weights that it removes.

    Scope "layer" prunes each tensor by itself, convolutions at `conv_rate`, others at
    `dense_rate` (both `rate` when not given) and the layer that makes the logits at
    `output_rate` (half the rate its kind has, as the papers do). Scope "global" compares the
    scores of all tensors. `keep` names weights to leave alone, by patterns such as `conv_1/*`.

    A `density` takes the place of the rate: exactly round(density * all) of the weights that may
    be pruned are left, the same share of every layer in scope "layer", shares by the
    Erdos-Renyi-Kernel rule in scope "erk".
    """

    rate: float = 0.2
    scope: str = "layer"
    conv_rate: float | None = None
    dense_rate: float | None = None
    output_rate: float | None = None
    keep: tuple[str, ...] = ()
    density: float | None = None

    @classmethod
    def to(cls, density: float, scope: str = "global", keep: tuple[str, ...] = ()) -> "Pruning":
        """The pruning that leaves this share of all weights, whatever was pruned before."""
        return cls(scope=scope, keep=keep, density=density)

    def __post_init__(self) -> None:
        keep = (self.keep,) if isinstance(self.keep, str) else self.keep
        if not isinstance(keep, list | tuple) or not all(isinstance(p, str) for p in keep):
            raise UsageError(f"Pruning.keep: expected patterns, as in ('conv_1/*',), got {keep!r}")
        object.__setattr__(self, "keep", tuple(keep))
        check_choice("Pruning.scope", self.scope, SCOPES)
        if self.scope == "erk" and self.density is None:
            raise UsageError("Pruning.scope: erk shares out a density; set Pruning.density")
        for name in ("rate", "conv_rate", "dense_rate", "output_rate", "density"):
            rate = getattr(self, name)
            if rate is None and name != "rate":
                continue
            if not isinstance(rate, int | float) or isinstance(rate, bool) or not 0 < rate < 1:
                raise UsageError(
                    f"Pruning.{name}: expected a share strictly between 0 and 1, got {rate!r}"
                )
            if self.density is not None and name.endswith("_rate"):
                raise UsageError(f"Pruning.{name}: a density leaves no choice of rates; drop one")
            if self.scope == "global" and name.endswith("_rate"):
                raise UsageError(
                    f"Pruning.{name}: the global scope has one rate; use scope 'layer'"
                )

    def check(self, lab: Prunable) -> "Pruning":
        """This pruning, if every `keep` pattern matches a weight and something is left to prune."""
        weights = lab.prunable
        names = [weight.name for weight in weights]
        for pattern in self.keep:
            if not fnmatch.filter(names, pattern):
                raise unknown("weight pattern", pattern, names, "See Pruning.keep.")
        if names and all(self._is_kept(name) for name in names):
            raise UsageError(f"Pruning.keep: {', '.join(self.keep)} leaves no weight to prune")
        size = sum(weight.size for weight in weights if not self._is_kept(weight.name))
        if size and self.density is not None and round(self.density * size) < 1:
            raise UsageError(
                f"Pruning.density: {self.density:g} of {size} weights is less than one; ask for"
                f" at least {1 / size:.1g}"
            )
        return self

    def __call__(self, lab: Prunable, mask: Mask, scores: Mapping[str, np.ndarray]) -> Mask:
        """The mask without its lowest-scored weights; exactly round(rate * surviving) go.

        Or so many that the density is left: none from a tensor that has fewer already.
        """
        self.check(lab)
        for weight in lab.prunable:
            _check_scores(weight, mask, scores)
        pruned = [weight for weight in lab.prunable if not self._is_kept(weight.name)]
        kept = dict(mask)
        for names, count in self._counts(pruned, mask):
            kept.update(
                drop_lowest({n: scores[n] for n in names}, {n: mask[n] for n in names}, count)
            )
        return Mask(kept)

    def _counts(
        self, weights: Sequence[Weight], mask: Mask
    ) -> Iterator[tuple[tuple[str, ...], int]]:
        """The groups of tensors whose scores are compared, and how many weights each loses."""
        have = {weight.name: int(mask[weight.name].sum()) for weight in weights}
        if self.scope == "global":
            count = round(self.rate * sum(have.values()))
            if self.density is not None:
                size = sum(weight.size for weight in weights)
                count = max(0, sum(have.values()) - round(self.density * size))
            yield tuple(have), count
        elif self.density is None:
            for weight in weights:
                yield (weight.name,), round(self.rate_of(weight) * have[weight.name])
        else:
            left = densities.counts(weights, self.density, densities.RULES[self.scope])
            for name, count in have.items():
                yield (name,), max(0, count - left[name])

    def rate_of(self, weight: Weight) -> float:
        """The share of this tensor's survivors that a layer-wise round removes."""
        own = self.conv_rate if weight.kind == "conv" else self.dense_rate
        rate = self.rate if own is None else own
        if not weight.is_output:
            return rate
        return rate / 2 if self.output_rate is None else self.output_rate

    def _is_kept(self, name: str) -> bool:
        return any(fnmatch.fnmatchcase(name, pattern) for pattern in self.keep)


def drop_lowest(
    scores: Mapping[str, np.ndarray], mask: Mapping[str, np.ndarray], count: int
) -> dict[str, np.ndarray]:
    """The masks without the `count` lowest-scored survivors of all tensors together.

    Among equal scores the order is a fixed pseudo-random one, so that ties favour no layer and no
    corner of a layer, and fall alike on every machine.
    """
    alive = {name: np.flatnonzero(keep) for name, keep in mask.items()}
    values = np.concatenate([scores[name].reshape(-1)[index] for name, index in alive.items()])
    if count == 0:
        return dict(mask)
    threshold = np.partition(values, count - 1)[count - 1]
    drop = values < threshold
    ties = np.flatnonzero(values == threshold)
    missing = count - int(drop.sum())
    if missing < ties.size:
        ties = np.random.default_rng(ties.size).permutation(ties)[:missing]
    drop[ties] = True
    result, start = {}, 0
    for name, index in alive.items():
        flat = mask[name].reshape(-1).copy()
        flat[index[drop[start : start + index.size]]] = False
        result[name] = flat.reshape(mask[name].shape)
        start += index.size
    return result


def _check_scores(weight: Weight, mask: Mask, scores: Mapping[str, np.ndarray]) -> None:
    if weight.name not in scores:
        raise UsageError(
            f"score: no values for {weight.name}; a score covers every prunable weight"
        )
    array = scores[weight.name]
    if array.shape != weight.shape:
        raise UsageError(
            f"score of {weight.name}: expected shape {weight.shape}, got {array.shape}"
        )
    if bad := int(np.isnan(array[mask[weight.name]]).sum()):
        raise UsageError(f"score of {weight.name}: {bad} values are NaN")
