"""Plots with a name and a description, and the style that all figures share."""

import dataclasses
import io
import os
import re
import warnings
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib
from matplotlib import ticker
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.figure import Figure

from ltx.analysis.instability_curves import DENSE_POSITION
from ltx.core.errors import UsageError
from ltx.core.objectives.metric import Metric
from ltx.reporting.format import si

# Okabe and Ito's colours, which are distinct for all kinds of colour vision; no black or yellow.
# The last two are lighter shades of the first two.
COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#56b4e9", "#e69f00")
# The same colours, dark enough for text on white.
TEXTS = ("#005f96", "#b34c00", "#00785a", "#a04c7b", "#1b76a8", "#8f6200")
MARKERS = "osD^vP"
INK, FAINT, PAPER = "#1c2024", "#c9ced6", "#ffffff"
WIDTH, HEIGHT, FONT = 4.0, 3.0, 8.5  # inches, inches, points: readable on a phone
HUES = 4
DENSITY = "density (weights that survive)"
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
    "svg.fonttype": "none",  # text stays text, which can be searched, copied and read aloud
    "svg.hashsalt": "ltx",  # the same study gives the same bytes
    "pdf.fonttype": 42,
}


@dataclasses.dataclass(frozen=True)
class Cells:
    """What the cells of a heat map say: `values[row][column]` under the names of both."""

    rows: Sequence[str]
    columns: Sequence[str]
    values: Sequence[Sequence[str]]


@dataclasses.dataclass(frozen=True)
class Plot:
    """A figure with a file name, a title, and a text that describes what it shows.

    `tips` has what the points of each line say, by the line's gid in the figure; `cells` what those
    of a heat map do.
    """

    name: str
    title: str
    text: str
    figure: Figure
    tips: Mapping[str, Sequence[str]] = dataclasses.field(default_factory=dict)
    cells: Cells | None = None

    def svg(self) -> str:
        """The figure as an SVG document."""
        with matplotlib.rc_context(STYLE), warnings.catch_warnings():
            # Letters that matplotlib's font lacks stay text; the reader's font shows them.
            warnings.filterwarnings("ignore", "Glyph .* missing")
            out = io.StringIO()
            self.figure.savefig(out, format="svg", transparent=True, metadata={"Date": None})
            return out.getvalue()

    def write(self, folder: str | os.PathLike[str]) -> list[Path]:
        """Write the figure as `name`.svg and `name`.pdf; return their paths."""
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


def positions(finders: Collection[str], controls: Mapping[str, Collection[str]]) -> list[str]:
    """The finders by position, "" where one is left out so that no control has its finder's hue.

    `controls` has the finders that each control controls.
    """
    places: list[str] = [""] * len(COLOURS) * len(MARKERS)
    hues: dict[str, int] = {}
    for name in finders:
        own = {*controls.get(name, ()), *(c for c, held in controls.items() if name in held)}
        taken = {hues[one] for one in own if one in hues}
        free = [n for n, other in enumerate(places) if not other] or [len(places)]
        place = next((n for n in free if _hue(n) not in taken), free[0])
        places[place : place + 1] = [name]
        hues[name] = _hue(place)
    return places[: 1 + max((n for n, name in enumerate(places) if name), default=-1)]


def _hue(position: int) -> int:
    return position % len(COLOURS) % HUES


def style_of(position: int) -> tuple[str, str]:
    """The colour and the marker of what has this position: a finder, or the dense network."""
    if position == DENSE_POSITION:
        return INK, MARKERS[0]
    turn = position // len(COLOURS)
    return COLOURS[position % len(COLOURS)], MARKERS[(position + turn) % len(MARKERS)]


def text_colour(position: int) -> str:
    """The colour of the name of what has this position."""
    return INK if position == DENSE_POSITION else TEXTS[position % len(TEXTS)]


def axes(heading: str, x: str, y: str) -> tuple[Figure, Axes]:
    """An empty plot with room at its right for the names of its lines."""
    with matplotlib.rc_context(STYLE):
        figure = Figure((WIDTH, HEIGHT), dpi=72)
        axes = figure.add_axes((0.165, 0.15, 0.635, 0.755))
        axes.set(xlabel=x, ylabel=y)
        # Without y, matplotlib measures the title against every label, which takes longer than all
        # the drawing.
        axes.set_title(truncate(heading, 40), fontsize=FONT, loc="left", fontweight="bold", y=1.0)
    return figure, axes


def metric_axes(heading: str, x: str, metric: Metric) -> tuple[Figure, Axes]:
    """An empty plot of a metric's test values."""
    unit = "" if metric.is_share or not metric.unit else f", {metric.unit}"
    figure, own = axes(heading, x, f"test {metric.name}{unit}")
    scale(own.yaxis, metric)
    return figure, own


def si_prefixes(axis: Axis) -> None:
    """Label the axis with SI prefixes."""
    axis.set_major_formatter(ticker.FuncFormatter(lambda v, _: si(v)))


def percent(axis: Axis) -> None:
    """Label the axis in percent."""
    axis.set_major_formatter(ticker.FuncFormatter(lambda v, _: f"{100 * v:g}%"))


def scale(axis: Axis, metric: Metric) -> None:
    """Label the axis in the metric's unit."""
    if metric.is_share:
        percent(axis)
    elif metric.scale != 1:
        axis.set_major_formatter(ticker.FuncFormatter(lambda v, _: f"{metric.scale * v:g}"))


def truncate(name: str, most: int) -> str:
    """The first `most` letters of a name, those that XML may not hold replaced."""
    name = "".join(
        letter if letter.isprintable() else "\N{REPLACEMENT CHARACTER}" for letter in name
    )
    return name if len(name) <= most else f"{name[: most - 1]}…"


def file_name(*parts: str) -> str:
    """A file name of letters, digits, dots and dashes."""
    return re.sub(r"[^A-Za-z0-9.]+", "-", "-".join(parts)).strip("-.")
