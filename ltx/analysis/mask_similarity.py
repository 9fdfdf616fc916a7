"""How much the masks of a study's tickets overlap, between seeds and between finders."""

import dataclasses
import itertools
import math
from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from ltx.analysis.grouping import Trials, by_finder
from ltx.evaluation import mask_overlap
from ltx.evaluation.mask_overlap import Overlap
from ltx.store.store import Store
from ltx.study.record import StudyRecord

OVERLAP_DENSITY_TOLERANCE = 0.15  # relative, between tickets whose masks are compared
CACHE_BYTES = 1 << 30


@dataclasses.dataclass(frozen=True)
class MaskSimilarity:
    """The mean overlap of two finders' tickets with the same seed, or of one finder's over seeds.

    In the latter case `other` is the finder itself. Densities are means over seeds. Between two
    finders, `other_level` is the level of nearest density. `layers` has the overlap in each layer.
    """

    task: str
    finder: str
    other: str
    level: int
    other_level: int
    density: float
    other_density: float
    whole: Overlap
    layers: Mapping[str, Overlap]

    @property
    def is_between_seeds(self) -> bool:
        return self.finder == self.other


@dataclasses.dataclass(frozen=True)
class _Level:
    """One level of a finder: the ids of its tickets by seed, and their mean density."""

    level: int
    density: float
    tickets: Mapping[int, str]


def similarities(record: StudyRecord, store: Store) -> Iterator[MaskSimilarity]:
    """Every level of every finder between seeds, then every two finders at levels of like density.

    Dense tickets, which are all the same, and missing tickets are omitted.
    """
    arms = by_finder(row for row in record.rows if row.trial.density < 1)
    for task in record.tasks:
        masks = _Masks(store)
        levels = {finder: _levels(arms.get((task, finder), {})) for finder in record.finders}
        for finder, own in levels.items():
            for level in own:
                yield from _compared(masks, task, (finder, level))
        for one, other in itertools.combinations(record.finders, 2):
            for level in levels[one]:
                if near := _nearest(level, levels[other]):
                    yield from _compared(masks, task, (one, level), (other, near))


def _levels(arm: Mapping[int, Trials]) -> list[_Level]:
    return [
        _Level(
            level,
            float(np.mean([trial.density for trial in trials.values()])),
            {seed: trial.ticket for seed, trial in trials.items()},
        )
        for level, trials in arm.items()
    ]


def _nearest(wanted: _Level, levels: Sequence[_Level]) -> _Level | None:
    near = min(levels, key=lambda own: _ratio(own.density, wanted.density), default=None)
    return near if near and are_near(near.density, wanted.density) else None


def are_near(one: float, other: float) -> bool:
    """Whether two densities are near enough to compare masks of them."""
    return _ratio(one, other) <= -math.log(1 - OVERLAP_DENSITY_TOLERANCE)


def _ratio(one: float, other: float) -> float:
    return abs(math.log(one / other))


def _compared(
    masks: "_Masks", task: str, one: tuple[str, _Level], other: tuple[str, _Level] | None = None
) -> Iterator[MaskSimilarity]:
    (finder, level), (second, near) = one, other or one
    seeds = [s for s in level.tickets if s in near.tickets]
    pairs = [(masks.get(level.tickets[s]), masks.get(near.tickets[s])) for s in seeds]
    stored = [(a, b) for a, b in pairs if a and b and a[1] == b[1]]
    if len(stored) < (1 if other else 2):
        return
    ones, others, sizes = [a[0] for a, _ in stored], [b[0] for _, b in stored], stored[0][0][1]
    parts = mask_overlap.between(ones, others, sizes) if other else mask_overlap.among(ones, sizes)
    whole = parts.pop("")
    densities = level.density, near.density
    yield MaskSimilarity(task, finder, second, level.level, near.level, *densities, whole, parts)


class _Masks:
    """Packed masks by ticket id, cached up to CACHE_BYTES; the oldest are dropped first."""

    def __init__(self, store: Store) -> None:
        self._store, self._held, self._bytes = store, {}, 0  # type: ignore[var-annotated]

    def get(self, id: str) -> tuple[dict[str, np.ndarray], dict[str, int]] | None:
        if id not in self._held:
            packed = self._held[id] = self._store.packed(id)
            self._bytes += _size(packed)
            while self._bytes > CACHE_BYTES and len(self._held) > 1:
                self._bytes -= _size(self._held.pop(next(iter(self._held))))
        return self._held[id]


def _size(packed: tuple[Mapping[str, np.ndarray], object] | None) -> int:
    return sum(array.nbytes for array in packed[0].values()) if packed else 0
