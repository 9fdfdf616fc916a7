"""Pruning: one round, which prunes an exact number of the lowest-scored units."""

import dataclasses
import fnmatch
from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from ltx.core.errors import UsageError, unknown
from ltx.core.mask import Mask
from ltx.core.prunable import Prunable, Weight
from ltx.core.validation import check_choice, check_type, warn_once
from ltx.pruning import allocation
from ltx.pruning.structures import Arrays, Group, Structure, Unstructured

SCOPES = ("layer", *(scope for scope in allocation.RULES if scope != "layer"), "global")


@dataclasses.dataclass(frozen=True)
class Pruning:
    """One round of pruning: `rate` is the share of the surviving units that it removes.

    `structure` says what a unit is: one weight, or several that are pruned together.

    Scope "layer" prunes each tensor by itself, convolutions at `conv_rate`, others at
    `dense_rate` (both `rate` when not given) and the layer that makes the logits at
    `output_rate` (half the rate of its kind, as in the papers). Scope "global" compares the
    scores of all tensors; it starves layers of recurrent and attention networks, where a warning
    says so. `keep` names weights to leave alone, by patterns such as `conv_1/*`. Embeddings are
    left alone too, unless `embeddings` is True or the structure is one of them.

    A `density` replaces the rate: exactly round(density * all) of the units that may be pruned are
    left, the same share of every layer in scope "layer", shares by the Erdos-Renyi-Kernel rule in
    scope "erk", falling from layer to layer in scope "smart".
    """

    rate: float = 0.2
    scope: str = "layer"
    conv_rate: float | None = None
    dense_rate: float | None = None
    output_rate: float | None = None
    keep: tuple[str, ...] = ()
    density: float | None = None
    structure: Structure = Unstructured()
    embeddings: bool = False

    @classmethod
    def to(
        cls,
        density: float,
        scope: str = "global",
        keep: tuple[str, ...] = (),
        structure: Structure = Unstructured(),  # noqa: B008 (frozen)
        embeddings: bool = False,
    ) -> "Pruning":
        """The pruning to this share of all units, whatever was pruned before."""
        return cls(
            scope=scope, keep=keep, density=density, structure=structure, embeddings=embeddings
        )

    def __post_init__(self) -> None:
        keep = (self.keep,) if isinstance(self.keep, str) else self.keep
        if not isinstance(keep, list | tuple) or not all(isinstance(p, str) for p in keep):
            raise UsageError(f"Pruning.keep: expected patterns, as in ('conv_1/*',), got {keep!r}")
        object.__setattr__(self, "keep", tuple(keep))
        check_choice("Pruning.scope", self.scope, SCOPES)
        check_type("Pruning.embeddings", self.embeddings, bool, "True")
        if self.scope not in ("layer", "global") and self.density is None:
            raise UsageError(
                f"Pruning.scope: {self.scope} shares out a density; set Pruning.density"
            )
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
        self._check_structure()

    def _check_structure(self) -> None:
        check_type("Pruning.structure", self.structure, Structure, "@ByChannel()")
        if self.scope not in self.structure.scopes:
            raise UsageError(
                f"Pruning.scope: {self.structure} is compared in scope"
                f" {' or '.join(self.structure.scopes)}, got {self.scope!r}"
            )
        only = self.structure.only
        if only is not None and (self.density is None or abs(self.density - only) > 1e-5 * only):
            got = f"rate {self.rate:g}" if self.density is None else f"density {self.density:g}"
            raise UsageError(
                f"Pruning.density: {self.structure} has density {only:.6g} and no other; set that"
                f" instead of {got}"
            )

    def check(self, lab: Prunable, score: object = None, rounds: int = 1) -> "Pruning":
        """Return this pruning; UsageError where it or the score cannot work on this lab.

        Every `keep` pattern has to match a weight, something has to be left to prune, a density
        has to be reachable, and is to be reached in one of the `rounds`.
        """
        names = [weight.name for weight in lab.prunable]
        self._warn_of_starvation(lab)
        for pattern in self.keep:
            if not fnmatch.filter(names, pattern):
                raise unknown("weight pattern", pattern, names, "See Pruning.keep.")
        groups = self._groups(lab)
        if names and not groups:
            left = ", ".join(self.keep) or "Pruning.embeddings = False"
            raise UsageError(
                f"Pruning.keep: {left} leaves no {self.structure.unit.removesuffix('s')} to prune"
            )
        if self.density is not None:
            self._check_density(groups, self.density, rounds)
        # A score may be any callable; only some have a check.
        if hasattr(score, "check"):
            score.check(lab)
        return self

    def _check_density(self, groups: Sequence[Group], density: float, rounds: int) -> None:
        if rounds > 1:
            raise UsageError(
                f"Pruning.density: {rounds} rounds to one density would remove nothing after the"
                " first; ask for one, or set Pruning.rate"
            )
        unit, least = self.structure.unit, self.structure.least * len(groups)
        size = sum(group.size for group in groups)
        left = round(density * size)
        if size and left < max(1, least):
            what = "one" if least <= 1 else f"{least}, one for each layer"
            raise UsageError(
                f"Pruning.density: {density:g} of {size} {unit} is less than {what}; ask for at"
                f" least {max(1, least) / size:.1g}"
            )
        output = allocation.OUTPUT.get(self.scope)
        if output is not None:
            fixed = sum(round(output * g.size) for g in groups if g.weight.is_output)
            if left <= fixed < size:
                raise UsageError(
                    f"Pruning.density: {density:g} of {size} {unit} leaves nothing beside the"
                    f" {fixed} that scope {self.scope} keeps in the output layer; ask for more"
                    f" than {fixed / size:.2g}"
                )

    def __call__(self, lab: Prunable, mask: Mask, scores: Mapping[str, np.ndarray]) -> Mask:
        """The mask without its round(rate * surviving) lowest-scored units.

        With a density, without as many as that requires: none of a layer that has fewer already.
        """
        self.check(lab)
        for weight in lab.prunable:
            _check_scores(weight, mask, scores)
        structure, groups = self.structure, self._groups(lab)
        alive = structure.alive(lab, mask)
        with np.errstate(invalid="ignore"):  # infinities may cancel, and are refused below
            values = structure.scores(lab, mask, scores)
        for group in groups:
            if bad := _nans(values[group.name], alive[group.name]):
                raise UsageError(
                    f"score of {group.name}: {bad} {structure.unit} are NaN, for they hold"
                    " infinities of both signs"
                )
        left, dropped = dict(alive), 0
        for names, count in self._counts(groups, alive):
            dropped += count
            _warn_of_ties([(values[n], alive[n]) for n in names], count)
            left.update(
                structure.drop({n: values[n] for n in names}, {n: alive[n] for n in names}, count)
            )
        if self.density is not None and not dropped:
            self._warn_of_nothing(groups, alive, self.density)
        arrays = structure.mask(lab, mask, left)
        for array in arrays.values():
            array.flags.writeable = False  # so that Mask need not copy it
        return Mask(arrays)

    def _warn_of_nothing(self, groups: Sequence[Group], alive: Arrays, density: float) -> None:
        """Warn where the mask is sparser than the density already, so that nothing is pruned."""
        size = sum(group.size for group in groups)
        count = sum(int(np.count_nonzero(alive[group.name])) for group in groups)
        if count < round(density * size):
            warn_once(
                f"Pruning.density {density:g}: prunes nothing of a mask that has"
                f" {count / size:.3g} of these {self.structure.unit} left; a density is a share of"
                " all, use Pruning.rate for a share of those left"
            )

    def _warn_of_starvation(self, lab: Prunable) -> None:
        """Warn of one threshold over the layers of a recurrent or attention network."""
        if self.scope != "global" or self.structure.only is not None:
            return
        kinds = sorted({w.kind for w in lab.prunable} & {"recurrent", "attention"})
        if kinds:
            warn_once(
                f"Pruning.scope global: one threshold over all layers starves some layers of a"
                f" network with {' and '.join(kinds)} weights, so that its tickets may be worse"
                " than random masks; scope layer prunes each by itself"
            )

    def _groups(self, lab: Prunable) -> tuple[Group, ...]:
        spared: set[str] = set()
        if not (self.embeddings or self.structure.of_embeddings):
            spared = {weight.name for weight in lab.prunable if weight.kind == "embedding"}
        return self.structure.groups(lab, lambda name: name in spared or self._is_kept(name))

    def _counts(
        self, groups: Sequence[Group], alive: Arrays
    ) -> Iterator[tuple[tuple[str, ...], int]]:
        """The groups of units whose scores are compared, and how many units each of them loses."""
        alive_counts = {group.name: int(np.count_nonzero(alive[group.name])) for group in groups}
        if self.scope == "global":
            count = round(self.rate * sum(alive_counts.values()))
            if self.density is not None:
                size = sum(group.size for group in groups)
                count = max(0, sum(alive_counts.values()) - round(self.density * size))
            yield tuple(alive_counts), count
        elif self.density is None:
            for group in groups:
                yield (group.name,), round(self.rate_of(group.weight) * alive_counts[group.name])
        else:
            left = allocation.allocate(
                {g.name: g.weight for g in groups},
                self.density,
                self.scope,
                {g.name: g.size for g in groups},
                self.structure.least,
            )
            for name, count in alive_counts.items():
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


def _warn_of_ties(scores: Sequence[tuple[np.ndarray, np.ndarray]], count: int) -> None:
    """Warn where scores that are all equal, (values, survivors), decide which `count` units go."""
    if not 0 < count < sum(np.count_nonzero(alive) for _, alive in scores):
        return
    for most in (1000, None):  # mostly the first few differ already
        flat = ((v.reshape(-1)[:most], a.reshape(-1)[:most]) for v, a in scores)
        found = np.concatenate([np.unique(values[alive]) for values, alive in flat])
        if len(np.unique(found)) > 1:
            return
    warn_once(
        f"Pruning: the scores that it compares are all {found[0]:g}, so their order decides, not"
        " the score; gradients and flows are zero where the output layer starts at zero: give it"
        " other initial weights"
    )


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
    if bad := _nans(array, mask[weight.name]):
        raise UsageError(f"score of {weight.name}: {bad} values are NaN")


def _nans(scores: np.ndarray, keep: np.ndarray) -> int:
    """How many of the survivors have score NaN."""
    # The maximum is NaN where any score is, and needs no memory.
    if scores.dtype.kind != "f" or not np.isnan(scores.max(initial=0)):
        return 0
    return int(np.isnan(scores[keep]).sum())
