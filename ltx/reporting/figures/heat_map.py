"""Heat maps: coloured cells under names of rows and columns, and shares of layers by level."""

import dataclasses
import math
import re
from collections.abc import Callable, Mapping, Sequence

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LogNorm, Normalize
from matplotlib.figure import Figure

from ltx.reporting.figures import style
from ltx.reporting.figures.style import Cells, Plot
from ltx.reporting.format import share


def title(axes: Axes, text: str) -> None:
    """Write a title that starts at the figure's left edge."""
    height = axes.get_position().y1 + 0.1 / (axes.bbox.height / axes.get_position().height / 72)
    with matplotlib.rc_context(style.STYLE):
        figure = axes.get_figure(root=True)
        assert figure is not None
        figure.text(0.03, height, text, fontsize=style.FONT, fontweight="bold")


def grid(count: int, rows: Sequence[str], columns: Sequence[str]) -> tuple[Figure, Axes]:
    """An empty heat map with names for `count` rows and for its columns."""
    left = min(1.32, 0.25 + 0.056 * max(map(len, rows), default=0))
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
    """Colour the cells and write numbers into them where these fit.

    NaN is a dash; zero on a logarithmic scale is an x.
    """
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
                column, row, text, ha="center", va="center", color=colour, fontsize=style.FONT - 1.5
            )


def cell_tips(
    rows: Sequence[str], columns: Sequence[str], values: np.ndarray, write: Callable[[float], str]
) -> Cells:
    """What the cells say; NaN is missing."""
    return Cells(
        rows,
        columns,
        [["missing" if math.isnan(v) else write(v) for v in line] for line in values.tolist()],
    )


@dataclasses.dataclass(frozen=True)
class LayerMap:
    """A share of every layer at every level.

    `values`: means over seeds, float [layers, levels]; NaN where missing.
    """

    names: Sequence[str]
    levels: Sequence[int]
    values: np.ndarray

    @classmethod
    def of(cls, shares: Mapping[tuple[str, int], Sequence[float]]) -> "LayerMap":
        """The map of {(layer, level): a value per seed}."""
        names = sorted({name for name, _ in shares}, key=_natural)
        levels = sorted({level for _, level in shares})
        values = [[np.mean(shares.get((n, v), [math.nan])) for v in levels] for n in names]
        return cls(names, levels, np.array(values))

    def plot(
        self, what: str, task: str, finder: str, unit: str, norm: Normalize, form: str
    ) -> Plot:
        """A heat map in percent, named after `what`; `form` writes shares in the description."""
        names, levels = list(map(_short, self.names)), list(map(str, self.levels))
        figure, axes = grid(len(names), names, levels)
        title(axes, style.truncate(f"{finder} on {task}", 40))
        axes.set_xlabel("level")
        cells(figure, axes, self.values, norm, "cividis", unit, lambda v: f"{100 * v:.3g}")
        last = zip(self.names, self.values[:, -1], strict=True)
        text = f"At level {levels[-1]}: {', '.join(f'{name} {v:{form}}' for name, v in last)}."
        file_name = style.file_name(what, task, finder)
        columns = [f"level {level}" for level in levels]
        tips = cell_tips(self.names, columns, self.values, lambda v: f"{share(v)} {unit}")
        return Plot(file_name, f"{finder} on {task}: {what}", text, figure, cells=tips)


def _short(name: str) -> str:
    """The end of a weight's name, where names of layers differ, without /kernel."""
    name = name.removesuffix("/kernel")
    return name if len(name) <= 23 else f"…{name[-22:]}"


def _natural(name: str) -> list[tuple[int, int, str]]:
    """A sort key that puts layer 10 after layer 9."""
    parts = re.findall(r"\d+|\D+", name)
    return [(0, int(p), "") if p.isdigit() else (1, 0, p) for p in parts]
