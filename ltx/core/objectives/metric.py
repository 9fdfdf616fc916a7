"""Metric: the name, unit and direction of a number that says how good outputs are."""

import dataclasses


@dataclasses.dataclass(frozen=True)
class Metric:
    """What is measured, and which values are better.

    `scale` turns a value into the unit that people read: an accuracy of 0.9 is 90 "%". Differences
    have the unit `difference`, by default the same: percentages differ by "points". `margin` is
    the loss, in stored values, up to which one network is as good as another by default.
    """

    name: str
    unit: str = ""
    scale: float = 1.0
    higher_is_better: bool = True
    margin: float = 0.0
    difference: str = ""

    def gain(self, ours: float, theirs: float) -> float:
        """By how much `ours` is better than `theirs`; negative where it is worse."""
        return ours - theirs if self.higher_is_better else theirs - ours

    def best(self, *values: float) -> float:
        """The best of the values."""
        return max(values) if self.higher_is_better else min(values)

    @property
    def key(self) -> str:
        """The name of its values in stored documents."""
        return "accuracy" if self.name == "accuracy" else "value"

    @property
    def label(self) -> str:
        """The name with its unit, as in "accuracy, %"."""
        return f"{self.name}, {self.unit}" if self.unit else self.name


ACCURACY = Metric("accuracy", "%", 100.0, margin=0.003, difference="points")
