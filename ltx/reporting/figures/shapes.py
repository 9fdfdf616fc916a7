"""Shapes of plots on the page, which differ from those of the files of figures."""

import contextlib
import dataclasses
from collections.abc import Iterator

from matplotlib.figure import Figure
from matplotlib.text import Text

from ltx.reporting.figures import style
from ltx.reporting.figures.lines import NAME
from ltx.reporting.figures.style import Plot


@dataclasses.dataclass(frozen=True)
class Shape:
    """Width and height of plots of lines in inches, and the size of their letters in points.

    Letters are laid out as large as a phone needs them; the style sheet makes them smaller on wider
    pages, where the plot is scaled up.
    """

    width: float
    height: float
    letters: float


ALONE, BESIDE = Shape(7.2, 3.5, 14), Shape(4.6, 2.9, 10)


@contextlib.contextmanager
def shaped(plot: Plot, shape: Shape) -> Iterator[tuple[float, float, float, float]]:
    """Give the figure this shape for a while, without the names that the page's key has.

    Yields the left, the top, the width and the height of its axes in points.
    """
    figure, scale = plot.figure, shape.letters / style.FONT
    texts = figure.findobj(Text)
    sizes = [float(text.get_fontsize()) for text in texts]
    names = [*(text for text in figure.texts if text.get_gid() == NAME), *figure.legends]
    positions = [axes.get_position() for axes in figure.axes]
    inches = figure.get_size_inches().copy()
    try:
        for text, size in zip(texts, sizes, strict=True):
            text.set_fontsize(size * scale)
        for name in names:
            name.set_visible(False)
        if plot.cells:
            _stretch(figure, shape.width, scale)
        else:
            _resize(figure, shape, scale)
        box = figure.axes[0].get_window_extent()
        yield box.x0, figure.bbox.height - box.y1, box.width, box.height
    finally:
        for text, size in zip(texts, sizes, strict=True):
            text.set_fontsize(size)
        for name in names:
            name.set_visible(True)
        figure.set_size_inches(*inches)
        for axes, position in zip(figure.axes, positions, strict=True):
            axes.set_position(position)


def _resize(figure: Figure, shape: Shape, scale: float) -> None:
    """Make a plot of lines so large, with room for its letters."""
    figure.set_size_inches(shape.width, shape.height)
    named = any(text.get_gid() != NAME for text in figure.texts)
    bare = not len(figure.axes[0].get_yticks())
    left, right = (
        (0.1 if bare else 0.68) * scale / shape.width,
        (0.7 if named else 0.25) * scale / shape.width,
    )
    low, high = (0.05 if bare else 0.47) * scale / shape.height, 0.28 * scale / shape.height
    figure.axes[0].set_position((left, low, 1 - left - right, 1 - low - high))


def _stretch(figure: Figure, width: float, scale: float) -> None:
    """Make a heat map so wide; all but its cells are only scaled."""
    before, height = figure.get_size_inches()
    figure.set_size_inches(width, height * scale)
    cells, bar = (axes.get_position() for axes in figure.axes)
    left, right = cells.x0 * before * scale, (before - cells.x1 * before) * scale
    figure.axes[0].set_position(
        (left / width, cells.y0, 1 - (left + right) / width, cells.height),
    )
    gap = (bar.x0 - cells.x1) * before * scale
    thick = bar.width * before * scale
    figure.axes[1].set_position(
        (1 - (right - gap) / width, bar.y0, thick / width, bar.height),
    )
