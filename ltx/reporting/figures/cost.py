"""The metric against the cost of finding and training: in steps, FLOPs and seconds."""

import math
from collections.abc import Callable, Sequence

from matplotlib import ticker
from matplotlib.axes import Axes

from ltx.analysis.curves import Curve, Point
from ltx.reporting.figures import lines, style
from ltx.reporting.figures.style import Plot
from ltx.reporting.format import brief, brief_duration, measure, si

_ROUND = (
    (1e-3, (1, 2, 5, 10, 20, 50, 100, 200, 500)),
    (1.0, (1, 2, 5, 10, 20, 30)),
    (60.0, (1, 2, 5, 10, 20, 30)),
    (3600.0, (1, 2, 5, 10)),
    (86400.0, (1, 2, 5, 10, 20, 50, 100)),
)
_MOST_MARKS = 6


def costs(task: str, curves: Sequence[Curve]) -> list[Plot]:
    """The metric against cost in steps, in FLOPs and, where any is known, in seconds."""
    plots = [
        _cost(task, curves, "steps", "dense-equivalent steps, finding and training"),
        _cost(task, curves, "FLOPs", "FLOPs of the weights that survive"),
    ]
    if any(not math.isnan(point.seconds) for curve in curves for point in curve.points):
        plots.append(_cost(task, curves, "seconds", "time, finding and training"))
    return plots


def _cost(task: str, curves: Sequence[Curve], name: str, axis: str) -> Plot:
    def cost(point: Point) -> float:
        return getattr(point, name.lower())

    many = [cost(point) for curve in curves for point in curve.points]
    metric = curves[0].metric
    known = [value for value in many if not math.isnan(value)]
    write = brief_duration if name == "seconds" else si
    figure, axes = style.metric_axes(task, axis, metric)
    if name == "seconds":
        _time_axis(axes, known)
    else:
        axes.set_xscale("log")
        style.si_prefixes(axes.xaxis)
        axes.xaxis.set_minor_locator(ticker.NullLocator())
        span = max(known) / max(1.0, min(known))
        if span < 8:  # where a decade's ticks are too few
            axes.xaxis.set_major_locator(ticker.MaxNLocator(4, steps=[1, 2, 5, 10], min_n_ticks=3))
        elif span < 30:
            axes.xaxis.set_major_locator(ticker.LogLocator(subs=(1, 2, 5)))
    unit = "" if name == "seconds" else f" {name}"
    tips = lines.draw_metric(
        axes,
        curves,
        cost,
        lambda point: (
            f"{measure(point.value, metric, unit=True)} for {write(cost(point))}{unit}"
            f" {lines.at_density(point)}"
        ),
        bars=True,
    )
    text = "; ".join(_cheapest(curve, cost, write) for curve in curves if not curve.control)
    title = f"{task}: {metric.name} against cost in {name}"
    return Plot(style.file_name("cost", name.lower(), task), title, text, figure, tips)


def _cheapest(curve: Curve, cost: Callable[[Point], float], write: Callable[[float], str]) -> str:
    metric = curve.metric
    best = max(curve.points, key=lambda point: metric.gain(point.value.mean, 0.0))
    price = "an unknown cost" if math.isnan(cost(best)) else write(cost(best))
    reached = brief(best.value.mean, metric)
    return f"{curve.finder} reaches {reached} at density {best.density:.1%} for {price}"


def marks(least: float, most: float) -> Sequence[float]:
    """Round numbers of seconds, minutes, hours or days in a range, at least three of them."""
    inside = [
        (count, size * count)
        for size, counts in _ROUND
        for count in counts
        if least <= size * count <= most
    ]
    roundest = [mark for count, mark in inside if count in (1, 10, 100)]
    chosen = roundest if len(roundest) > 2 else [mark for _, mark in inside]
    if len(chosen) < 3:
        chosen = _even_marks(least, most)
    return chosen[:: math.ceil(len(chosen) / _MOST_MARKS)]


def _even_marks(least: float, most: float) -> list[float]:
    """Multiples of the largest round share of a unit of which three are in the range."""
    unit = max((size for size, _ in _ROUND if size <= most), default=_ROUND[0][0])
    power = math.floor(math.log10(most / unit)) + 1
    while True:
        for digit in (5, 2, 1):
            step = unit * digit * 10.0**power
            numbers = range(math.ceil(least / step), math.floor(most / step) + 1)
            found = [mark for number in numbers if least <= (mark := step * number) <= most]
            if len(found) > 2:
                return found
        power -= 1


def _time_axis(axes: Axes, seconds: Sequence[float]) -> None:
    """A logarithmic x-axis of seconds that holds all of these, marked at round numbers."""
    least, most = min(seconds) / 1.2, max(seconds) * 1.2
    axes.set_xscale("log")
    axes.set_xlim(least, most)
    axes.xaxis.set_major_locator(ticker.FixedLocator(marks(least, most)))
    axes.xaxis.set_major_formatter(ticker.FuncFormatter(lambda v, _: brief_duration(v)))
    axes.xaxis.set_minor_locator(ticker.NullLocator())
