"""Heat map: coloured cells with names for rows and columns, in the looks that all figures share."""

import math
from collections.abc import Callable, Sequence

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LogNorm, Normalize
from matplotlib.figure import Figure

from ltx.reporting.figures import style


def title(axes: Axes, text: str) -> None:
    """Head a heat map from the figure's left edge on, where there is room."""
    height = axes.get_position().y1 + 0.1 / (axes.bbox.height / axes.get_position().height / 72)
    with matplotlib.rc_context(style.STYLE):
        figure = axes.get_figure(root=True)
        assert figure is not None
        figure.text(0.03, height, text, fontsize=style.FONT, fontweight="bold")


def grid(
    count: int, rows: Sequence[str], columns: Sequence[str], left: float = 1.32
) -> tuple[Figure, Axes]:
    """An empty heat map with names for `count` rows and for its columns."""
    with matplotlib.rc_context({**style.STYLE, "axes.grid": False}):
        height = 0.19 * count + 0.95
        figure = Figure((style.WIDTH, height), dpi=72)
        width = 1 - (left + 0.75) / style.WIDTH
        axes = figure.add_axes((left / style.WIDTH, 0.55 / height, width, 0.19 * count / height))
        axes.spines[:].set_visible(False)
        axes.tick_params(length=0)
        axes.set_yticks(
            range(count), [style.truncate(row, 24) for row in rows], fontsize=style.FONT - 1.5
        )
        every = max(1, math.ceil(len(columns) / 8))
        axes.set_xticks(
            range(0, len(columns), every),
            [style.truncate(c, 14) for c in columns[::every]],
            fontsize=style.FONT - 1,
        )
    return figure, axes


def cells(
    figure: Figure,
    axes: Axes,
    values: np.ndarray,
    norm: Normalize,
    colours: str,
    unit: str,
    write: Callable[[float], str],
) -> None:
    """Coloured cells, with their numbers where these fit; a missing one is a dash, zero an x."""
    logs = isinstance(norm, LogNorm)
    shown = np.ma.masked_invalid(values)
    if logs:
        shown = np.ma.masked_less_equal(shown, 0)
    with matplotlib.rc_context(style.STYLE):
        image = axes.imshow(shown, norm=norm, cmap=colours, aspect="auto", interpolation="none")
        frame = axes.get_position()
        bar = figure.colorbar(
            image, cax=figure.add_axes((frame.x1 + 0.025, frame.y0, 0.025, frame.height))
        )
        bar.outline.set_visible(False)
        bar.ax.tick_params(length=0, labelsize=style.FONT - 1.5)
        bar.ax.set_title(unit, fontsize=style.FONT - 1.5, loc="left", pad=7, y=1.0)
        if logs:
            style.percent(bar.ax.yaxis)
    for (row, column), value in np.ndenumerate(values):
        text, colour = "", style.INK
        if math.isnan(value):
            text = "-"
        elif logs and value == 0:
            text, colour = "x", style.TEXTS[1]
        elif values.shape[1] <= 7:
            red, green, blue, _ = image.cmap(norm(value))
            bright = 0.3 * red + 0.6 * green + 0.1 * blue
            text, colour = write(value), "#000000" if bright > 0.5 else "#fefefe"
        if text:
            axes.text(
                column, row, text, ha="center", va="center", color=colour, fontsize=style.FONT - 2
            )
