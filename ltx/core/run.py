"""Run: what a training ended in, and its validation curve since the state it started from."""

import dataclasses
import functools
import math
from collections.abc import Callable
from typing import ParamSpec

from ltx.core import clock
from ltx.core.state import State


@dataclasses.dataclass(frozen=True)
class Metrics:
    """Mean cross-entropy in nats, and the share of examples classified correctly, on one split."""

    loss: float
    accuracy: float


@dataclasses.dataclass(frozen=True)
class History:
    """Validation loss and accuracy after each of `steps`: every `Recipe.eval_every` and the end."""

    steps: tuple[int, ...] = ()
    loss: tuple[float, ...] = ()
    accuracy: tuple[float, ...] = ()

    def __add__(self, later: "History") -> "History":
        return History(
            self.steps + later.steps, self.loss + later.loss, self.accuracy + later.accuracy
        )

    def after(self, step: int) -> "History":
        """The part of the curve that lies beyond `step`."""
        first = sum(1 for s in self.steps if s <= step)
        return History(self.steps[first:], self.loss[first:], self.accuracy[first:])

    @property
    def early_stop(self) -> int | None:
        """The step with the least validation loss, the first of equals; None of an empty curve."""
        return min(zip(self.loss, self.steps, strict=True))[1] if self.steps else None

    @property
    def last(self) -> Metrics:
        return Metrics(self.loss[-1], self.accuracy[-1])


_P = ParamSpec("_P")


@dataclasses.dataclass(frozen=True)
class Run:
    """The state that a training reached, and its validation curve from where it started.

    `seconds` is the wall-clock time of the training with its evaluations when it was computed, NaN
    where unknown; it is not compared.
    """

    state: State
    history: History
    seconds: float = dataclasses.field(default=math.nan, compare=False)


def timed(train: Callable[_P, Run]) -> Callable[_P, Run]:
    """Decorate a training so that its Run has the seconds that it took."""

    @functools.wraps(train)
    def with_seconds(*args: _P.args, **kwargs: _P.kwargs) -> Run:
        start = clock.now()
        run = train(*args, **kwargs)
        return dataclasses.replace(run, seconds=clock.now() - start)

    return with_seconds
