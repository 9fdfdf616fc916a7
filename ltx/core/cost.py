"""Cost: steps, examples, FLOPs and seconds of what a lab did."""

import contextlib
import dataclasses
from collections.abc import Iterable, Iterator

import numpy as np

from ltx.core import clock
from ltx.core.mask import Mask
from ltx.core.prunable import Weight


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
    """The total cost and seconds of a lab and its siblings."""

    def __init__(self) -> None:
        self.total = Cost()
        self._counted, self._start, self._depth = 0.0, 0.0, 0

    def add(self, cost: Cost) -> None:
        self.total += cost

    @contextlib.contextmanager
    def working(self) -> Iterator[None]:
        """Count the seconds of a block; blocks may be nested."""
        self.seconds = self.seconds
        self._depth += 1
        try:
            yield
        finally:
            self.seconds = self.seconds
            self._depth -= 1

    @property
    def seconds(self) -> float:
        """The seconds counted so far; NaN where some of them are unknown.

        They can be set, to charge a cached training the seconds of its original run.
        """
        return self._counted + (clock.now() - self._start if self._depth else 0.0)

    @seconds.setter
    def seconds(self, seconds: float) -> None:
        self._counted, self._start = seconds, clock.now()


# Per weight and example; a multiply-add is 2. One third goes forward, one back to the layer's
# inputs, and one to the weights' gradients, which training needs for the survivors only.
TRAINING_FLOPS = 6
GRADIENT_FLOPS = 2


def forward_backward(
    examples: int, prunable: Iterable[Weight], mask: Mask, unmasked: int = 0
) -> Cost:
    """The cost of a forward and backward pass of `examples`; it counts no steps.

    `unmasked` of the TRAINING_FLOPS are spent on pruned weights as well.
    """
    dense = kept = 0
    for weight in prunable:
        dense += weight.size * weight.uses
        kept += int(np.count_nonzero(mask[weight.name])) * weight.uses
    flops = (TRAINING_FLOPS - unmasked) * kept + unmasked * dense
    return Cost(0, examples, dense * TRAINING_FLOPS * examples, flops * examples)


def forward(examples: int, prunable: Iterable[Weight], mask: Mask) -> Cost:
    """The cost of a forward pass of `examples`: a third of both passes."""
    both = forward_backward(examples, prunable, mask)
    return dataclasses.replace(both, dense_flops=both.dense_flops // 3, flops=both.flops // 3)
