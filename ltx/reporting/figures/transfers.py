"""Maps of sources and targets of carried tickets."""

import math
from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.colors import Normalize, TwoSlopeNorm

from ltx.analysis import transfer
from ltx.analysis.transfer import TransferResult
from ltx.reporting.figures import heat_map, style
from ltx.reporting.figures.style import Plot


def maps(found: Sequence[TransferResult]) -> list[Plot]:
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
