"""Figures: what a study found, one small plot each, for page and paper."""

import dataclasses
import math
import re
from collections.abc import Callable, Mapping, Sequence

import numpy as np
from matplotlib import ticker
from matplotlib.colors import LogNorm, TwoSlopeNorm

from ltx import plot
from ltx.curve import Curve, Point
from ltx.plot import Plot
from ltx.verdict import Level


def costs(task: str, curves: Sequence[Curve]) -> list[Plot]:
    """Accuracy against the total cost of getting there, in steps and in FLOPs."""
    many = [point.steps for curve in curves for point in curve.points]
    shown = (
        ("steps", "dense-equivalent steps, finding and training", lambda point: point.steps),
        ("flops", "FLOPs of the weights that survive", lambda point: point.flops),
    )
    made = []
    for name, axis, cost in shown:
        figure, axes = plot.axes(task, axis, plot.ACCURACY)
        axes.set_xscale("log")
        axes.xaxis.set_major_formatter(ticker.FuncFormatter(plot.short))
        axes.xaxis.set_minor_locator(ticker.NullLocator())
        if max(many) / max(1.0, min(many)) < 30:
            axes.xaxis.set_major_locator(ticker.LogLocator(subs=(1, 2, 5)))
        plot.lines(axes, curves, cost, lambda point: point.accuracy, bars=True)
        text = "; ".join(_cheapest(curve, cost) for curve in curves if not curve.control)
        title = f"{task}: accuracy against cost in {name.replace('flops', 'FLOPs')}"
        made.append(Plot(plot.file_name("cost", name, task), title, text, figure))
    return made


def accuracies(task: str, curves: Sequence[Curve]) -> Plot:
    """Test accuracy by density, with the 95% intervals over seeds as bands."""
    figure, axes = plot.axes(task, "density (weights that survive)", plot.ACCURACY)
    plot.by_density(axes, curves)
    plot.lines(axes, curves, lambda point: point.density, lambda point: point.accuracy)
    dense = [curve.points[0] for curve in curves if curve.points[0].density == 1]
    if dense:
        axes.axhline(dense[0].accuracy.mean, color=plot.INK, linewidth=0.6, linestyle=(0, (1, 2)))
    text = "; ".join(_ends(curve, lambda p: f"{p.accuracy.mean:.1%}") for curve in curves)
    return Plot(plot.file_name("accuracy", task), f"{task}: accuracy by density", text, figure)


def early_stops(task: str, curves: Sequence[Curve]) -> Plot | None:
    """The step with the least validation loss by density; None where no trial has one."""
    if not any(point.early_stop.count for curve in curves for point in curve.points):
        return None
    figure, axes = plot.axes(task, "density (weights that survive)", "early-stopping step")
    plot.by_density(axes, curves)
    axes.yaxis.set_major_formatter(ticker.FuncFormatter(plot.short))
    plot.lines(axes, curves, lambda point: point.density, lambda point: point.early_stop)
    text = "; ".join(_ends(curve, lambda p: f"step {p.early_stop.mean:.0f}") for curve in curves)
    return Plot(
        plot.file_name("early-stop", task), f"{task}: early stopping by density", text, figure
    )


def layers(task: str, finder: str, lines: Sequence[Mapping]) -> Plot:
    """The density of every layer at every level, a mean over seeds; empty layers are crossed."""
    found: dict[tuple[str, int], list[float]] = {}
    for line in lines:
        found.setdefault((line["layer"], line["level"]), []).append(line["density"])
    names = sorted({name for name, _ in found}, key=_natural)
    levels = sorted({level for _, level in found})
    values = np.array([[np.mean(found.get((n, v), [math.nan])) for v in levels] for n in names])
    figure, axes = plot.grid(len(names), [_layer(name) for name in names], list(map(str, levels)))
    plot.title(axes, plot.cut(f"{finder} on {task}", 40))
    axes.set_xlabel("level")
    least = min((v for v in values.flat if v > 0), default=0.1)
    norm = LogNorm(min(0.1, 10 ** math.floor(math.log10(least))), 1)
    plot.cells(figure, axes, values, norm, "cividis", "density", lambda v: f"{100 * v:.3g}")
    last = ", ".join(f"{n} {v:.2%}" for n, v in zip(names, values[:, -1], strict=True))
    text = f"At level {levels[-1]}: {last}."
    return Plot(plot.file_name("layers", task, finder), f"{finder} on {task}: layers", text, figure)


ALIKE = 0.25  # of a density, by which cells of one map may differ


@dataclasses.dataclass(frozen=True)
class Carried:
    """What became on one task of the tickets from one source; "" is the task's own."""

    task: str
    finder: str
    source: str
    levels: tuple[Level, ...]


def transfers(cells: Sequence[Carried]) -> Plot | None:
    """The gain over dense by source and target, at one density for all; None for one pair only."""
    cells = [cell for cell in cells if any(_gained(level) for level in cell.levels)]
    if sum(bool(cell.source) for cell in cells) < 2:
        return None
    # The sparsest density that all of them reached, so that all are asked the same.
    wanted = max(min(level.density for level in cell.levels) for cell in cells)
    rows = sorted({(cell.source, cell.finder) for cell in cells})
    tasks = list(dict.fromkeys(cell.task for cell in cells))
    values = np.full((len(rows), len(tasks)), math.nan)
    for cell in cells:
        near = min(filter(_gained, cell.levels), key=lambda v: abs(math.log(v.density / wanted)))
        if near.gain and math.isclose(near.density, wanted, rel_tol=ALIKE):
            place = rows.index((cell.source, cell.finder)), tasks.index(cell.task)
            values[place] = 100 * near.gain.mean
    names = [f"{source or 'its own'} ({finder})" for source, finder in rows]
    figure, axes = plot.grid(len(rows), names, tasks, left=1.5)
    plot.title(axes, f"gain over dense near density {wanted:.1%}")
    reach = max([0.1, *np.abs(values[np.isfinite(values)])])
    norm = TwoSlopeNorm(0, -reach, reach)
    plot.cells(figure, axes, values, norm, "PuOr", "points", lambda v: f"{v:+.1f}")
    text = "; ".join(
        f"{name} on {task}: " + ("missing" if math.isnan(v) else f"{v:+.1f} points")
        for name, line in zip(names, values, strict=True)
        for task, v in zip(tasks, line, strict=True)
    )
    return Plot("transfer", f"Transfer: gain over dense near density {wanted:.1%}", text, figure)


def _gained(level: Level) -> bool:
    return level.level > 0 and level.gain is not None


def _cheapest(curve: Curve, cost: Callable[[Point], float]) -> str:
    best = max(curve.points, key=lambda point: point.accuracy.mean)
    return (
        f"{curve.finder} reaches {best.accuracy.mean:.1%} at density {best.density:.1%}"
        f" for {plot.short(cost(best))}"
    )


def _ends(curve: Curve, say: Callable[[Point], str]) -> str:
    first, last = curve.points[0], curve.points[-1]
    return (
        f"{curve.finder}: {say(first)} at density {first.density:.1%},"
        f" {say(last)} at {last.density:.1%}"
    )


def _layer(name: str) -> str:
    """The end of a weight's name, which tells layers apart, without what all names end in."""
    name = name.removesuffix("/kernel")
    return name if len(name) <= 23 else f"…{name[-22:]}"


def _natural(name: str) -> list[tuple[int, int, str]]:
    """A key that puts layer 10 after layer 9."""
    parts = re.findall(r"\d+|\D+", name)
    return [(0, int(p), "") if p.isdigit() else (1, 0, p) for p in parts]
