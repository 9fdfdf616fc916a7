"""Linear mode connectivity: error and loss on the straight line between two trained networks."""

import dataclasses
import math
from collections.abc import Mapping, Sequence

import numpy as np

from ltx.core.duration import Duration
from ltx.core.lab import Lab
from ltx.core.mask import Mask
from ltx.core.objectives.metric import ACCURACY, Metric
from ltx.core.state import State
from ltx.core.validation import check_count

TOLERANCE = 0.02  # of shares, as of accuracy: two points
RELATIVE_TOLERANCE = 0.05  # of other metrics: a share of the mean of the two ends
ROUNDING = 1e-9  # so that a barrier of exactly the tolerance counts as stable
STREAMS = ("order", "second order")


@dataclasses.dataclass(frozen=True)
class Barrier:
    """Errors and losses at the fractions `alphas` of the line from one state to another.

    An error is 1 - accuracy or, of another metric, `Metric.error`: larger where outputs are worse.
    `losses` are empty in results of older versions.
    """

    alphas: tuple[float, ...]
    errors: tuple[float, ...]
    losses: tuple[float, ...] = ()
    metric: Metric = ACCURACY

    @property
    def height(self) -> float:
        """The largest error on the line above the mean of its two ends; of accuracy, 0 to 1."""
        return _height(self.errors)

    @property
    def loss_height(self) -> float:
        """The largest loss on the line above the mean of its two ends; NaN where unknown."""
        return _height(self.losses) if self.losses else math.nan

    @property
    def tolerance(self) -> float:
        """The greatest height of a stable line: two points of a share, else 5 % of the ends."""
        if self.metric.is_share:
            return TOLERANCE
        return RELATIVE_TOLERANCE * abs(self.errors[0] + self.errors[-1]) / 2

    @property
    def rise(self) -> float:
        """The height of a share, of any other metric the height as a share of the ends' mean."""
        if self.metric.is_share or self.height == 0:
            return self.height
        ends = abs(self.errors[0] + self.errors[-1]) / 2
        return self.height / ends if ends else math.inf

    def stable(self, tolerance: float | None = None) -> bool:
        """Whether the rise is within the tolerance, by default the paper's 2 % of accuracy."""
        default = TOLERANCE if self.metric.is_share else RELATIVE_TOLERANCE
        return self.rise <= (default if tolerance is None else tolerance) + ROUNDING


def _height(values: Sequence[float]) -> float:
    return max(values) - (values[0] + values[-1]) / 2


def barrier(
    lab: Lab,
    mask: Mask,
    one: State,
    other: State,
    points: int = 30,
    batches: int = 50,
    split: str = "validation",
) -> Barrier:
    """The errors and losses at `points` points, both ends included, of the line between two states.

    Weights are interpolated in float64. BatchNorm statistics are recomputed from `batches` training
    batches at every point, because those of the ends are not valid in between.

    Reference: Frankle et al., Linear Mode Connectivity and the Lottery Ticket Hypothesis,
    https://arxiv.org/abs/1912.05671
    """
    check_count("barrier: points", points, least=3)
    lab.check_split(split)
    alphas = tuple(float(alpha) for alpha in np.linspace(0, 1, points))

    metric = lab.task.objective.metric

    def measure() -> list[float]:
        measured = []
        for alpha in alphas:
            between = lab.recalibrated(interpolated(one, other, alpha), mask, batches)
            measured.append(lab.evaluate(between, mask, split))
        return [*(metric.error(m.value) for m in measured), *(m.loss for m in measured)]

    # Older versions cached the errors alone under the same key.
    key = ["barrier", one.id, other.id, mask.id, points, batches, split]
    numbers = tuple(lab.once(key, measure))
    return Barrier(alphas, numbers[:points], numbers[points:], metric)


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
