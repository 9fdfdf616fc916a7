"""Stability of a finder's tickets by level and by rewind point: the numbers that plots show."""

import dataclasses
import math
from collections.abc import Callable, Sequence

import numpy as np

from ltx.analysis.grouping import by_origin
from ltx.analysis.paired_tests import Interval
from ltx.core.objectives.metric import ACCURACY, Metric
from ltx.evaluation.instability import Instability, WeightDistance
from ltx.study.results import StabilityResult

DENSE_POSITION = -1  # of the dense network, which is no finder
REWIND_DENSITY_TOLERANCE = 0.25  # relative, between tickets that one plot shows by rewind point


@dataclasses.dataclass(frozen=True)
class StabilityPoint:
    """All seeds of one level whose copies start from one origin.

    `height` is that of the barrier in values of the metric, a share of 1 for accuracy, and
    `loss_height` that of the loss; `stable` of the `seeds` are stable. `errors` are means over
    seeds at the shares `alphas` of the way, `tolerance` the mean of the greatest stable heights.
    Distances are relative to how far the copies moved, angles in degrees; those to the dense
    network, `pruned_...`, are NaN where none was trained. `start` is the step that the copies start
    from.
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
    loss_height: Interval
    tolerance: float


@dataclasses.dataclass(frozen=True)
class StabilityCurve:
    """One finder on one task from one origin, "ticket" or a duration of dense training.

    `position` is that of the finder in the study, by which plots choose its style.
    """

    task: str
    finder: str
    control: bool
    position: int
    origin: str
    split: str
    points: tuple[StabilityPoint, ...]
    metric: Metric = ACCURACY


def stability_curves(
    results: Sequence[StabilityResult], finders: Sequence[str]
) -> list[StabilityCurve]:
    """A curve for every finder on every task from every origin, level by level."""
    controls = {(one.task, one.finder): one.control for one in results}
    order = list(finders)
    curves = []
    for (task, finder, origin), levels in by_origin(results).items():
        copies = [list(seeds.values()) for seeds in levels.values()]
        points = tuple(map(_point, copies))
        control, position = controls[task, finder], order.index(finder)
        first = copies[0][0]
        curves.append(
            StabilityCurve(
                task, finder, control, position, origin, first.split, points, first.metric
            )
        )
    return curves


def _point(copies: Sequence[Instability]) -> StabilityPoint:
    return StabilityPoint(
        level=copies[0].level,
        density=float(np.mean([one.density for one in copies])),
        start=float(np.mean([one.start for one in copies])),
        seeds=len(copies),
        stable=sum(one.barrier.stable() for one in copies),
        height=Interval.of([one.barrier.height for one in copies]),
        distance=_interval(copies, lambda one: one.to_order.relative),
        angle=_interval(copies, lambda one: one.to_order.angle),
        pruned_distance=_interval(copies, lambda one: _to_dense(one, lambda gap: gap.relative)),
        pruned_angle=_interval(copies, lambda one: _to_dense(one, lambda gap: gap.angle)),
        alphas=copies[0].alphas,
        errors=tuple(float(e) for e in np.mean([one.errors for one in copies], axis=0)),
        loss_height=Interval.of([one.barrier.loss_height for one in copies]),
        tolerance=float(np.mean([one.barrier.tolerance for one in copies])),
    )


def _interval(
    copies: Sequence[Instability], value: Callable[[Instability], float | None]
) -> Interval:
    values = [value(one) for one in copies]
    return Interval.of([math.nan if v is None else v for v in values])


def _to_dense(one: Instability, value: Callable[[WeightDistance], float | None]) -> float | None:
    """A distance to the dense network; None for the dense network itself."""
    if one.to_pruning is None or one.density == 1:
        return None
    return value(one.to_pruning)


@dataclasses.dataclass(frozen=True)
class RewindCurve:
    """One finder at one density by rewind point, from the earliest to the last."""

    finder: str
    control: bool
    position: int
    points: tuple[StabilityPoint, ...]


def rewind_curves(curves: Sequence[StabilityCurve]) -> list[RewindCurve]:
    """The curves of one task by rewind point, near the sparsest density that all finders reach.

    The dense network comes last, as a finder of its own. Finders with fewer than two rewind points
    are omitted.
    """
    density = max(min(point.density for point in curve.points) for curve in curves)
    series: dict[tuple[str, bool, int], dict[float, StabilityPoint]] = {}
    for curve in curves:
        nearest = min(curve.points, key=lambda point: abs(point.density - density))
        if math.isclose(nearest.density, density, rel_tol=REWIND_DENSITY_TOLERANCE):
            finder = (curve.finder, curve.control, curve.position)
            series.setdefault(finder, {})[nearest.start] = nearest
    for curve in curves:
        for point in curve.points:
            if point.density == 1 and not curve.control and density < 1:
                series.setdefault(("dense", False, DENSE_POSITION), {})[point.start] = point
    return [
        RewindCurve(*finder, tuple(steps[step] for step in sorted(steps)))
        for finder, steps in series.items()
        if len(steps) > 1
    ]
