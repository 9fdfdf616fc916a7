"""Effective shares of masks by density, and overlaps of masks between finders."""

import dataclasses
import math
from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.colors import TwoSlopeNorm

from ltx.analysis.curves import Curve
from ltx.analysis.mask_similarity import MaskSimilarity, are_near
from ltx.analysis.paired_tests import Interval
from ltx.reporting.figures import heat_map, lines, style
from ltx.reporting.figures.style import Plot
from ltx.reporting.format import measure


@dataclasses.dataclass(frozen=True)
class SharePoint:
    """The effective share of the surviving weights of one level, over seeds."""

    density: float
    share: Interval

    @property
    def seeds(self) -> int:
        return self.share.count


@dataclasses.dataclass(frozen=True)
class ShareCurve:
    """One finder's effective shares, level by level; `position` is its own in the study."""

    finder: str
    control: bool
    position: int
    points: tuple[SharePoint, ...]


def effective(task: str, curves: Sequence[Curve], trials: Sequence[Mapping]) -> Plot | None:
    """The effective share of the surviving weights by density; None where none was measured.

    `trials` are the lines of `tables.trials`.
    """
    shown = _shares(task, curves, trials)
    if not shown:
        return None
    figure, axes = style.axes(task, style.DENSITY, "effective share of these")
    lines.density_axis(axes, shown)
    style.percent(axes.yaxis)
    tips = lines.draw(
        axes,
        shown,
        lambda point: point.density,
        lambda point: point.share,
        lambda point: f"{measure(point.share, unit=True)} {lines.at_density(point)}",
    )
    low, high = axes.get_ylim()
    axes.set_ylim(max(low, 0), min(max(high, low + 0.02), 1.02))
    text = "; ".join(
        f"{curve.finder}: {curve.points[-1].share.mean:.1%} of the weights kept at density"
        f" {curve.points[-1].density:.2%}"
        for curve in shown
    )
    title = f"{task}: effective weights"
    return Plot(style.file_name("effective", task), title, text, figure, tips)


def _shares(task: str, curves: Sequence[Curve], trials: Sequence[Mapping]) -> list[ShareCurve]:
    shares: dict[tuple[str, int], list[float]] = {}
    for line in trials:
        if line["task"] == task and line.get("effective_density") is not None:
            level = line["finder"], line["level"]
            shares.setdefault(level, []).append(line["effective_density"] / line["density"])
    series = []
    for curve in curves:
        points = tuple(
            SharePoint(point.density, Interval.of(shares[curve.finder, point.level]))
            for point in curve.points
            if (curve.finder, point.level) in shares
        )
        if points:
            series.append(ShareCurve(curve.finder, curve.control, curve.position, points))
    return series


def overlaps(task: str, similarities: Sequence[MaskSimilarity]) -> Plot | None:
    """The overlap of finders' masks beyond chance, at the sparsest density that all reached.

    On the diagonal it is between seeds. None unless two finders can be compared.
    """
    similarities = [one for one in similarities if one.task == task]
    finders = list(dict.fromkeys(name for one in similarities for name in (one.finder, one.other)))
    if all(one.is_between_seeds for one in similarities):
        return None
    least: dict[str, float] = {}
    for one in similarities:
        for name, density in ((one.finder, one.density), (one.other, one.other_density)):
            least[name] = min(density, least.get(name, 1.0))
    target = max(least.values())
    values = np.full((len(finders), len(finders)), math.nan)
    for pair in {(one.finder, one.other) for one in similarities}:
        own = [one for one in similarities if (one.finder, one.other) == pair]
        near = min(own, key=lambda one: abs(math.log(one.density / target)))
        if are_near(near.density, target):
            row, column = map(finders.index, pair)
            excess = 100 * (near.whole.shared - near.whole.chance_shared)
            values[row, column] = values[column, row] = excess
    if not np.isfinite(values).any():
        return None
    numbers = [str(number) for number, _ in enumerate(finders, 1)]
    names = [f"{name} {number}" for name, number in zip(finders, numbers, strict=True)]
    figure, axes = heat_map.grid(len(finders), names, numbers)
    heat_map.title(axes, style.truncate(f"{task}, near density {target:.1%}", 48))
    reach = max([1.0, *np.abs(values[np.isfinite(values)])])
    norm = TwoSlopeNorm(0, -reach, reach)
    heat_map.cells(figure, axes, values, norm, "PuOr", "points", lambda v: f"{v:+.1f}")
    tips = heat_map.cell_tips(finders, finders, values, lambda v: f"{v:+.1f} points")
    text = "; ".join(
        f"{one} and {other}: " + ("missing" if math.isnan(v) else f"{v:+.1f} points")
        for (row, one) in enumerate(finders)
        for other, v in list(zip(finders, values[row], strict=True))[row:]
    )
    title = f"{task}: overlap beyond chance near density {target:.1%}"
    return Plot(style.file_name("overlap", task), title, text, figure, cells=tips)
