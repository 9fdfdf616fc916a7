"""Maps of the masks of a large ticket: where in each layer weights survive."""

import math
from collections.abc import Mapping

import matplotlib
import numpy as np
from matplotlib.colors import to_rgb

from ltx.reporting.figures import style, wiring
from ltx.reporting.figures.style import Plot
from ltx.reporting.format import share

MOST_LAYERS, MOST_CELLS = 24, 48  # maps in a figure, cells along each side of one


def plot(task: str, finder: str, where: str, masks: Mapping[str, np.ndarray]) -> Plot:
    """A map for each layer, inputs from top to bottom and outputs from left to right.

    The darker a cell, the larger the share of its weights that survives.
    """
    shown = list(masks.items())[:MOST_LAYERS]
    columns = min(len(shown), max(3, math.ceil(math.sqrt(2 * len(shown)))))
    figure, axes = wiring.canvas(f"{finder} on {task}, {where}")
    rows = math.ceil(len(shown) / columns)
    colour = np.array([*to_rgb(style.COLOURS[0]), 0.0])
    tips: dict[str, list[str]] = {}
    for number, (name, keep) in enumerate(shown):
        row, column = divmod(number, columns)
        cells = binned(keep)
        pixels = np.tile(colour, (*cells.shape, 1))
        pixels[..., 3] = cells / max(cells.max(), 1e-12)
        box = (column + 0.06, column + 0.94, -row - 0.8, -row - 0.02)
        axes.imshow(pixels, extent=box, aspect="auto", interpolation="none")
        left, right, low, high = box
        with matplotlib.rc_context(style.STYLE):
            x, y = (left, right, right, left, left), (low, low, high, high, low)
            axes.plot(x, y, color=style.FAINT, linewidth=0.5)
            axes.plot(
                left + 0.02, low - 0.1, "o", color=style.INK, markersize=3, gid=f"map-{number}"
            )
        label, most = name.removesuffix("/kernel"), max(7, 40 // columns)
        label = label if len(label) <= most else f"…{label[1 - most :]}"
        wiring.write(axes, left + 0.02 * (1 + columns), low - 0.1, label, va="center")
        tips[f"map-{number}"] = [_told(name, keep)]
    axes.set_xlim(0, columns)
    axes.set_ylim(-rows, 0.02)
    text = "; ".join(_told(name, keep) for name, keep in shown)
    if len(masks) > len(shown):
        text += f"; {len(masks) - len(shown)} more layers are not shown"
    name = style.file_name("wiring", task, finder)
    return Plot(name, f"{finder} on {task}: masks at {where}", text, figure, tips)


def binned(keep: np.ndarray) -> np.ndarray:
    """The share of survivors in cells of equal size, inputs by outputs."""
    flat = keep.reshape(-1, keep.shape[-1])
    for axis in (0, 1):
        edges = np.linspace(0, flat.shape[axis], min(MOST_CELLS, flat.shape[axis]) + 1).astype(int)
        sums = np.add.reduceat(flat.astype(np.float64), edges[:-1], axis=axis)
        flat = sums / np.expand_dims(np.diff(edges), 1 - axis)
    return flat


def _told(name: str, keep: np.ndarray) -> str:
    return f"{name} {'x'.join(map(str, keep.shape))}: {share(keep.mean())} survive"
