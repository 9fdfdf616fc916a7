"""Connectivity: how stable a finder's tickets are, level by level, as the numbers a plot shows."""

import dataclasses
import math
from collections.abc import Callable, Sequence

import numpy as np

from ltx.analysis.grouping import by_start
from ltx.analysis.paired_tests import Interval
from ltx.evaluation.instability import Instability, WeightDistance
from ltx.study.results import StabilityResult

REWIND_DENSITY_TOLERANCE = 0.25  # relative, between tickets that one plot shows by rewind point
Found = Sequence[Instability]


@dataclasses.dataclass(frozen=True)
class StabilityPoint:
    """All seeds of one level, compared from one place.

    `height` is the barrier's, a share of 1, and of the `seeds` so many are `stable`; `errors` are
    means over seeds at the shares `alphas` of the way. Distances are by how far the copies moved,
    angles in degrees; those to the dense network, `pruned_...`, are NaN where none was trained.
    """

    level: int
    density: float
    start: float
    seeds: int
    stable: int
    height: Interval
    distance: Interval
    angle: Interval
    pruned_distance: Interval
    pruned_angle: Interval
    alphas: tuple[float, ...]
    errors: tuple[float, ...]


@dataclasses.dataclass(frozen=True)
class StabilityCurve:
    """One finder on one task from one place; `place` is the finder's among the study's."""

    task: str
    finder: str
    control: bool
    place: int
    at: str
    split: str
    points: tuple[StabilityPoint, ...]


def stability_curves(
    compared: Sequence[StabilityResult], finders: Sequence[str]
) -> list[StabilityCurve]:
    """What was measured of every finder on every task from every place, level by level."""
    controls = {(one.task, one.finder): one.control for one in compared}
    order = list(finders)
    made = []
    for (task, finder, at), levels in by_start(compared).items():
        points = tuple(_point(list(copies.values())) for copies in levels.values())
        split = next(iter(next(iter(levels.values())).values())).split
        control, place = controls[task, finder], order.index(finder)
        made.append(StabilityCurve(task, finder, control, place, at, split, points))
    return made


def _point(found: Found) -> StabilityPoint:
    return StabilityPoint(
        level=found[0].level,
        density=float(np.mean([one.density for one in found])),
        start=float(np.mean([one.start for one in found])),
        seeds=len(found),
        stable=sum(one.barrier.stable() for one in found),
        height=Interval.of([one.barrier.height for one in found]),
        distance=_interval(found, lambda one: one.to_order.relative),
        angle=_interval(found, lambda one: one.to_order.angle),
        pruned_distance=_interval(found, lambda one: _pruned(one, lambda gap: gap.relative)),
        pruned_angle=_interval(found, lambda one: _pruned(one, lambda gap: gap.angle)),
        alphas=found[0].alphas,
        errors=tuple(float(e) for e in np.mean([one.errors for one in found], axis=0)),
    )


def _interval(found: Found, value: Callable[[Instability], float | None]) -> Interval:
    values = [value(one) for one in found]
    return Interval.of([math.nan if v is None else v for v in values])


def _pruned(one: Instability, value: Callable[[WeightDistance], float | None]) -> float | None:
    """Stability to pruning, of what was pruned."""
    if one.to_pruning is None or one.density == 1:
        return None
    return value(one.to_pruning)


@dataclasses.dataclass(frozen=True)
class RewindCurve:
    """One finder at one density, from place to place; `points` go from the earliest to the last."""

    finder: str
    control: bool
    place: int
    points: tuple[StabilityPoint, ...]


def rewind_curves(found: Sequence[StabilityCurve]) -> list[RewindCurve]:
    """The strands of one task by rewind point, near the sparsest density that all finders reach.

    The dense network comes last, as a finder of its own. Empty where there are no two steps.
    """
    wanted = max(min(spot.density for spot in one.points) for one in found)
    groups: dict[tuple[str, bool, int], dict[float, StabilityPoint]] = {}
    for one in found:
        near = min(one.points, key=lambda spot: abs(spot.density - wanted))
        if math.isclose(near.density, wanted, rel_tol=REWIND_DENSITY_TOLERANCE):
            groups.setdefault((one.finder, one.control, one.place), {})[near.start] = near
    last = 1 + max(one.place for one in found)
    for one in found:
        for spot in one.points:
            if spot.density == 1 and not one.control and wanted < 1:
                groups.setdefault(("dense", False, last), {})[spot.start] = spot
    return [
        RewindCurve(*who, tuple(steps[step] for step in sorted(steps)))
        for who, steps in groups.items()
        if len(steps) > 1
    ]
