"""Cost: what training took, as if every weight were there and as the mask left it."""

import contextlib
import dataclasses
from collections.abc import Iterator

from ltx.core import clock


@dataclasses.dataclass(frozen=True)
class Cost:
    """Steps and examples trained on; multiplications and additions, forward and backward.

    `dense_flops` counts every weight of the dense network, `flops` only those that survive: what
    hardware that skips zeros would charge. Only prunable weights are counted.
    """

    steps: int = 0
    examples: int = 0
    dense_flops: int = 0
    flops: int = 0

    def __add__(self, other: "Cost") -> "Cost":
        return Cost(**{key: value + vars(other)[key] for key, value in vars(self).items()})

    def __sub__(self, other: "Cost") -> "Cost":
        return Cost(**{key: value - vars(other)[key] for key, value in vars(self).items()})


class Ledger:
    """The running total of a lab and of the labs it opened, and the seconds of their work."""

    def __init__(self) -> None:
        self.total = Cost()
        self._counted, self._begun, self._depth = 0.0, 0.0, 0

    def add(self, cost: Cost) -> None:
        self.total += cost

    @contextlib.contextmanager
    def working(self) -> Iterator[None]:
        """Count the seconds of what is done inside; such blocks may stand in one another."""
        self.seconds = self.seconds
        self._depth += 1
        try:
            yield
        finally:
            self.seconds = self.seconds
            self._depth -= 1

    @property
    def seconds(self) -> float:
        """Those counted up to this moment; NaN where some of them are not known.

        They may be set: what was remembered took what it took when it was done.
        """
        return self._counted + (clock.now() - self._begun if self._depth else 0.0)

    @seconds.setter
    def seconds(self, seconds: float) -> None:
        self._counted, self._begun = seconds, clock.now()
