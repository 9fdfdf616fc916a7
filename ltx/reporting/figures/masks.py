"""Mask figures: what of a study's masks is effective, and how much they overlap."""

import dataclasses
import math
from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.colors import Normalize, TwoSlopeNorm

from ltx.analysis.curves import Curve
from ltx.analysis.mask_similarity import MaskSimilarity, are_near
from ltx.analysis.paired_tests import Interval
from ltx.reporting.figures import heat_map, style
from ltx.reporting.figures.layer_map import LayerMap
from ltx.reporting.figures.style import Plot


def effective(task: str, curves: Sequence[Curve], trials: Sequence[Mapping]) -> Plot | None:
    """The share of the surviving weights that is effective, by density; None where none is known.

    `trials` are the lines of `export.trials`.
    """
    shares: dict[tuple[str, int], list[float]] = {}
    for line in trials:
        if line["task"] == task and line.get("effective_density") is not None:
            place = line["finder"], line["level"]
            shares.setdefault(place, []).append(line["effective_density"] / line["density"])
    shown = []
    for curve in curves:
        points = tuple(
            # The plot's height, in the place of another one.
            dataclasses.replace(point, accuracy=Interval.of(shares[curve.finder, point.level]))
            for point in curve.points
            if (curve.finder, point.level) in shares
        )
        if points:
            shown.append(dataclasses.replace(curve, points=points))
    if not shown:
        return None
    figure, axes = style.axes(task, style.DENSITY, "effective share of these")
    style.by_density(axes, shown)
    style.percent(axes.yaxis)
    style.lines(axes, shown, lambda point: point.density, lambda point: point.accuracy)
    low, high = axes.get_ylim()
    axes.set_ylim(max(low, 0), min(max(high, low + 0.02), 1.02))
    text = "; ".join(
        f"{curve.finder}: {curve.points[-1].accuracy.mean:.1%} of the weights kept at density"
        f" {curve.points[-1].density:.2%}"
        for curve in shown
    )
    return Plot(style.file_name("effective", task), f"{task}: effective weights", text, figure)


def dead_units(task: str, finder: str, lines: Sequence[Mapping]) -> Plot | None:
    """The share of dead units of every layer at every level; None where none is dead or known.

    `lines` are those of `export.layers`, of one finder on one task.
    """
    found: dict[tuple[str, int], list[float]] = {}
    for line in lines:
        if line.get("units"):
            place = line["layer"], line["level"]
            found.setdefault(place, []).append(line["dead_units"] / line["units"])
    if not any(any(shares) for shares in found.values()):
        return None
    return LayerMap.of(found).plot("dead units", task, finder, "dead", Normalize(0, 1), ".1%")


def overlaps(task: str, found: Sequence[MaskSimilarity]) -> Plot | None:
    """What finders' masks share beyond chance, at the sparsest density that all reached.

    On the diagonal between seeds. None unless two finders can be compared.
    """
    found = [one for one in found if one.task == task]
    finders = list(dict.fromkeys(name for one in found for name in (one.finder, one.other)))
    if all(one.is_between_seeds for one in found):
        return None
    least: dict[str, float] = {}
    for one in found:
        for name, density in ((one.finder, one.density), (one.other, one.other_density)):
            least[name] = min(density, least.get(name, 1.0))
    wanted = max(least.values())
    values = np.full((len(finders), len(finders)), math.nan)
    for pair in {(one.finder, one.other) for one in found}:
        own = [one for one in found if (one.finder, one.other) == pair]
        near = min(own, key=lambda one: abs(math.log(one.density / wanted)))
        if are_near(near.density, wanted):
            row, column = map(finders.index, pair)
            beyond = 100 * (near.whole.shared - near.whole.chance_shared)
            values[row, column] = values[column, row] = beyond
    if not np.isfinite(values).any():
        return None
    numbers = [str(number) for number, _ in enumerate(finders, 1)]
    names = [f"{name} {number}" for name, number in zip(finders, numbers, strict=True)]
    figure, axes = heat_map.grid(len(finders), names, numbers)
    heat_map.title(axes, style.truncate(f"{task}, near density {wanted:.1%}", 48))
    reach = max([1.0, *np.abs(values[np.isfinite(values)])])
    norm = TwoSlopeNorm(0, -reach, reach)
    heat_map.cells(figure, axes, values, norm, "PuOr", "points", lambda v: f"{v:+.1f}")
    text = "; ".join(
        f"{one} and {other}: " + ("missing" if math.isnan(v) else f"{v:+.1f} points")
        for (row, one) in enumerate(finders)
        for other, v in list(zip(finders, values[row], strict=True))[row:]
    )
    title = f"{task}: overlap beyond chance near density {wanted:.1%}"
    return Plot(style.file_name("overlap", task), title, text, figure)
