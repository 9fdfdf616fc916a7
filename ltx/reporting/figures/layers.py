"""Each layer at each level: the density of its weights, the share of its units that are dead."""

import math
from collections.abc import Mapping, Sequence

from matplotlib.colors import LogNorm, Normalize

from ltx.reporting.figures.heat_map import LayerMap
from ltx.reporting.figures.style import Plot


def densities(task: str, finder: str, lines: Sequence[Mapping]) -> Plot:
    """The density of every layer at every level, a mean over seeds; empty layers are crossed."""
    values: dict[tuple[str, int], list[float]] = {}
    for line in lines:
        values.setdefault((line["layer"], line["level"]), []).append(line["density"])
    layers = LayerMap.of(values)
    least = min((v for v in layers.values.flat if v > 0), default=0.1)
    norm = LogNorm(min(0.1, 10 ** math.floor(math.log10(least))), 1)
    return layers.plot("layers", task, finder, "density", norm, ".2%")


def dead_units(task: str, finder: str, lines: Sequence[Mapping]) -> Plot | None:
    """The share of dead units of every layer at every level; None where none is dead or measured.

    `lines` are those of `tables.layers`, of one finder on one task.
    """
    values: dict[tuple[str, int], list[float]] = {}
    for line in lines:
        if line.get("units"):
            cell = line["layer"], line["level"]
            values.setdefault(cell, []).append(line["dead_units"] / line["units"])
    if not any(any(shares) for shares in values.values()):
        return None
    return LayerMap.of(values).plot("dead units", task, finder, "dead", Normalize(0, 1), ".1%")
