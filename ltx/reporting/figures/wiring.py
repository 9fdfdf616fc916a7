"""The wiring of a small ticket: units as dots, surviving weights as lines."""

import dataclasses
import itertools
from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import PathPatch
from matplotlib.path import Path

from ltx.reporting.figures import style
from ltx.reporting.figures.style import Plot
from ltx.reporting.format import plural

MOST_LINES, MOST_UNITS = 3000, 1500
_WIDTHS = (0.3, 0.7, 1.2, 1.9)  # of lines, in points, by quarters of the largest magnitude
_LONGEST = 14  # letters of a layer's name below its dots
_DOT = 3.2  # the size of dots, in points
_FEW = 300  # lines between two layers that can be told apart
_MOST_TITLED = 18  # layers of a ticket that has room for their names


@dataclasses.dataclass(frozen=True)
class Connections:
    """What survives between two layers of units, by the layer's name.

    `keep` is bool [from, to], a unit of a convolution being a channel; `values` are the weights, or
    of a kernel's weights between two channels the largest, NaN where they are not known.
    """

    name: str
    keep: np.ndarray
    values: np.ndarray


def connections(
    masks: Mapping[str, np.ndarray], weights: Mapping[str, np.ndarray]
) -> list[Connections] | None:
    """The connections of a chain of layers in the mask's order; None where they are no chain.

    Kernels are dense or convolutions. The inputs of each are the outputs of the one before it, of
    which each may be there several times, as behind a flattened feature map.
    """
    chain: list[Connections] = []
    for name, keep in masks.items():
        if keep.ndim < 2:
            return None
        before = chain[-1].keep.shape[1] if chain else keep.shape[-2]
        inputs, outputs = keep.shape[-2:]
        if inputs % before or (keep.ndim > 2 and inputs != before):
            return None
        values = weights.get(name, np.zeros(keep.shape))
        rows = (-1, before, outputs)
        kept, signed = keep.reshape(rows), np.where(keep, values, 0).reshape(rows)
        largest = np.abs(np.nan_to_num(signed)).argmax(axis=0)
        shown = np.take_along_axis(signed, largest[None], axis=0)[0]
        shown = shown if name in weights else np.full_like(shown, np.nan)
        joined = np.asarray(kept.any(axis=0))
        chain.append(Connections(name.removesuffix("/kernel"), joined, shown))
    return chain or None


def alive(chain: Sequence[Connections]) -> list[np.ndarray]:
    """Which units of each layer, inputs first, have a survivor on each side that they have."""
    living: list[np.ndarray] = [np.ones(len(chain[0].keep), np.bool_)]
    for one in chain:
        living[-1] &= one.keep.any(axis=1)
        living.append(np.asarray(one.keep.any(axis=0)))
    return living


def fits(chain: Sequence[Connections]) -> bool:
    """Whether there is room for all lines and dots."""
    lines = sum(int(one.keep.sum()) for one in chain)
    return lines <= MOST_LINES and sum(map(len, alive(chain))) <= MOST_UNITS


def plot(task: str, finder: str, where: str, chain: Sequence[Connections]) -> Plot:
    """The wiring of one ticket; `where` says which, as in "level 3, seed 0"."""
    living = alive(chain)
    figure, axes = canvas(f"{finder} on {task}, {where}")
    names = ["inputs", *(one.name for one in chain)]
    axes.set_xlim(-0.35, len(chain) + 0.35)
    axes.set_ylim(-0.14, 1.05)
    heights = [_heights(len(units)) for units in living]
    for place, one in enumerate(chain):
        _draw_lines(axes, place, one, heights[place], heights[place + 1])
    tips: dict[str, list[str]] = {}
    for place, units in enumerate(living):
        feeds = chain[place - 1].keep.sum(axis=0) if place else None
        reads = chain[place].keep.sum(axis=1) if place < len(chain) else None
        tips |= _draw_units(axes, place, names[place], units, heights[place], feeds, reads)
        if len(names) <= _MOST_TITLED:
            label = style.truncate(names[place], max(4, round(_LONGEST * 4 / len(names))))
            write(axes, place, -0.05, label, ha="center", va="top")
    total = sum(int(one.keep.sum()) for one in chain)
    layers = ", ".join(
        f"{name} {int(units.sum())} of {len(units)}"
        for name, units in zip(names, living, strict=True)
    )
    text = f"{plural(total, 'line')} for surviving weights. Living units: {layers}."
    name = style.file_name("wiring", task, finder)
    return Plot(name, f"{finder} on {task}: wiring at {where}", text, figure, tips)


def canvas(heading: str) -> tuple[Figure, Axes]:
    """Empty axes without marks under a heading."""
    figure, axes = style.axes(heading, "", "")
    axes.set_position((0.03, 0.03, 0.94, 0.875))
    axes.grid(visible=False)
    axes.spines[:].set_visible(False)
    axes.set_xticks([])
    axes.set_yticks([])
    return figure, axes


def write(axes: Axes, x: float, y: float, text: str, **place: Any) -> None:
    """Write a small label in the colour of text."""
    axes.text(x, y, text, fontsize=style.FONT - 1.5, color=style.INK, **place)


def _heights(count: int) -> np.ndarray:
    """Where the units of a layer are, from the top; few of them stand in the middle."""
    reach = min(1.0, (count - 1) / 12)
    return np.linspace(0.5 + reach / 2, 0.5 - reach / 2, count)


def _draw_lines(
    axes: Axes, place: int, one: Connections, left: np.ndarray, right: np.ndarray
) -> None:
    """One path for all lines of a sign and a width, which keeps the page small."""
    rows, columns = np.nonzero(one.keep)
    values = one.values[rows, columns]
    known = np.isfinite(values)
    largest = np.abs(values[known]).max(initial=0.0) or 1.0
    share = np.where(known, np.abs(values) / largest, 0.5)
    widths = np.minimum((share * len(_WIDTHS)).astype(int), len(_WIDTHS) - 1)
    signs = np.where(known, np.sign(values), 0)
    colours = {1: style.COLOURS[0], -1: style.COLOURS[1], 0: style.INK}
    for sign, width in itertools.product(colours, range(len(_WIDTHS))):
        chosen = (signs == sign) & (widths == width)
        if not chosen.any():
            continue
        ends = np.stack(
            [
                np.column_stack([np.full(chosen.sum(), place), left[rows[chosen]]]),
                np.column_stack([np.full(chosen.sum(), place + 1), right[columns[chosen]]]),
            ],
            axis=1,
        )
        path = Path(ends.reshape(-1, 2), [Path.MOVETO, Path.LINETO] * int(chosen.sum()))
        path.should_simplify = False
        patch = PathPatch(path, fill=False, edgecolor=colours[sign], linewidth=_WIDTHS[width])
        patch.set_clip_on(False)
        patch.set_alpha(0.55 if len(rows) <= _FEW else 0.3)
        axes.add_patch(patch)


def _draw_units(
    axes: Axes,
    place: int,
    name: str,
    units: np.ndarray,
    heights: np.ndarray,
    feeds: np.ndarray | None,
    reads: np.ndarray | None,
) -> dict[str, list[str]]:
    """The dots of a layer, the dead ones grey; what they say, by the gid of their markers."""
    tips = {}
    dot = min(_DOT, max(1.0, 320 / max(len(units), 1)))
    with matplotlib.rc_context(style.STYLE):
        for kind, chosen, colour in (("dead", ~units, style.FAINT), ("unit", units, style.INK)):
            (rows,) = np.nonzero(chosen)
            if not len(rows):
                continue
            gid = f"{kind}-{place}"
            axes.plot(
                *(np.full(len(rows), place), heights[rows], "o"),
                color=colour,
                markersize=dot,
                markeredgewidth=0,
                gid=gid,
            )
            tips[gid] = [_told(name, kind, row, feeds, reads) for row in rows.tolist()]
    return tips


def _told(
    name: str, kind: str, row: int, feeds: np.ndarray | None, reads: np.ndarray | None
) -> str:
    parts = [
        f"{counts[row]} {end}"
        for counts, end in ((feeds, "in"), (reads, "out"))
        if counts is not None
    ]
    dead = ", dead" if kind == "dead" else ""
    return f"{name} {row}: {', '.join(parts)}{dead}"
