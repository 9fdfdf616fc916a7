"""Stability of tickets: barriers by density and by rewind point, errors and distances of copies."""

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from matplotlib import ticker
from matplotlib.axes import Axes

from ltx.analysis.instability_curves import RewindCurve, StabilityCurve, StabilityPoint
from ltx.analysis.paired_tests import Interval
from ltx.core.objectives.metric import ACCURACY, Metric
from ltx.evaluation.instability import TICKET
from ltx.reporting.figures import lines, style
from ltx.reporting.figures.style import Plot
from ltx.reporting.format import barrier_error, brief, mean, measure, share, si


def barriers(task: str, curves: Sequence[StabilityCurve]) -> Plot:
    """The height of the barrier by density, from one origin, with the tolerance as a line."""
    origin, split = curves[0].origin, curves[0].split
    heading = f"{style.truncate(task, 24)}, from {origin}"
    metric = curves[0].metric
    label = f"barrier, {barrier_error(split, metric)}"
    figure, axes = style.axes(heading, style.DENSITY, label)
    lines.density_axis(axes, curves)
    _mark_tolerance(axes, metric, curves)
    tips = lines.draw(
        axes,
        curves,
        lambda point: point.density,
        lambda point: point.height,
        lambda point: f"{_height(point, metric)}, {stable(point)}, {_at_density(point)}",
    )
    text = "; ".join(
        lines.describe_ends(one, lambda p: f"{brief(p.height.mean, metric)}, {stable(p)}")
        for one in curves
    )
    title = f"{task}: barrier by density, {from_origin(origin)}"
    return Plot(style.file_name("barrier", origin, task), title, text, figure, tips)


def barriers_by_rewind(
    task: str, curves: Sequence[RewindCurve], split: str, metric: Metric = ACCURACY
) -> Plot:
    """The height of the barrier by the step at which the copies part."""
    label = f"barrier, {barrier_error(split, metric)}"
    figure, axes = style.axes(task, "step at which the copies part", label)
    steps = sorted({point.start for curve in curves for point in curve.points})
    axes.set_xscale("symlog", linthresh=max(1.0, steps[1] / 3), linscale=0.3)
    axes.set_xticks(steps, [si(step) for step in steps])
    axes.xaxis.set_minor_locator(ticker.NullLocator())
    _mark_tolerance(axes, metric, curves)
    tips = lines.draw(
        axes,
        curves,
        lambda point: point.start,
        lambda point: point.height,
        lambda point: (
            f"{_height(point, metric)}, {stable(point)}, from step {point.start:.0f}"
            f" {_at_density(point)}"
        ),
    )
    text = "; ".join(
        f"{curve.finder} at density {curve.points[-1].density:.1%}: "
        + ", ".join(f"{brief(p.height.mean, metric)} from step {p.start:.0f}" for p in curve.points)
        for curve in curves
    )
    name = style.file_name("barrier-rewind", task)
    return Plot(name, f"{task}: barrier by rewind point", text, figure, tips)


def errors(curve: StabilityCurve) -> Plot:
    """The error on the line between two copies, a mean over seeds: densest, middle and sparsest."""
    metric, error = curve.metric, barrier_error(curve.split, curve.metric)
    figure, axes = style.axes(
        style.truncate(f"{curve.finder} on {curve.task}", 40),
        "share of the way between the copies",
        error,
    )
    style.scale(axes.yaxis, metric)
    what, count = "error" if metric.is_share else metric.name, len(curve.points)
    places = sorted({0, count // 2, count - 1})
    chosen = [curve.points[place] for place in places]
    colour, _ = style.style_of(curve.position)
    tips = {}
    for number, point in enumerate(chosen):
        gid, width = f"line-{number}", 0.8 + 0.6 * number  # the sparser, the wider
        looks: Any = {"color": colour, "linewidth": width, "marker": ".", "gid": gid}
        axes.plot(point.alphas, point.errors, **looks)
        tips[gid] = [
            f"{metric.text(value)} {what}, {alpha:.0%} of the way, {_at_density(point)}"
            for alpha, value in zip(point.alphas, point.errors, strict=True)
        ]
    values = [value for point in chosen for value in point.errors]
    if min(values) >= 0:
        axes.set_ylim(0, max(values) * 1.1 or 0.01)
    lines.name_ends(
        axes,
        [
            (np.array(p.alphas), np.array(p.errors), f"{100 * p.density:.3g}%", curve.position)
            for p in chosen
        ],
    )
    text = "; ".join(
        f"at density {p.density:.1%} from {brief(p.errors[0], metric)} over at most"
        f" {brief(max(p.errors), metric)} to {brief(p.errors[-1], metric)}"
        for p in chosen
    )
    title = (
        f"{curve.finder} on {curve.task}: {what} between two copies, {from_origin(curve.origin)}"
    )
    name = style.file_name("line", curve.origin, curve.task, curve.finder)
    return Plot(name, title, text, figure, tips)


def distances(task: str, curves: Sequence[StabilityCurve]) -> list[Plot]:
    """Distance and angle by density: between the copies, and to the dense network.

    Plots of which nothing was measured are omitted.
    """
    shown: tuple[tuple[str, str, str, Callable[[StabilityPoint], Interval]], ...] = (
        ("distance", "data order", "distance / way", lambda point: point.distance),
        ("angle", "data order", "angle, degrees", lambda point: point.angle),
        ("distance", "pruning", "distance / way", lambda point: point.pruned_distance),
        ("angle", "pruning", "angle, degrees", lambda point: point.pruned_angle),
    )
    plots = [_distance(task, curves, *one) for one in shown]
    return [plot for plot in plots if plot]


def _distance(
    task: str,
    curves: Sequence[StabilityCurve],
    what: str,
    against: str,
    axis: str,
    value: Callable[[StabilityPoint], Interval],
) -> Plot | None:
    points = [tuple(point for point in one.points if value(point).count) for one in curves]
    measured = [
        dataclasses.replace(one, points=own) for one, own in zip(curves, points, strict=True) if own
    ]
    if not measured:
        return None
    figure, axes = style.axes(f"{style.truncate(task, 24)}, {against}", style.DENSITY, axis)
    lines.density_axis(axes, curves)
    _include_zero(axes)
    tips = lines.draw(
        axes,
        measured,
        lambda point: point.density,
        value,
        lambda point: f"{mean(value(point), '{:.3g}'.format)} {lines.at_density(point)}",
    )
    text = "; ".join(
        lines.describe_ends(one, lambda point: f"{value(point).mean:.3g}") for one in measured
    )
    origin = curves[0].origin
    title = f"{task}: {what} by {against}, {from_origin(origin)}"
    return Plot(style.file_name(what, against, origin, task), title, text, figure, tips)


def from_origin(origin: str) -> str:
    if origin == TICKET:
        return "from the ticket's own weights"
    return f"from {origin} of dense training"


def stable(point: StabilityPoint) -> str:
    return f"{point.stable} of {point.seeds} stable"


def _at_density(point: StabilityPoint) -> str:
    return f"at density {share(point.density)}"


def _height(point: StabilityPoint, metric: Metric) -> str:
    return measure(point.height, metric, unit=True)


def _mark_tolerance(
    axes: Axes, metric: Metric, curves: Sequence[StabilityCurve | RewindCurve]
) -> None:
    """A line at the height up to which a ticket is stable: the least of the points' own."""
    style.scale(axes.yaxis, metric)
    _include_zero(axes)
    height = min(point.tolerance for curve in curves for point in curve.points)
    axes.axhline(height, color=style.INK, linewidth=0.9, linestyle=(0, (1, 1.5)))


def _include_zero(axes: Axes) -> None:
    axes.axhline(0, linewidth=0)
