"""Results of a study by task and finder, then by level and seed."""

from collections.abc import Callable, Hashable, Iterable, Mapping
from typing import TypeVar

from ltx.evaluation.instability import Instability
from ltx.evaluation.trial import Trial
from ltx.study.results import StabilityResult, TrialResult

T = TypeVar("T")
K = TypeVar("K", bound=Hashable)

Levels = dict[int, dict[int, T]]  # by level, then by seed
Trials = Mapping[int, Trial]  # by seed


def group(items: Iterable[T], key: Callable[[T], K]) -> dict[K, list[T]]:
    """The items under each key; keys and items keep their order."""
    groups: dict[K, list[T]] = {}
    for item in items:
        groups.setdefault(key(item), []).append(item)
    return groups


def by_finder(rows: Iterable[TrialResult]) -> dict[tuple[str, str], Levels[Trial]]:
    """{(task, finder): {level: {seed: trial}}}, levels in ascending order."""
    return {
        arm: _by_level((row.trial.level, row.seed, row.trial) for row in own)
        for arm, own in group(rows, lambda row: (row.task, row.finder)).items()
    }


def by_origin(
    results: Iterable[StabilityResult],
) -> dict[tuple[str, str, str], Levels[Instability]]:
    """{(task, finder, origin of the copies): {level: {seed: instability}}}, levels ascending."""
    groups = group(results, lambda one: (one.task, one.finder, one.instability.at))
    return {
        arm: _by_level((one.instability.level, one.seed, one.instability) for one in own)
        for arm, own in groups.items()
    }


def _by_level(entries: Iterable[tuple[int, int, T]]) -> Levels[T]:
    levels: Levels[T] = {}
    for level, seed, value in entries:
        levels.setdefault(level, {})[seed] = value
    return {level: levels[level] for level in sorted(levels)}
