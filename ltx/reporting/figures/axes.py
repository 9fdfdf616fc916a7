"""Time axis: seconds across a plot, marked where a clock's round numbers are."""

import math
from collections.abc import Sequence

from matplotlib import ticker
from matplotlib.axes import Axes

from ltx.reporting.format import brief_duration

_ROUND = (
    (1e-3, (1, 2, 5, 10, 20, 50, 100, 200, 500)),
    (1.0, (1, 2, 5, 10, 20, 30)),
    (60.0, (1, 2, 5, 10, 20, 30)),
    (3600.0, (1, 2, 5, 10)),
    (86400.0, (1, 2, 5, 10, 20, 50, 100)),
)
_MARKS = 6  # that there is room for


def marks(least: float, most: float) -> Sequence[float]:
    """Round numbers from `least` to `most`, or these themselves where there are none between."""
    inside = [
        (count, size * count)
        for size, counts in _ROUND
        for count in counts
        if least <= size * count <= most
    ]
    roundest = [mark for count, mark in inside if count in (1, 10, 100)]
    chosen = roundest if len(roundest) > 2 else [mark for _, mark in inside]
    return chosen[:: math.ceil(len(chosen) / _MARKS)] if len(chosen) > 1 else (least, most)


def across(axes: Axes, seconds: Sequence[float]) -> None:
    """Make the axis across one of seconds, on a logarithmic scale that all of these fit."""
    least, most = min(seconds) / 1.2, max(seconds) * 1.2
    axes.set_xscale("log")
    axes.set_xlim(least, most)
    axes.xaxis.set_major_locator(ticker.FixedLocator(marks(least, most)))
    axes.xaxis.set_major_formatter(ticker.FuncFormatter(lambda v, _: brief_duration(v)))
    axes.xaxis.set_minor_locator(ticker.NullLocator())
