"""Metric: the name, unit and direction of a number that says how good outputs are."""

import dataclasses
import math
from collections.abc import Mapping
from typing import Any

_DIGITS = 4  # of a value that is no share


@dataclasses.dataclass(frozen=True)
class Metric:
    """What is measured, and which values are better.

    `scale` turns a value into the unit that people read: an accuracy of 0.9 is 90 "%". Differences
    have the unit `difference`, by default the same: percentages differ by "points". `margin` is
    the loss up to which one network is as good as another by default, in stored values or, with
    `relative`, as a share of the dense network's mean.
    """

    name: str
    unit: str = ""
    scale: float = 1.0
    higher_is_better: bool = True
    margin: float = 0.0
    difference: str = ""
    relative: bool = False

    @property
    def is_share(self) -> bool:
        """Whether values are shares of 1 that people read in percent."""
        return self.unit == "%" and self.scale == 100

    def gain(self, ours: float, theirs: float) -> float:
        """By how much `ours` is better than `theirs`; negative where it is worse."""
        return ours - theirs if self.higher_is_better else theirs - ours

    def best(self, *values: float) -> float:
        """The best of the values."""
        return max(values) if self.higher_is_better else min(values)

    def error(self, value: float) -> float:
        """A number that is larger where outputs are worse: 1 - value of a share."""
        if not self.higher_is_better:
            return value
        return 1 - value if self.is_share else -value

    def margin_at(self, dense: float) -> float:
        """The default margin in stored values, beside a dense network of this mean."""
        return self.margin * abs(dense) if self.relative else self.margin

    def number(self, value: float, like: float | None = None) -> str:
        """The value in its unit, without it: 98.61 of a share, else four digits, as in 0.03124.

        With `like` it has the decimals of that value.
        """
        if self.is_share:
            return f"{100 * value:.2f}"
        size = abs(self.scale * (value if like is None else like))
        places = _DIGITS - 1 - math.floor(math.log10(size)) if size and math.isfinite(size) else 0
        return f"{self.scale * value:z.{min(max(places, 0), 12)}f}"

    def text(self, value: float) -> str:
        """The value with its unit, as in 98.61%."""
        return self.number(value) + self.suffix

    def change(self, difference: float) -> str:
        """A difference of values with its sign, as in +1.25 points, without "points"."""
        form = "+z.2f" if self.is_share else "+z.3g"
        return format(self.scale * difference, form)

    def amount(self, difference: float) -> str:
        """A difference without a sign but with its unit, as in 0.3% or 0.01 RMSE."""
        if self.is_share:
            return f"{100 * difference:g}%"
        return f"{self.scale * difference:.3g} {self.unit or self.name}"

    @property
    def suffix(self) -> str:
        """The unit as it follows a number: "%", " m", or nothing."""
        return self.unit if self.unit in ("", "%") else f" {self.unit}"

    @property
    def difference_unit(self) -> str:
        """What differences are counted in: points, the unit, or the metric itself."""
        return self.difference or self.unit or self.name

    @property
    def key(self) -> str:
        """The name of its values in stored documents."""
        return "accuracy" if self.name == "accuracy" else "value"

    @property
    def label(self) -> str:
        """The name with its unit, as in "accuracy, %"."""
        return f"{self.name}, {self.unit}" if self.unit else self.name


ACCURACY = Metric("accuracy", "%", 100.0, margin=0.003, difference="points")


def stored_metric(document: Mapping[str, Any]) -> Metric:
    """The metric of a stored result, which says none where it is a classification's accuracy."""
    names = {field.name for field in dataclasses.fields(Metric)}
    stored = document.get("metric") or dataclasses.asdict(ACCURACY)
    return Metric(**{name: value for name, value in stored.items() if name in names})
