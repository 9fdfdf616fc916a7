"""Lines, one a finder, with their intervals and with names at their ends or in a legend."""

import math
from collections.abc import Callable, Sequence
from typing import Any, Protocol

import matplotlib
import numpy as np
from matplotlib import ticker
from matplotlib.axes import Axes

from ltx.analysis.curves import Curve
from ltx.analysis.paired_tests import Interval
from ltx.reporting.figures import style
from ltx.reporting.format import plural, share

_LETTER = 0.56 * style.FONT  # mean width of a letter, in points
_LONGEST = 18  # letters of a label
_MOST_NAMED = 6  # lines that have room for their names at their ends; more have a legend
_MOST_TOLD = 40  # letters of a name in a tip
NAME = "name"  # the gid of a name that the page omits, since its key has it


class PlotSeries(Protocol):
    """What `draw` takes: the points of one finder, and its position in the study."""

    @property
    def finder(self) -> str: ...
    @property
    def control(self) -> bool: ...
    @property
    def position(self) -> int: ...
    @property
    def points(self) -> Sequence[Any]: ...


def density_axis(axes: Axes, curves: Sequence[PlotSeries]) -> None:
    """A logarithmic x-axis of density, which falls to the right as tickets get sparser."""
    least = min(point.density for curve in curves for point in curve.points)
    axes.set_xscale("log")
    axes.set_xlim(1.1, min(least / 1.1, 0.9))
    if least > 0.25:  # where a decade's ticks are too few
        axes.xaxis.set_major_locator(ticker.MaxNLocator(5, steps=[1, 2, 5, 10], min_n_ticks=3))
    else:
        axes.xaxis.set_major_locator(ticker.LogLocator(subs=(1,) if least < 0.02 else (1, 2, 5)))
    style.percent(axes.xaxis)
    axes.xaxis.set_minor_locator(ticker.NullLocator())


def draw(
    axes: Axes,
    curves: Sequence[PlotSeries],
    x_of: Callable[[Any], float],
    y_of: Callable[[Any], Interval],
    tell: Callable[[Any], str],
    bars: bool = False,
    most: float = math.inf,
) -> dict[str, list[str]]:
    """Draw a line for each curve with its intervals, as bands or as bars, and name it.

    Points with a NaN x or without values are omitted, and no interval is drawn above `most` or, of
    means that are not negative, below zero. Returns the plot's tips: what `tell` says of
    each point that is drawn, by the gid of its line.
    """
    ends = []
    tips: dict[str, list[str]] = {}
    for curve in curves:
        points = [
            (x, i, point)
            for point in curve.points
            if (i := y_of(point)).count and not math.isnan(x := x_of(point))
        ]
        if not points:
            continue
        x, y, low, high = np.array([(a, i.mean, i.low, i.high) for a, i, _ in points]).T
        colour, marker = style.style_of(curve.position)
        dashed: Any = {"linestyle": "--", "markerfacecolor": style.PAPER} if curve.control else {}
        name = style.truncate(curve.finder, _LONGEST)
        gid, said = f"line-{len(tips)}", style.truncate(curve.finder, _MOST_TOLD)
        axes.plot(x, y, color=colour, marker=marker, label=name, gid=gid, **dashed)
        tips[gid] = [f"{said}: {tell(point)}" for _, _, point in points]
        if bars:
            axes.vlines(x, low, high, color=colour, linewidth=0.8, alpha=0.5)
        else:
            axes.fill_between(x, low, high, color=colour, alpha=0.14, linewidth=0)
        ends.append((x, y, name, curve.position))
    low, high = axes.get_ylim()  # an interval may reach beyond the possible values
    positive = all((y >= 0).all() for _, y, _, _ in ends)
    axes.set_ylim(max(low, 0) if positive else low, min(high, most))
    if len(ends) > _MOST_NAMED:
        _legend(axes)
    else:
        name_ends(axes, ends, NAME)
    return tips


def _legend(axes: Axes) -> None:
    """Name the lines below the plot, which gets the width that names at its right would need."""
    names = axes.get_legend_handles_labels()[1]
    figure = axes.get_figure(root=True)
    assert figure is not None
    room = 0.17 * math.ceil(len(names) / 3) + 0.05
    height = style.HEIGHT + room
    figure.set_size_inches(style.WIDTH, height)
    axes.set_position(
        (0.165, (0.15 * style.HEIGHT + room) / height, 0.765, 0.755 * style.HEIGHT / height)
    )
    with matplotlib.rc_context(style.STYLE):
        appearance: Any = {"frameon": False, "fontsize": style.FONT - 1.5, "columnspacing": 1.0}
        figure.legend(loc="lower left", ncols=3, borderaxespad=0.2, labelspacing=0.3, **appearance)


def name_ends(
    axes: Axes, ends: Sequence[tuple[np.ndarray, np.ndarray, str, int]], gid: str | None = None
) -> None:
    """Write each line's name beside its end, where it covers least.

    `ends` holds the x and y of a line, its name, and the position of its finder. `gid` is that of
    all names.
    """
    axes.autoscale_view()
    pixels = [axes.transData.transform(np.column_stack([x, y])) for x, y, _, _ in ends]
    taken = np.concatenate(pixels) if pixels else np.empty((0, 2))
    right, height = style.WIDTH * 72, style.FONT * 1.1
    frame = axes.bbox
    boxes: list[tuple[float, float, float, float]] = []
    for (_, _, text, position), line in sorted(
        zip(ends, pixels, strict=True), key=lambda pair: -pair[1][-1][1]
    ):
        width, (x, y) = _LETTER * len(text), line[-1]
        best = None
        for rise in sorted(range(-6, 7), key=abs):
            for left in (x + 5, x - width - 5):
                bottom = y + rise * height * 0.5 - height / 2
                box = (left, bottom, left + width, bottom + height)
                cost = 2.0 * abs(rise) + 8 * (left < x)
                cost += 60 * sum(_overlap(box, other) for other in boxes)
                cost += 6 * np.sum(
                    (taken[:, 0] > box[0])
                    & (taken[:, 0] < box[2])
                    & (taken[:, 1] > box[1])
                    & (taken[:, 1] < box[3])
                )
                cost += 1000 * (box[2] > right or box[0] < frame.x0 or box[1] < frame.y0 - 4)
                if best is None or cost < best[0]:
                    best = (cost, box)
        assert best is not None
        boxes.append(best[1])
        left, middle = axes.transAxes.inverted().transform(
            (best[1][0], (best[1][1] + best[1][3]) / 2)
        )
        axes.figure.text(
            left,
            middle,
            text,
            color=style.text_colour(position),
            va="center",
            transform=axes.transAxes,
            gid=gid,
            fontsize=style.FONT,
        )


def _overlap(one: Sequence[float], other: Sequence[float]) -> bool:
    return (
        one[0] < other[2] and other[0] < one[2] and one[1] < other[3] - 1 and other[1] < one[3] - 1
    )


def draw_metric(
    axes: Axes,
    curves: Sequence[Curve],
    x_of: Callable[[Any], float],
    tell: Callable[[Any], str],
    bars: bool = False,
) -> dict[str, list[str]]:
    """Draw the metric of each curve; of a share there is none above 100 %."""
    most = 1.005 if curves[0].metric.is_share else math.inf
    return draw(axes, curves, x_of, lambda point: point.value, tell, bars, most)


def at_density(point: Any) -> str:
    """Where a point is, for its tip."""
    return f"at density {share(point.density)}, {plural(point.seeds, 'seed')}"


def describe_ends(series: PlotSeries, write: Callable[[Any], str]) -> str:
    """A text of the first and the last point; of one, if both have the same density."""
    first, last = series.points[0], series.points[-1]
    text = f"{series.finder}: {write(first)} at density {first.density:.1%}"
    if math.isclose(first.density, last.density):
        return text
    return f"{text}, {write(last)} at {last.density:.1%}"
