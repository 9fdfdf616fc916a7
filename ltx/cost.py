"""Cost: what training took, as if every weight were there and as the mask left it."""

import dataclasses


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
    """The running total of a lab and of the labs it opened."""

    def __init__(self) -> None:
        self.total = Cost()

    def add(self, cost: Cost) -> None:
        self.total += cost
