"""Stability: whether two trained networks are joined by a straight line of low error."""

import dataclasses
from collections.abc import Mapping, Sequence

import numpy as np

from ltx.core.duration import Duration
from ltx.core.errors import UsageError
from ltx.core.lab import Lab
from ltx.core.mask import Mask
from ltx.core.state import State
from ltx.core.validation import check_choice, check_count

TOLERANCE = 0.02
ROUNDING = 1e-9  # errors are counts, and what is exactly 2 % shall not miss it by the last bit
TICKET = "ticket"
STREAMS = ("order", "second order")
_SPLITS = ("train", "validation", "test")


@dataclasses.dataclass(frozen=True)
class Stability:
    """How a study measures whether its tickets are stable: which of them, from where, how finely.

    `at` are the places to train the two copies from: "ticket", the ticket's own state, or a
    duration, "0it", "100it" or "2%", the dense network trained to there under the ticket's mask.
    The errors are those on `split` at `points` places of the line, each with BatchNorm's statistics
    from `batches` training batches. `levels` are those measured, () for all. With `to_pruning` the
    ticket is held against the dense network as well, which takes a dense training of each state
    that has had none.

    Reference: Frankle et al., Linear Mode Connectivity and the Lottery Ticket Hypothesis,
    https://arxiv.org/abs/1912.05671; distance, angle and stability to pruning: Frankle et al.,
    Stabilizing the Lottery Ticket Hypothesis, https://arxiv.org/abs/1903.01611
    """

    points: int = 30
    batches: int = 50
    at: Sequence[str] = (TICKET,)
    split: str = "test"
    levels: Sequence[int] = ()
    to_pruning: bool = True

    def __post_init__(self) -> None:
        check_count("Stability.points", self.points, least=3)
        check_count("Stability.batches", self.batches)
        check_choice("Stability.split", self.split, _SPLITS)
        for name in ("at", "levels"):
            value = getattr(self, name)
            several = value if isinstance(value, list | tuple) else (value,)
            object.__setattr__(self, name, tuple(several))
        for level in self.levels:
            check_count("Stability.levels", level, least=0)
        if not self.at or len(set(self.at)) < len(self.at):
            raise UsageError(f"Stability.at: expected different places, got {list(self.at)}")
        for place in self.at:
            _check_place(place)

    def check(self, lab: Lab) -> None:
        """Raise UsageError where a place lies behind the end of the training."""
        for place in self.at:
            if place != TICKET and lab.steps(place) >= lab.steps():
                raise UsageError(
                    f"Stability.at: {place} is step {lab.steps(place)}, but the training of"
                    f" {lab.task.label} has only {lab.steps()}; name a step inside it"
                )

    def measures(self, level: int) -> bool:
        return not self.levels or level in self.levels


def _check_place(place: object) -> None:
    try:
        if place != TICKET:
            Duration.parse(place)  # type: ignore[arg-type]
    except UsageError:
        raise UsageError(
            f"Stability.at: expected 'ticket' or a duration, as in 0it, 100it, 2%, got {place!r}"
        ) from None


@dataclasses.dataclass(frozen=True)
class Barrier:
    """The errors, 1 - accuracy, at the shares `alphas` of the way from one state to another."""

    alphas: tuple[float, ...]
    errors: tuple[float, ...]

    @property
    def height(self) -> float:
        """The largest error on the line above the mean of its two ends, 0 to 1."""
        return max(self.errors) - (self.errors[0] + self.errors[-1]) / 2

    def stable(self, tolerance: float = TOLERANCE) -> bool:
        """Whether the line is flat enough, by the paper's 2 % where nothing else is said."""
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
    """The errors at `points` places, both ends among them, of the line between two states.

    Weights are interpolated in float64. BatchNorm's statistics are taken anew from `batches`
    training batches at every place, as those of the ends say nothing about what lies between.

    Reference: Frankle et al., Linear Mode Connectivity and the Lottery Ticket Hypothesis,
    https://arxiv.org/abs/1912.05671
    """
    check_count("barrier: points", points, least=3)
    lab.check_split(split)
    alphas = tuple(float(alpha) for alpha in np.linspace(0, 1, points))

    def errors() -> list[float]:
        found = []
        for alpha in alphas:
            between = lab.recalibrated(interpolated(one, other, alpha), mask, batches)
            found.append(1 - lab.evaluate(between, mask, split).accuracy)
        return found

    key = ["barrier", one.id, other.id, mask.id, points, batches, split]
    return Barrier(alphas, tuple(lab.once(key, errors)))


def copies(
    lab: Lab,
    state: State,
    mask: Mask,
    streams: Sequence[str] = STREAMS,
    until: str | Duration | None = None,
) -> list[State]:
    """What training from `state` ends in, once for each data order that a stream draws."""
    return [lab.train(state, mask, until, stream).state for stream in streams]


def interpolated(one: State, other: State, alpha: float) -> State:
    """The state `alpha` of the way from one to another, at the step of the first, without slots."""
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
        exact = (1 - alpha) * array.astype(np.float64) + alpha * other[name].astype(np.float64)
        mixed[name] = exact.astype(array.dtype)
    return mixed
