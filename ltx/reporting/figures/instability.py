"""Valleys: what a study found of stability, one small plot each, for page and paper."""

import dataclasses
import math
from collections.abc import Callable, Sequence

import numpy as np
from matplotlib import ticker
from matplotlib.axes import Axes

from ltx.analysis.instability_curves import RewindCurve, StabilityCurve, StabilityPoint
from ltx.analysis.paired_tests import Interval
from ltx.evaluation.instability import TICKET
from ltx.evaluation.mode_connectivity import TOLERANCE
from ltx.reporting.figures import style
from ltx.reporting.figures.style import Plot
from ltx.reporting.format import si


def heights(task: str, found: Sequence[StabilityCurve]) -> Plot:
    """The barrier's height by density, from one place, with the line below which it is stable."""
    where = origin(found[0].at)
    figure, axes = style.axes(
        f"{style.truncate(task, 24)}, from {found[0].at}",
        style.DENSITY,
        f"barrier, {found[0].split} error",
    )
    style.by_density(axes, found)
    _line_of_stability(axes)
    style.lines(axes, found, lambda spot: spot.density, lambda spot: spot.height)
    text = "; ".join(_ends(one, lambda s: f"{s.height.mean:.1%}, {stable(s)}") for one in found)
    title = f"{task}: barrier by density, {where}"
    return Plot(style.file_name("barrier", found[0].at, task), title, text, figure)


def rewinds(task: str, found: Sequence[RewindCurve], split: str) -> Plot:
    """The barrier's height by the step that the copies part at."""
    figure, axes = style.axes(task, "step at which the copies part", f"barrier, {split} error")
    steps = sorted({spot.start for one in found for spot in one.points})
    axes.set_xscale("symlog", linthresh=max(1.0, steps[1] / 3), linscale=0.3)
    axes.set_xticks(steps, [si(step) for step in steps])
    axes.xaxis.set_minor_locator(ticker.NullLocator())
    _line_of_stability(axes)
    style.lines(axes, found, lambda spot: spot.start, lambda spot: spot.height)
    text = "; ".join(
        f"{one.finder} at density {one.points[-1].density:.1%}: "
        + ", ".join(f"{spot.height.mean:.1%} from step {spot.start:.0f}" for spot in one.points)
        for one in found
    )
    return Plot(
        style.file_name("barrier-rewind", task), f"{task}: barrier by rewind point", text, figure
    )


def errors(strand: StabilityCurve) -> Plot:
    """The error on the line between two copies, a mean over seeds: densest, middle and sparsest."""
    figure, axes = style.axes(
        style.truncate(f"{strand.finder} on {strand.task}", 40),
        "share of the way between the copies",
        f"{strand.split} error",
    )
    style.percent(axes.yaxis)
    count = len(strand.points)
    chosen = [strand.points[n] for n in sorted({0, count // 2, count - 1})]
    for place, spot in enumerate(chosen):
        colour, _ = style.style_of(place)
        axes.plot(spot.alphas, spot.errors, color=colour)
    axes.set_ylim(0, max(max(spot.errors) for spot in chosen) * 1.1 or 0.01)
    style.name_ends(
        axes,
        [
            (np.array(spot.alphas), np.array(spot.errors), f"{100 * spot.density:.3g}%", place)
            for place, spot in enumerate(chosen)
        ],
    )
    text = "; ".join(
        f"at density {s.density:.1%} from {s.errors[0]:.1%} over at most {max(s.errors):.1%}"
        f" to {s.errors[-1]:.1%}"
        for s in chosen
    )
    title = f"{strand.finder} on {strand.task}: error between two copies, {origin(strand.at)}"
    name = style.file_name("line", strand.at, strand.task, strand.finder)
    return Plot(name, title, text, figure)


def gaps(task: str, found: Sequence[StabilityCurve]) -> list[Plot]:
    """Distance and angle by density: by data order, and by pruning, to the dense network."""
    shown: tuple[tuple[str, str, str, Callable[[StabilityPoint], Interval]], ...] = (
        ("distance", "data order", "distance / way", lambda spot: spot.distance),
        ("angle", "data order", "angle, degrees", lambda spot: spot.angle),
        ("distance", "pruning", "distance / way", lambda spot: spot.pruned_distance),
        ("angle", "pruning", "angle, degrees", lambda spot: spot.pruned_angle),
    )
    made = []
    for what, against, axis, value in shown:
        spots = [tuple(spot for spot in one.points if value(spot).count) for one in found]
        known = [
            dataclasses.replace(one, points=own)
            for one, own in zip(found, spots, strict=True)
            if own
        ]
        if not known:
            continue
        figure, axes = style.axes(f"{style.truncate(task, 24)}, {against}", style.DENSITY, axis)
        style.by_density(axes, found)
        _from_zero(axes)
        style.lines(axes, known, lambda spot: spot.density, value)
        text = "; ".join(_ends(one, lambda s, v=value: f"{v(s).mean:.3g}") for one in known)  # type: ignore[misc]
        title = f"{task}: {what} by {against}, {origin(found[0].at)}"
        name = style.file_name(what, against, found[0].at, task)
        made.append(Plot(name, title, text, figure))
    return made


def origin(at: str) -> str:
    return "from the ticket's own weights" if at == TICKET else f"from {at} of dense training"


def stable(spot: StabilityPoint) -> str:
    return f"{spot.stable} of {spot.seeds} stable"


def _line_of_stability(axes: Axes) -> None:
    style.percent(axes.yaxis)
    _from_zero(axes)
    axes.axhline(TOLERANCE, color=style.INK, linewidth=0.9, linestyle=(0, (1, 1.5)))


def _from_zero(axes: Axes) -> None:
    """Have the axis begin at zero wherever its data do."""
    axes.axhline(0, linewidth=0)


def _ends(strand: StabilityCurve, say: Callable[[StabilityPoint], str]) -> str:
    first, last = strand.points[0], strand.points[-1]
    if math.isclose(first.density, last.density):
        return f"{strand.finder}: {say(first)} at density {first.density:.1%}"
    return (
        f"{strand.finder}: {say(first)} at density {first.density:.1%},"
        f" {say(last)} at {last.density:.1%}"
    )
