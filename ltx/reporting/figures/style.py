"""Plot: one figure with its file's name and its words, in the looks that all figures share."""

import dataclasses
import io
import math
import os
import re
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Protocol

import matplotlib
import numpy as np
from matplotlib import ticker
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.figure import Figure

from ltx.analysis.paired_tests import Interval
from ltx.core.errors import UsageError
from ltx.reporting.format import si

# Okabe and Ito's colours, which all kinds of colour vision tell apart, less black and yellow.
COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#56b4e9", "#e69f00")
# The same for letters, dark enough to be read on white.
TEXTS = ("#005f96", "#b34c00", "#00785a", "#a04c7b", "#1f7fb3", "#8f6200")
MARKERS = "osD^vP"
INK, FAINT, PAPER = "#1c2024", "#c9ced6", "#ffffff"
WIDTH, HEIGHT, FONT = 4.0, 3.0, 8.5  # inches, inches, points: readable where a phone shows it
_LETTER = 0.56 * FONT  # the mean width of a letter, in points
ACCURACY = "test accuracy"
DENSITY = "density (weights that survive)"
_LONGEST = 18  # letters of a label
_NAMED = 6  # lines at most that have room for their names where they end
STYLE: Any = {
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
    "text.parse_math": False,  # a name may hold a dollar sign
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
        with matplotlib.rc_context(STYLE), warnings.catch_warnings():
            # Letters that matplotlib's font lacks stay text, for which the reader's font is used.
            warnings.filterwarnings("ignore", "Glyph .* missing")
            out = io.StringIO()
            self.figure.savefig(out, format="svg", transparent=True, metadata={"Date": None})
            return out.getvalue()

    def write(self, folder: str | os.PathLike[str]) -> list[Path]:
        """Write the figure as `name`.svg and `name`.pdf; where they are."""
        paths = [Path(folder) / f"{self.name}.{suffix}" for suffix in ("svg", "pdf")]
        try:
            paths[0].parent.mkdir(parents=True, exist_ok=True)
            with matplotlib.rc_context(STYLE):
                paths[0].write_text(self.svg())
                self.figure.savefig(paths[1], metadata={"CreationDate": None})
        except OSError as error:
            raise UsageError(
                f"cannot write {paths[0]}: {error.strerror or error}; choose another --figures"
            ) from error
        return paths


def style_of(place: int) -> tuple[str, str]:
    """The colour and the marker of the study's finder at this place."""
    turn = place // len(COLOURS)
    return COLOURS[place % len(COLOURS)], MARKERS[(place + turn) % len(MARKERS)]


def axes(heading: str, x: str, y: str) -> tuple[Figure, Axes]:
    """An empty plot with room at its right for the names of lines."""
    with matplotlib.rc_context(STYLE):
        figure = Figure((WIDTH, HEIGHT), dpi=72)
        axes = figure.add_axes((0.165, 0.15, 0.635, 0.755))
        axes.set(xlabel=x, ylabel=y)
        # A title that is told its place is not measured against every label, which takes longer
        # than all the drawing.
        axes.set_title(truncate(heading, 40), fontsize=FONT, loc="left", fontweight="bold", y=1.0)
        if y == ACCURACY:
            percent(axes.yaxis)
    return figure, axes


class PlotSeries(Protocol):
    """What `lines` draws: a finder with the numbers of its points, and its place in the study."""

    @property
    def finder(self) -> str: ...
    @property
    def control(self) -> bool: ...
    @property
    def place(self) -> int: ...
    @property
    def points(self) -> Sequence[Any]: ...


def by_density(axes: Axes, curves: Sequence[PlotSeries]) -> None:
    """Density across, on a logarithmic scale, falling to the right as tickets are found."""
    least = min(point.density for curve in curves for point in curve.points)
    axes.set_xscale("log")
    axes.set_xlim(1.1, min(least / 1.1, 0.9))
    axes.xaxis.set_major_locator(ticker.LogLocator(subs=(1,) if least < 0.02 else (1, 2, 5)))
    percent(axes.xaxis)
    axes.xaxis.set_minor_locator(ticker.NullLocator())


def lines(
    axes: Axes,
    curves: Sequence[PlotSeries],
    across: Callable[[Any], float],
    up: Callable[[Any], Interval],
    bars: bool = False,
) -> None:
    """A line for each curve, its intervals, and its name where it ends or, of many, below."""
    ends = []
    for curve in curves:
        points = [
            (x, i)
            for point in curve.points
            if (i := up(point)).count and not math.isnan(x := across(point))
        ]
        if not points:
            continue
        x, y, low, high = np.array([(a, i.mean, i.low, i.high) for a, i in points]).T
        colour, marker = style_of(curve.place)
        style: Any = {"linestyle": "--", "markerfacecolor": PAPER} if curve.control else {}
        name = truncate(curve.finder, _LONGEST)
        axes.plot(x, y, color=colour, marker=marker, label=name, **style)
        if bars:
            axes.vlines(x, low, high, color=colour, linewidth=0.8, alpha=0.5)
        else:
            axes.fill_between(x, low, high, color=colour, alpha=0.14, linewidth=0)
        ends.append((x, y, name, curve.place))
    low, high = axes.get_ylim()  # an interval may reach beyond what can be
    axes.set_ylim(max(low, 0), min(high, 1.005) if axes.get_ylabel() == ACCURACY else high)
    if len(ends) > _NAMED:
        _legend(axes)
    else:
        name_ends(axes, ends)


def _legend(axes: Axes) -> None:
    """Name the lines below the plot, which takes the room that their names would have."""
    names = axes.get_legend_handles_labels()[1]
    figure = axes.get_figure(root=True)
    assert figure is not None
    room = 0.17 * math.ceil(len(names) / 3) + 0.05
    height = HEIGHT + room
    figure.set_size_inches(WIDTH, height)
    axes.set_position((0.165, (0.15 * HEIGHT + room) / height, 0.8, 0.755 * HEIGHT / height))
    with matplotlib.rc_context(STYLE):
        looks: Any = {"frameon": False, "fontsize": FONT - 1.5, "columnspacing": 1.0}
        figure.legend(loc="lower left", ncols=3, borderaxespad=0.2, labelspacing=0.3, **looks)


def name_ends(axes: Axes, ends: Sequence[tuple[np.ndarray, np.ndarray, str, int]]) -> None:
    """Write each line's name beside its end, where it hides least."""
    axes.autoscale_view()
    pixels = [axes.transData.transform(np.column_stack([x, y])) for x, y, _, _ in ends]
    taken = np.concatenate(pixels) if pixels else np.empty((0, 2))
    right, height = WIDTH * 72, FONT * 1.1
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
        axes.figure.text(
            at[0], at[1], text, color=TEXTS[place % len(TEXTS)], va="center", fontsize=FONT
        )


def _overlap(one: Sequence[float], other: Sequence[float]) -> bool:
    return (
        one[0] < other[2] and other[0] < one[2] and one[1] < other[3] - 1 and other[1] < one[3] - 1
    )


def si_prefixes(axis: Axis) -> None:
    """Write the numbers that the axis marks with SI prefixes."""
    axis.set_major_formatter(ticker.FuncFormatter(lambda v, _: si(v)))


def percent(axis: Axis) -> None:
    """Write the shares that the axis marks in percent."""
    axis.set_major_formatter(ticker.FuncFormatter(lambda v, _: f"{100 * v:g}%"))


def truncate(name: str, most: int) -> str:
    """The name, its end left away where it is longer than `most` letters; fit for XML."""
    name = "".join(
        letter if letter.isprintable() else "\N{REPLACEMENT CHARACTER}" for letter in name
    )
    return name if len(name) <= most else f"{name[: most - 1]}…"


def file_name(*parts: str) -> str:
    """A name for a file: letters, digits, dots and dashes."""
    return re.sub(r"[^A-Za-z0-9.]+", "-", "-".join(parts)).strip("-.")
