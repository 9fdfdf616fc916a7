"""Figures: the plots of a study, one small figure each, drawn by matplotlib for page and paper."""

import dataclasses
import io
import math
import os
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import matplotlib
import numpy as np
from matplotlib import ticker
from matplotlib.axes import Axes
from matplotlib.colors import LogNorm, TwoSlopeNorm
from matplotlib.figure import Figure

from ltx.curve import Curve, Point
from ltx.errors import UsageError
from ltx.paired import Interval
from ltx.verdict import Level

# Okabe and Ito's colours, which all kinds of colour vision tell apart, less black and yellow.
COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#56b4e9", "#e69f00")
# The same for letters, dark enough to be read on white.
TEXTS = ("#005f96", "#b34c00", "#00785a", "#a04c7b", "#1f7fb3", "#8f6200")
MARKERS = "osD^vP"
INK, FAINT, PAPER = "#1c2024", "#c9ced6", "#ffffff"
WIDTH, HEIGHT, FONT = 4.0, 3.0, 8.5  # inches, inches, points: readable where a phone shows it
_LETTER = 0.56 * FONT  # the mean width of a letter, in points
_LONGEST = 18  # letters of a label
_STYLE = {
    "font.size": FONT,
    "font.family": "sans-serif",
    "text.color": INK,
    "axes.edgecolor": INK,
    "axes.labelcolor": INK,
    "axes.linewidth": 0.6,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": FAINT,
    "grid.linewidth": 0.4,
    "xtick.color": INK,
    "ytick.color": INK,
    "xtick.major.width": 0.6,
    "ytick.major.width": 0.6,
    "xtick.minor.size": 0,
    "ytick.minor.size": 0,
    "lines.linewidth": 1.4,
    "lines.markersize": 4,
    "svg.fonttype": "none",  # text stays text: to be read aloud, searched and copied
    "svg.hashsalt": "ltx",  # the same study, the same bytes
    "pdf.fonttype": 42,
}


@dataclasses.dataclass(frozen=True)
class Plot:
    """A figure with its file's name, a title, and what it shows for those who cannot see it."""

    name: str
    title: str
    text: str
    figure: Figure

    def svg(self) -> str:
        """The figure as an SVG document."""
        with matplotlib.rc_context(_STYLE):
            out = io.StringIO()
            self.figure.savefig(out, format="svg", transparent=True, metadata={"Date": None})
            return out.getvalue()

    def write(self, folder: str | os.PathLike[str]) -> list[Path]:
        """Write the figure as `name`.svg and `name`.pdf; where they are."""
        paths = [Path(folder) / f"{self.name}.{suffix}" for suffix in ("svg", "pdf")]
        try:
            paths[0].parent.mkdir(parents=True, exist_ok=True)
            with matplotlib.rc_context(_STYLE):
                paths[0].write_text(self.svg())
                self.figure.savefig(paths[1], metadata={"CreationDate": None})
        except OSError as error:
            raise UsageError(f"cannot write {paths[0]}: {error.strerror or error}") from error
        return paths


def costs(task: str, curves: Sequence[Curve]) -> list[Plot]:
    """Accuracy against the total cost of getting there, in steps and in FLOPs."""
    many = [point.steps for curve in curves for point in curve.points]
    shown = (
        ("steps", "dense-equivalent steps, finding and training", lambda point: point.steps),
        ("flops", "FLOPs of the weights that survive", lambda point: point.flops),
    )
    made = []
    for name, axis, cost in shown:
        figure, axes = _axes(task, axis, "test accuracy")
        axes.set_xscale("log")
        axes.xaxis.set_major_formatter(ticker.FuncFormatter(_short))
        axes.xaxis.set_minor_formatter(ticker.NullFormatter())
        if max(many) / max(1.0, min(many)) < 30:
            axes.xaxis.set_major_locator(ticker.LogLocator(subs=(1, 2, 5)))
        _lines(axes, curves, cost, lambda point: point.accuracy, bars=True)
        text = "; ".join(_cheapest(curve, cost) for curve in curves if not curve.control)
        title = f"{task}: accuracy against cost in {name.replace('flops', 'FLOPs')}"
        made.append(Plot(_file("cost", name, task), title, text, figure))
    return made


def accuracies(task: str, curves: Sequence[Curve]) -> Plot:
    """Test accuracy by density, with the 95% intervals over seeds as bands."""
    figure, axes = _axes(task, "density (weights that survive)", "test accuracy")
    _by_density(axes, curves)
    _lines(axes, curves, lambda point: point.density, lambda point: point.accuracy)
    dense = [curve.points[0] for curve in curves if curve.points[0].density == 1]
    if dense:
        axes.axhline(dense[0].accuracy.mean, color=INK, linewidth=0.6, linestyle=(0, (1, 2)))
    text = "; ".join(_ends(curve, lambda p: f"{p.accuracy.mean:.1%}") for curve in curves)
    return Plot(_file("accuracy", task), f"{task}: accuracy by density", text, figure)


def early_stops(task: str, curves: Sequence[Curve]) -> Plot | None:
    """The step with the least validation loss by density; None where no trial has one."""
    if not any(point.early_stop.count for curve in curves for point in curve.points):
        return None
    figure, axes = _axes(task, "density (weights that survive)", "early-stopping step")
    _by_density(axes, curves)
    axes.yaxis.set_major_formatter(ticker.FuncFormatter(_short))
    _lines(axes, curves, lambda point: point.density, lambda point: point.early_stop)
    text = "; ".join(_ends(curve, lambda p: f"step {p.early_stop.mean:.0f}") for curve in curves)
    return Plot(_file("early-stop", task), f"{task}: early stopping by density", text, figure)


def layers(task: str, finder: str, lines: Sequence[Mapping]) -> Plot:
    """The density of every layer at every level, a mean over seeds; empty layers are crossed."""
    found: dict[tuple[str, int], list[float]] = {}
    for line in lines:
        found.setdefault((line["layer"], line["level"]), []).append(line["density"])
    names = sorted({name for name, _ in found}, key=_natural)
    levels = sorted({level for _, level in found})
    values = np.array([[np.mean(found.get((n, v), [math.nan])) for v in levels] for n in names])
    figure, axes = _grid(len(names), [_layer(name) for name in names], list(map(str, levels)))
    axes.set_title(f"{_short_name(finder, 30)} on {_short_name(task, 30)}", fontsize=FONT)
    axes.set_xlabel("level")
    least = min((v for v in values.flat if v > 0), default=0.1)
    norm = LogNorm(min(0.1, 10 ** math.floor(math.log10(least))), 1)
    _cells(figure, axes, values, norm, "cividis", "density", lambda v: f"{100 * v:.3g}")
    last = ", ".join(f"{n} {v:.2%}" for n, v in zip(names, values[:, -1], strict=True))
    text = f"At level {levels[-1]}: {last}."
    return Plot(_file("layers", task, finder), f"{finder} on {task}: layers", text, figure)


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
        gain = near.gain.mean if near.gain else math.nan
        values[rows.index((cell.source, cell.finder)), tasks.index(cell.task)] = 100 * gain
    names = [f"{source or 'its own'} ({finder})" for source, finder in rows]
    figure, axes = _grid(len(rows), names, tasks, left=1.5)
    axes.set_title(f"gain over dense near density {wanted:.1%}", fontsize=FONT)
    reach = max(0.1, float(np.nanmax(np.abs(values))))
    norm = TwoSlopeNorm(0, -reach, reach)
    _cells(figure, axes, values, norm, "PuOr", "points", lambda v: f"{v:+.1f}")
    text = "; ".join(
        f"{name} on {task}: " + ("missing" if math.isnan(v) else f"{v:+.1f} points")
        for name, line in zip(names, values, strict=True)
        for task, v in zip(tasks, line, strict=True)
    )
    return Plot("transfer", f"Transfer: gain over dense near density {wanted:.1%}", text, figure)


def _gained(level: Level) -> bool:
    return level.level > 0 and level.gain is not None


# Drawing


def _axes(task: str, x: str, y: str) -> tuple[Figure, Axes]:
    with matplotlib.rc_context(_STYLE):
        figure = Figure((WIDTH, HEIGHT), dpi=72)
        axes = figure.add_axes((0.165, 0.15, 0.635, 0.755))
        axes.set(xlabel=x, ylabel=y)
        axes.set_title(_short_name(task, 40), fontsize=FONT, loc="left", fontweight="bold")
        if y == "test accuracy":
            axes.yaxis.set_major_formatter(ticker.FuncFormatter(lambda v, _: f"{100 * v:g}%"))
    return figure, axes


def _by_density(axes: Axes, curves: Sequence[Curve]) -> None:
    least = min(point.density for curve in curves for point in curve.points)
    axes.set_xscale("log")
    axes.set_xlim(1.1, min(least / 1.1, 0.9))
    axes.xaxis.set_major_locator(ticker.LogLocator(subs=(1,) if least < 0.02 else (1, 2, 5)))
    axes.xaxis.set_major_formatter(ticker.FuncFormatter(lambda v, _: f"{100 * v:g}%"))
    axes.xaxis.set_minor_formatter(ticker.NullFormatter())


def _lines(
    axes: Axes,
    curves: Sequence[Curve],
    across: Callable[[Point], float],
    up: Callable[[Point], Interval],
    bars: bool = False,
) -> None:
    """A line for each curve, its intervals, and its name where it ends."""
    ends = []
    for curve in curves:
        points = [(across(p), i) for p in curve.points if (i := up(p)).count]
        if not points:
            continue
        x, y, low, high = np.array([(a, i.mean, i.low, i.high) for a, i in points]).T
        colour, marker = look(curve.place)
        style = {"linestyle": "--", "markerfacecolor": PAPER} if curve.control else {}
        axes.plot(x, y, color=colour, marker=marker, **style)
        if bars:
            axes.vlines(x, low, high, color=colour, linewidth=0.8, alpha=0.5)
        else:
            axes.fill_between(x, low, high, color=colour, alpha=0.14, linewidth=0)
        ends.append((x, y, _short_name(curve.finder, _LONGEST), curve.place))
    _name(axes, ends)


def _name(axes: Axes, ends: Sequence[tuple[np.ndarray, np.ndarray, str, int]]) -> None:
    """Write each line's name beside its end, where it hides least."""
    axes.autoscale_view()
    pixels = [axes.transData.transform(np.column_stack([x, y])) for x, y, _, _ in ends]
    taken = np.concatenate(pixels) if pixels else np.empty((0, 2))
    right, height = axes.figure.get_size_inches()[0] * 72, FONT * 1.1
    frame = axes.bbox
    boxes: list[tuple[float, float, float, float]] = []
    for (_, _, text, place), line in sorted(
        zip(ends, pixels, strict=True), key=lambda pair: -pair[1][-1][1]
    ):
        width, (x, y) = _LETTER * len(text), line[-1]
        best = None
        for rise in sorted(range(-6, 7), key=abs):
            for left in (x + 5, x - width - 5):
                bottom = y + rise * height * 0.5 - height / 2
                box = (left, bottom, left + width, bottom + height)
                cost = 2.0 * abs(rise) + 8 * (left < x)
                cost += 60 * sum(_overlap(box, other) for other in boxes)
                cost += 6 * np.sum(
                    (taken[:, 0] > box[0])
                    & (taken[:, 0] < box[2])
                    & (taken[:, 1] > box[1])
                    & (taken[:, 1] < box[3])
                )
                cost += 1000 * (box[2] > right or box[0] < frame.x0 or box[1] < frame.y0 - 4)
                if best is None or cost < best[0]:
                    best = (cost, box)
        assert best is not None
        boxes.append(best[1])
        at = axes.figure.transFigure.inverted().transform(
            (best[1][0], (best[1][1] + best[1][3]) / 2)
        )
        axes.figure.text(*at, text, color=TEXTS[place % len(TEXTS)], va="center", fontsize=FONT)


def _overlap(one: Sequence[float], other: Sequence[float]) -> bool:
    return (
        one[0] < other[2] and other[0] < one[2] and one[1] < other[3] - 1 and other[1] < one[3] - 1
    )


def _grid(
    count: int, rows: Sequence[str], columns: Sequence[str], left: float = 1.25
) -> tuple[Figure, Axes]:
    with matplotlib.rc_context({**_STYLE, "axes.grid": False}):
        height = 0.19 * count + 0.95
        figure = Figure((WIDTH, height), dpi=72)
        axes = figure.add_axes(
            (left / WIDTH, 0.55 / height, 1 - (left + 0.75) / WIDTH, 0.19 * count / height)
        )
        axes.spines[:].set_visible(False)
        axes.tick_params(length=0)
        axes.set_yticks(range(count), [_short_name(row, 24) for row in rows], fontsize=FONT - 1.5)
        every = max(1, math.ceil(len(columns) / 8))
        axes.set_xticks(
            range(0, len(columns), every),
            [_short_name(c, 14) for c in columns[::every]],
            fontsize=FONT - 1,
        )
    return figure, axes


def _cells(
    figure: Figure,
    axes: Axes,
    values: np.ndarray,
    norm: matplotlib.colors.Normalize,
    colours: str,
    unit: str,
    write: Callable[[float], str],
) -> None:
    """Coloured cells, with their numbers where these fit; a missing one is a dash, zero an x."""
    logs = isinstance(norm, LogNorm)
    shown = np.ma.masked_invalid(values)
    if logs:
        shown = np.ma.masked_less_equal(shown, 0)
    with matplotlib.rc_context(_STYLE):
        image = axes.imshow(shown, norm=norm, cmap=colours, aspect="auto", interpolation="none")
        frame = axes.get_position()
        bar = figure.colorbar(
            image, cax=figure.add_axes((frame.x1 + 0.025, frame.y0, 0.025, frame.height))
        )
        bar.outline.set_visible(False)  # type: ignore[operator]
        bar.ax.tick_params(length=0, labelsize=FONT - 1.5)
        bar.ax.set_title(unit, fontsize=FONT - 1.5, loc="left")
        if logs:
            bar.ax.yaxis.set_major_formatter(ticker.FuncFormatter(lambda v, _: f"{100 * v:g}%"))
    for (row, column), value in np.ndenumerate(values):
        text, colour = "", INK
        if math.isnan(value):
            text = "-"
        elif logs and value == 0:
            text, colour = "x", TEXTS[1]
        elif values.shape[1] <= 7:
            red, green, blue, _ = image.cmap(norm(value))
            bright = 0.3 * red + 0.6 * green + 0.1 * blue
            text, colour = write(value), "#000000" if bright > 0.5 else "#ffffff"
        if text:
            axes.text(column, row, text, ha="center", va="center", color=colour, fontsize=FONT - 2)


# Words


def look(place: int) -> tuple[str, str]:
    """The colour and the marker of the study's finder at this place."""
    turn = place // len(COLOURS)
    return COLOURS[place % len(COLOURS)], MARKERS[(place + turn) % len(MARKERS)]


def _cheapest(curve: Curve, cost: Callable[[Point], float]) -> str:
    best = max(curve.points, key=lambda point: point.accuracy.mean)
    return (
        f"{curve.finder} reaches {best.accuracy.mean:.1%} at density {best.density:.1%}"
        f" for {_short(cost(best))}"
    )


def _ends(curve: Curve, say: Callable[[Point], str]) -> str:
    first, last = curve.points[0], curve.points[-1]
    return (
        f"{curve.finder}: {say(first)} at density {first.density:.1%},"
        f" {say(last)} at {last.density:.1%}"
    )


def _short(value: float, _: object = None) -> str:
    """A number by its thousands, as in 12k or 3.4G."""
    for size, letter in ((1e15, "P"), (1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k")):
        if abs(value) >= size:
            return f"{value / size:.3g}{letter}"
    return f"{value:.3g}"


def _short_name(name: str, most: int) -> str:
    return name if len(name) <= most else f"{name[: most - 1]}…"


def _layer(name: str) -> str:
    """The end of a weight's name, which tells layers apart, without what all names end in."""
    name = name.removesuffix("/kernel")
    return name if len(name) <= 20 else f"…{name[-19:]}"


def _natural(name: str) -> list[tuple[int, int, str]]:
    """A key that puts layer 10 after layer 9."""
    parts = re.findall(r"\d+|\D+", name)
    return [(0, int(p), "") if p.isdigit() else (1, 0, p) for p in parts]


def _file(*parts: str) -> str:
    """A name for a file: letters, digits, dots and dashes."""
    return re.sub(r"[^A-Za-z0-9.]+", "-", "-".join(parts)).strip("-.")
