"""Figures: what a study found, one small plot each, for page and paper."""

import math
from collections.abc import Callable, Mapping, Sequence

import numpy as np
from matplotlib import ticker
from matplotlib.colors import LogNorm, Normalize, TwoSlopeNorm

from ltx.analysis import transfer
from ltx.analysis.curves import Curve, Point
from ltx.analysis.transfer import TransferResult
from ltx.reporting.figures import axes as time_axis
from ltx.reporting.figures import heat_map, style
from ltx.reporting.figures.layer_map import LayerMap
from ltx.reporting.figures.style import Plot
from ltx.reporting.format import brief_duration, si


def costs(task: str, curves: Sequence[Curve]) -> list[Plot]:
    """Accuracy against the total cost of getting there, in steps, FLOPs and known seconds."""
    made = [
        _cost(task, curves, "steps", "dense-equivalent steps, finding and training"),
        _cost(task, curves, "FLOPs", "FLOPs of the weights that survive"),
    ]
    if any(not math.isnan(point.seconds) for curve in curves for point in curve.points):
        made.append(_cost(task, curves, "seconds", "time, finding and training"))
    return made


def _cost(task: str, curves: Sequence[Curve], name: str, axis: str) -> Plot:
    def cost(point: Point) -> float:
        return getattr(point, name.lower())

    many = [cost(point) for curve in curves for point in curve.points]
    known = [value for value in many if not math.isnan(value)]
    say = brief_duration if name == "seconds" else si
    figure, axes = style.axes(task, axis, style.ACCURACY)
    if name == "seconds":
        time_axis.across(axes, known)
    else:
        axes.set_xscale("log")
        style.si_prefixes(axes.xaxis)
        axes.xaxis.set_minor_locator(ticker.NullLocator())
        span = max(known) / max(1.0, min(known))
        if span < 4:  # where a decade's ticks are too few
            axes.xaxis.set_major_locator(ticker.MaxNLocator(4, steps=[1, 2, 5, 10]))
        elif span < 30:
            axes.xaxis.set_major_locator(ticker.LogLocator(subs=(1, 2, 5)))
    style.lines(axes, curves, cost, lambda point: point.accuracy, bars=True)
    text = "; ".join(_cheapest(curve, cost, say) for curve in curves if not curve.control)
    title = f"{task}: accuracy against cost in {name}"
    return Plot(style.file_name("cost", name.lower(), task), title, text, figure)


def accuracies(task: str, curves: Sequence[Curve]) -> Plot:
    """Test accuracy by density, with the 95% intervals over seeds as bands."""
    figure, axes = style.axes(task, style.DENSITY, style.ACCURACY)
    style.by_density(axes, curves)
    style.lines(axes, curves, lambda point: point.density, lambda point: point.accuracy)
    dense = [curve.points[0] for curve in curves if curve.points[0].density == 1]
    if dense:
        axes.axhline(dense[0].accuracy.mean, color=style.INK, linewidth=0.6, linestyle=(0, (1, 2)))
    text = "; ".join(_ends(curve, lambda p: f"{p.accuracy.mean:.1%}") for curve in curves)
    return Plot(style.file_name("accuracy", task), f"{task}: accuracy by density", text, figure)


def early_stops(task: str, curves: Sequence[Curve]) -> Plot | None:
    """The step with the least validation loss by density; None where no trial has one."""
    if not any(point.early_stop.count for curve in curves for point in curve.points):
        return None
    figure, axes = style.axes(task, style.DENSITY, "early-stopping step")
    style.by_density(axes, curves)
    style.si_prefixes(axes.yaxis)
    style.lines(axes, curves, lambda point: point.density, lambda point: point.early_stop)
    text = "; ".join(_ends(curve, lambda p: f"step {p.early_stop.mean:.0f}") for curve in curves)
    return Plot(
        style.file_name("early-stop", task), f"{task}: early stopping by density", text, figure
    )


def layers(task: str, finder: str, lines: Sequence[Mapping]) -> Plot:
    """The density of every layer at every level, a mean over seeds; empty layers are crossed."""
    found: dict[tuple[str, int], list[float]] = {}
    for line in lines:
        found.setdefault((line["layer"], line["level"]), []).append(line["density"])
    layers = LayerMap.of(found)
    least = min((v for v in layers.values.flat if v > 0), default=0.1)
    norm = LogNorm(min(0.1, 10 ** math.floor(math.log10(least))), 1)
    return layers.plot("layers", task, finder, "density", norm, ".2%")


def transferred(found: Sequence[TransferResult]) -> list[Plot]:
    """Maps of sources and targets: native accuracies, then the gap to them, one map a carry.

    All at the last level that everything carried reached; none of one source and target only.
    """
    cells = list(transfer.sparsest(found).values())
    if len({(one.source, one.task) for one in cells}) < 2:
        return []
    ways, level = transfer.carry_labels(found), cells[0].level
    tasks = list(dict.fromkeys(one.task for one in cells))
    gaps = [abs(100 * one.gap.mean) for one in cells if one.gap]
    norm = TwoSlopeNorm(0, -max([0.1, *gaps]), max([0.1, *gaps]))
    made = [_natives(cells, tasks, level)]
    for way in dict.fromkeys(ways.values()):
        values = {
            (one.source, one.task): round(100 * one.gap.mean, 1)
            for one in cells
            if ways[one.finder] == way and one.gap
        }
        sources = dict.fromkeys(one.source for one in cells if ways[one.finder] == way)
        heading = f"{way}: points above native, level {level}"
        look = (norm, "PuOr", "points")
        made.append(
            _map(("transfers", way), heading, values, list(sources), tasks, look, "{:+z.1f}")
        )
    return made


def _natives(cells: Sequence[TransferResult], tasks: Sequence[str], level: int) -> Plot:
    """The accuracies that everything carried to these tasks is held against."""
    values = {}
    for one in cells:
        if one.native_accuracy:
            values[one.native, one.task] = 100 * one.native_accuracy.mean
        if one.dense_accuracy:
            values["dense", one.task] = 100 * one.dense_accuracy.mean
    rows = sorted({row for row, _ in values} | {"dense"}, key=lambda row: row == "dense")
    low, high = min(values.values(), default=0), max(values.values(), default=0)
    look = (Normalize(low - 0.1, high + 0.1), "cividis", "percent")
    heading = f"native: test accuracy, level {level}"
    return _map(("transfers", "native"), heading, values, rows, tasks, look, "{:.1f}")


def _map(
    name: tuple[str, str],
    heading: str,
    values: Mapping[tuple[str, str], float],
    rows: Sequence[str],
    columns: Sequence[str],
    look: tuple[Normalize, str, str],
    form: str,
) -> Plot:
    """A heat map of what these rows are worth in these columns."""
    grid = np.array([[values.get((row, column), math.nan) for column in columns] for row in rows])
    figure, axes = heat_map.grid(len(rows), rows, columns)
    heat_map.title(axes, style.truncate(heading, 48))
    axes.set_xlabel("target")
    heat_map.cells(figure, axes, grid, *look, form.format)
    text = "; ".join(
        f"{row} on {column}: "
        + (form.format(values[row, column]) if (row, column) in values else "missing")
        for row in rows
        for column in columns
    )
    return Plot(style.file_name(*name), f"Transfer: {heading}", text, figure)


def _cheapest(curve: Curve, cost: Callable[[Point], float], say: Callable[[float], str]) -> str:
    best = max(curve.points, key=lambda point: point.accuracy.mean)
    price = "an unknown cost" if math.isnan(cost(best)) else say(cost(best))
    return (
        f"{curve.finder} reaches {best.accuracy.mean:.1%} at density {best.density:.1%} for {price}"
    )


def _ends(curve: Curve, say: Callable[[Point], str]) -> str:
    first, last = curve.points[0], curve.points[-1]
    return (
        f"{curve.finder}: {say(first)} at density {first.density:.1%},"
        f" {say(last)} at {last.density:.1%}"
    )
