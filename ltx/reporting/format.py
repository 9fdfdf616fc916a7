"""Numbers as text: values of metrics, differences, p-values, SI prefixes, bytes, durations.

A missing number is a word or a dash, never a zero, and no number is written as -0.00.
"""

import math
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from ltx.core.objectives.metric import ACCURACY, Metric

if TYPE_CHECKING:  # SciPy is imported with it, which `ltx tickets` and `ltx status` do without
    from ltx.analysis.paired_tests import Interval

DASH, MISSING = "-", "missing"
_CLOCK = ((86400.0, "d"), (3600.0, "h"), (60.0, "min"), (1.0, "s"), (1e-3, "ms"))


def number(value: object, form: str = "") -> str:
    """A value in a format of Python's; a dash for None and NaN."""
    missing = value is None or (isinstance(value, float) and math.isnan(value))
    return DASH if missing else format(value, form)


def share(value: float | None, unit: str = "%") -> str:
    """A share of 1 in percent, as in 12.34%; a dash for None and NaN."""
    text = number(None if value is None else 100 * value, ".2f")
    return text if text == DASH else text + unit


def plural(count: int, word: str) -> str:
    """A number of things, as in 1 seed or 3 seeds."""
    return f"{count} {word}{'s' * (count != 1)}"


def mean(
    interval: "Interval | None", write: Callable[[float], str], unit: str = "", missing: str = DASH
) -> str:
    """A mean and half the width of its interval, as in 12.3 ± 0.4."""
    if interval is None or math.isnan(interval.mean):
        return missing
    text = write(interval.mean) + unit
    return text if math.isnan(interval.low) else f"{text} ± {write(interval.reach)}"


def measure(
    interval: "Interval | None",
    metric: Metric = ACCURACY,
    *,
    unit: bool = False,
    missing: str = MISSING,
) -> str:
    """A mean value of a metric, as in 98.30 ± 0.40; with `unit`, 98.30% ± 0.40."""
    like = None if interval is None else interval.mean
    suffix = metric.suffix if unit else ""
    return mean(interval, lambda value: metric.number(value, like), suffix, missing)


def brief(value: float, metric: Metric = ACCURACY) -> str:
    """A value in fewer digits, as in 98.3%, for descriptions of plots."""
    return f"{value:.1%}" if metric.is_share else metric.text(value)


def barrier_error(split: str, metric: Metric) -> str:
    """What rises at a barrier: the "test error" of a share, else the "test RMSE"."""
    return f"{split} {'error' if metric.is_share else metric.name}"


def over(metric: Metric, other: str) -> str:
    """What a column of gains over `other` is called, as in "over dense, points"."""
    way = "over" if metric.higher_is_better else "better than"
    return f"{way} {other}, {metric.difference_unit}"


def steps(interval: "Interval | None", missing: str = MISSING) -> str:
    """A mean number of steps, as in 1240 ± 310."""
    return mean(interval, lambda v: f"{v:.0f}", missing=missing)


def difference(interval: "Interval | None", metric: Metric = ACCURACY) -> str:
    """A difference of values with both ends, as in -0.10 [-0.30, +0.20] points.

    Corrected intervals need not be symmetric.
    """
    if interval is None or math.isnan(interval.mean):
        return MISSING
    text = metric.change(interval.mean)
    if math.isnan(interval.low):
        return text
    return f"{text} [{metric.change(interval.low)}, {metric.change(interval.high)}]"


def p_value(p: float) -> str:
    """Rounded up to three digits, so that a p-value above a bound never reads as equal to it."""
    return f"{math.ceil(p * 1000) / 1000:.3f}"


def brief_p_value(p: float) -> str:
    """Rounded to three digits; below that, <.001."""
    return f"{p:.3f}" if p >= 0.001 else "<.001"


def more_seeds(seeds: float, plus: str = "", beyond: str = "more than ") -> str:
    """How many more seeds would settle a question.

    Empty for none, a question mark for NaN, `beyond` the largest number searched for infinity.
    """
    from ltx.analysis.paired_tests import MOST

    if math.isnan(seeds):
        return "?"
    if math.isinf(seeds):
        return f"{beyond}{MOST}"
    return f"{plus}{seeds:.0f}" if seeds else ""


def si(count: float) -> str:
    """A number to three digits with an SI prefix, as in 12.3k or 3.4G."""
    return _scaled(count, 1000, ("", "k", "M", "G", "T", "P", "E"))


def size(count: float) -> str:
    """A number of bytes to three digits, in units of 1,024, as in 2.72 MB."""
    return _scaled(count, 1024, (" B", " KB", " MB", " GB", " TB"))


def _scaled(count: float, base: int, units: Sequence[str]) -> str:
    power = 0
    while abs(count) >= base and power < len(units) - 1:
        count, power = count / base, power + 1
    return f"{count:.3g}{units[power]}" if abs(count) < 999 else f"{count:.0f}{units[power]}"


def duration(seconds: float | None) -> str:
    """Two units at most, as in 1 h 20 min."""
    if seconds is None:
        return "unknown"
    if seconds < 90:
        return f"{seconds:.0f} s"
    if seconds < 90 * 60:
        return f"{seconds / 60:.0f} min"
    hours, minutes = divmod(round(seconds / 60), 60)
    if hours < 48:
        return f"{hours} h {minutes} min"
    return f"{hours // 24} d {hours % 24} h"


def brief_duration(seconds: float) -> str:
    """Three digits of the largest unit of which there is one, as in 1.5 min."""
    scale, unit = next((one for one in _CLOCK if seconds >= 0.9995 * one[0]), _CLOCK[-1])
    return f"{seconds / scale:.3g} {unit}"
