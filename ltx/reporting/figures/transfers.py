"""Maps of sources and targets of carried tickets."""

import math
from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.colors import Normalize, TwoSlopeNorm

from ltx.analysis import transfer
from ltx.analysis.transfer import TransferResult
from ltx.reporting.figures import heat_map, style
from ltx.reporting.figures.style import Plot


def maps(results: Sequence[TransferResult]) -> list[Plot]:
    """Maps of sources and targets: native accuracies, then the gap to them, one map per carry.

    All at the last level that everything carried reached; no maps of one source and one target.
    """
    cells = list(transfer.sparsest(results).values())
    if len({(one.source, one.task) for one in cells}) < 2:
        return []
    labels, level = transfer.carry_labels(results), cells[0].level
    tasks = list(dict.fromkeys(one.task for one in cells))
    gaps = [abs(100 * one.gap.mean) for one in cells if one.gap]
    norm = TwoSlopeNorm(0, -max([0.1, *gaps]), max([0.1, *gaps]))
    plots = [_natives(cells, tasks, level)]
    for label in dict.fromkeys(labels.values()):
        values = {
            (one.source, one.task): round(100 * one.gap.mean, 1)
            for one in cells
            if labels[one.finder] == label and one.gap
        }
        sources = dict.fromkeys(one.source for one in cells if labels[one.finder] == label)
        heading = f"{label}: points above native, level {level}"
        colours = (norm, "PuOr", "points")
        plots.append(
            _map(("transfers", label), heading, values, list(sources), tasks, colours, "{:+z.1f}")
        )
    return plots


def _natives(cells: Sequence[TransferResult], tasks: Sequence[str], level: int) -> Plot:
    """The native and dense accuracies on these tasks."""
    values = {}
    for one in cells:
        if one.native_accuracy:
            native = f"native, {one.renewed}" if one.renewed else one.native
            values[native, one.task] = 100 * one.native_accuracy.mean
        if one.dense_accuracy:
            values["dense", one.task] = 100 * one.dense_accuracy.mean
    rows = sorted({row for row, _ in values} | {"dense"}, key=lambda row: row == "dense")
    low, high = min(values.values(), default=0), max(values.values(), default=0)
    colours = (Normalize(low - 0.1, high + 0.1), "cividis", "percent")
    heading = f"native: test accuracy, level {level}"
    return _map(("transfers", "native"), heading, values, rows, tasks, colours, "{:.1f}")


def _map(
    name: tuple[str, str],
    heading: str,
    values: Mapping[tuple[str, str], float],
    rows: Sequence[str],
    columns: Sequence[str],
    colours: tuple[Normalize, str, str],
    form: str,
) -> Plot:
    """A heat map of {(row, column): value}; missing values are dashes."""
    grid = np.array([[values.get((row, column), math.nan) for column in columns] for row in rows])
    figure, axes = heat_map.grid(len(rows), rows, columns)
    heat_map.title(axes, style.truncate(heading, 48))
    axes.set_xlabel("target")
    heat_map.cells(figure, axes, grid, *colours, form.format)
    told = heat_map.told(rows, columns, grid, lambda v: f"{form.format(v)} {colours[2]}")
    text = "; ".join(
        f"{row} on {column}: "
        + (form.format(values[row, column]) if (row, column) in values else "missing")
        for row in rows
        for column in columns
    )
    return Plot(style.file_name(*name), f"Transfer: {heading}", text, figure, cells=told)
