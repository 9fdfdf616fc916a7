"""Maps of sources and targets of carried tickets."""

import math
from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.colors import Normalize, TwoSlopeNorm

from ltx.analysis import transfer
from ltx.analysis.grouping import group
from ltx.analysis.transfer import TransferResult
from ltx.core.objectives.metric import Metric
from ltx.reporting.figures import heat_map, style
from ltx.reporting.figures.style import Plot


def maps(results: Sequence[TransferResult]) -> list[Plot]:
    """Maps of sources and targets: native values, then the gap to them, one map per carry.

    All at the last level that everything carried reached; no maps of one source and one target.
    Targets with different metrics have maps of their own.
    """
    cells = list(transfer.sparsest(results).values())
    if len({(one.source, one.task) for one in cells}) < 2:
        return []
    labels = transfer.carry_labels(results)
    by_metric = group(cells, lambda one: one.metric)
    return [
        plot
        for metric, own in by_metric.items()
        for plot in _maps(own, labels, metric, (metric.name,) * (len(by_metric) > 1))
    ]


def _maps(
    cells: Sequence[TransferResult],
    labels: Mapping[str, str],
    metric: Metric,
    name: tuple[str, ...],
) -> list[Plot]:
    """The maps of the targets with one metric; `name` is a part of their files' names."""
    level, scale = cells[0].level, metric.scale
    tasks = list(dict.fromkeys(one.task for one in cells))
    gaps = [abs(scale * one.gap.mean) for one in cells if one.gap]
    least = 0.1 if metric.is_share else 1e-9
    norm = TwoSlopeNorm(0, -max([least, *gaps]), max([least, *gaps]))
    plots = [_natives(cells, tasks, level, metric, name)]
    for label in dict.fromkeys(labels[one.finder] for one in cells):
        values = {
            (one.source, one.task): round(100 * one.gap.mean, 1)
            if metric.is_share
            else scale * one.gap.mean
            for one in cells
            if labels[one.finder] == label and one.gap
        }
        sources = dict.fromkeys(one.source for one in cells if labels[one.finder] == label)
        above = "above" if metric.higher_is_better else "better than"
        heading = f"{label}: {metric.difference_unit} {above} native, level {level}"
        colours = (norm, "PuOr", metric.difference_unit)
        form = "{:+z.1f}" if metric.is_share else "{:+z.3g}"
        where = ("transfers", *name, label)
        plots.append(_map(where, heading, values, list(sources), tasks, colours, form))
    return plots


def _natives(
    cells: Sequence[TransferResult],
    tasks: Sequence[str],
    level: int,
    metric: Metric,
    name: tuple[str, ...],
) -> Plot:
    """The native and dense values on these tasks."""
    values = {}
    for one in cells:
        if one.native_value:
            native = f"native, {one.renewed}" if one.renewed else one.native
            values[native, one.task] = metric.scale * one.native_value.mean
        if one.dense_value:
            values["dense", one.task] = metric.scale * one.dense_value.mean
    rows = sorted({row for row, _ in values} | {"dense"}, key=lambda row: row == "dense")
    low, high = min(values.values(), default=0), max(values.values(), default=0)
    unit = "percent" if metric.is_share else metric.unit or metric.name
    room = 0.1 if metric.is_share else 0.02 * max(abs(low), abs(high)) or 0.1
    colours = (Normalize(low - room, high + room), "cividis", unit)
    heading = f"native: test {metric.name}, level {level}"
    form = "{:.1f}" if metric.is_share else "{:.4g}"
    return _map(("transfers", *name, "native"), heading, values, rows, tasks, colours, form)


def _map(
    name: tuple[str, ...],
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
    tips = heat_map.cell_tips(rows, columns, grid, lambda v: f"{form.format(v)} {colours[2]}")
    text = "; ".join(
        f"{row} on {column}: "
        + (form.format(values[row, column]) if (row, column) in values else "missing")
        for row in rows
        for column in columns
    )
    return Plot(style.file_name(*name), f"Transfer: {heading}", text, figure, cells=tips)
