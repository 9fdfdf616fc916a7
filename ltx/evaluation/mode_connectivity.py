"""Linear mode connectivity: the error on the straight line between two trained networks."""

import dataclasses
from collections.abc import Mapping, Sequence

import numpy as np

from ltx.core.duration import Duration
from ltx.core.lab import Lab
from ltx.core.mask import Mask
from ltx.core.state import State
from ltx.core.validation import check_count

TOLERANCE = 0.02
ROUNDING = 1e-9  # so that a barrier of exactly the tolerance counts as stable
STREAMS = ("order", "second order")


@dataclasses.dataclass(frozen=True)
class Barrier:
    """The errors, 1 - accuracy, at the fractions `alphas` of the line from one state to another."""

    alphas: tuple[float, ...]
    errors: tuple[float, ...]

    @property
    def height(self) -> float:
        """The largest error on the line above the mean of its two ends, 0 to 1."""
        return max(self.errors) - (self.errors[0] + self.errors[-1]) / 2

    def stable(self, tolerance: float = TOLERANCE) -> bool:
        """Whether the height is within the tolerance, by default the paper's 2 %."""
        return self.height <= tolerance + ROUNDING


def barrier(
    lab: Lab,
    mask: Mask,
    one: State,
    other: State,
    points: int = 30,
    batches: int = 50,
    split: str = "validation",
) -> Barrier:
    """The errors at `points` points, including both ends, of the line between two states.

    Weights are interpolated in float64. BatchNorm statistics are recomputed from `batches` training
    batches at every point, because those of the ends are not valid in between.

    Reference: Frankle et al., Linear Mode Connectivity and the Lottery Ticket Hypothesis,
    https://arxiv.org/abs/1912.05671
    """
    check_count("barrier: points", points, least=3)
    lab.check_split(split)
    alphas = tuple(float(alpha) for alpha in np.linspace(0, 1, points))

    def errors() -> list[float]:
        measured = []
        for alpha in alphas:
            between = lab.recalibrated(interpolated(one, other, alpha), mask, batches)
            measured.append(1 - lab.evaluate(between, mask, split).value)
        return measured

    key = ["barrier", one.id, other.id, mask.id, points, batches, split]
    return Barrier(alphas, tuple(lab.once(key, errors)))


def copies(
    lab: Lab,
    state: State,
    mask: Mask,
    streams: Sequence[str] = STREAMS,
    until: str | Duration | None = None,
) -> list[State]:
    """The end states of training from `state`, one for each stream that draws a data order."""
    return [lab.train(state, mask, until, stream).state for stream in streams]


def interpolated(one: State, other: State, alpha: float) -> State:
    """(1 - alpha) one + alpha other, at the step of the first, without optimizer slots.

    Whole numbers and bools, such as counters, are those of the first.
    """
    return State(
        _between(one.weights, other.weights, alpha),
        _between(one.statistics, other.statistics, alpha),
        step=one.step,
    )


def _between(
    one: Mapping[str, np.ndarray], other: Mapping[str, np.ndarray], alpha: float
) -> dict[str, np.ndarray]:
    mixed = {}
    for name, array in one.items():
        if array.dtype.kind in "biu":
            mixed[name] = array
            continue
        exact = (1 - alpha) * array.astype(np.float64) + alpha * other[name].astype(np.float64)
        mixed[name] = exact.astype(array.dtype)
    return mixed
