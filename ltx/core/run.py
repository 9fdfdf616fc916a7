"""Run: what a training ended in, and its validation curve since the state it started from."""

import dataclasses
import functools
import math
import warnings
from collections.abc import Callable, Mapping
from typing import Any, ParamSpec, TypeVar

import numpy as np

from ltx.core import clock
from ltx.core.errors import DivergedError
from ltx.core.objectives.metric import ACCURACY, Metric
from ltx.core.state import State, first_not_finite
from ltx.core.task import Task


@dataclasses.dataclass(frozen=True)
class Metrics:
    """The mean loss, the value of the objective's primary metric, and its further ones by name.

    Of a classification: the cross-entropy in nats, and the share of examples classified correctly.
    """

    loss: float
    value: float
    further: Mapping[str, float] = dataclasses.field(default_factory=dict, hash=False)

    @property
    def is_finite(self) -> bool:
        return all(map(math.isfinite, (self.loss, self.value, *self.further.values())))

    @property
    def accuracy(self) -> float:
        return _renamed(self.value)

    def document(self, metric: Metric) -> dict[str, object]:
        """As it is stored, with the metric's key for the value."""
        further = {"further": dict(self.further)} if self.further else {}
        return {"loss": self.loss, metric.key: self.value, **further}

    @classmethod
    def from_document(cls, document: Mapping[str, Any]) -> "Metrics":
        return cls(document["loss"], _value(document), document.get("further", {}))


@dataclasses.dataclass(frozen=True)
class History:
    """Validation loss and metric after each of `steps`: every `Recipe.eval_every` and the end."""

    steps: tuple[int, ...] = ()
    loss: tuple[float, ...] = ()
    value: tuple[float, ...] = ()

    def __add__(self, later: "History") -> "History":
        return History(self.steps + later.steps, self.loss + later.loss, self.value + later.value)

    def after(self, step: int) -> "History":
        """The part of the curve that lies beyond `step`."""
        first = sum(1 for s in self.steps if s <= step)
        return History(self.steps[first:], self.loss[first:], self.value[first:])

    @property
    def accuracy(self) -> tuple[float, ...]:
        return _renamed(self.value)

    def document(self, metric: Metric) -> dict[str, object]:
        """As it is stored, with the metric's key for the values."""
        return {"steps": self.steps, "loss": self.loss, metric.key: self.value}

    @classmethod
    def from_document(cls, document: Mapping[str, Any]) -> "History":
        columns = (document["steps"], document["loss"], _value(document))
        return cls(*map(tuple, columns))

    @property
    def early_stop(self) -> int | None:
        """The step with the least validation loss, the first of equals; None of an empty curve.

        A loss that is not finite is never the least.
        """
        points = zip(self.loss, self.steps, strict=True)
        return min((p for p in points if math.isfinite(p[0])), default=(None, None))[1]

    @property
    def diverged(self) -> int | None:
        """The first step whose loss or metric is not finite; None of a finite curve."""
        points = zip(self.steps, self.loss, self.value, strict=True)
        return next(
            (step for step, loss, value in points if not Metrics(loss, value).is_finite), None
        )

    @property
    def last(self) -> Metrics:
        return Metrics(self.loss[-1], self.value[-1])


_Arrays = dict[str, np.ndarray]
_T = TypeVar("_T")


def _value(document: Mapping[str, Any]) -> Any:
    """What is stored for the metric: "accuracy" of classifications, else "value"."""
    return document[ACCURACY.key if ACCURACY.key in document else "value"]


def _renamed(value: _T) -> _T:
    text = "Metrics.accuracy and History.accuracy are now `value`, of the objective's metric"
    warnings.warn(text, DeprecationWarning, stacklevel=3)
    return value


def diverged(task: Task, what: str) -> DivergedError:
    """The error for what training on this task made, and is not finite."""
    return DivergedError(
        f"{task.label}: {what} is not finite; lower Recipe.learning_rate"
        f" ({task.recipe.learning_rate:g}), set Recipe.clip_norm or, if Engine.precision is"
        " 'float16', choose another"
    )


def finite_metrics(task: Task, metrics: Metrics, what: str) -> Metrics:
    """The metrics; DivergedError where one is not finite."""
    if not metrics.is_finite:
        raise diverged(task, what)
    return metrics


def finite_arrays(task: Task, arrays: _Arrays, what: str) -> _Arrays:
    """The arrays; DivergedError that names the first of them that is not finite."""
    if name := first_not_finite(arrays):
        raise diverged(task, f"{what} of {name}")
    return arrays


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

    def finite(self, task: Task) -> "Run":
        """This run; DivergedError where a point of its curve or an array is not finite."""
        if (step := self.history.diverged) is not None:
            raise diverged(task, f"training diverged, the validation loss at step {step}")
        if name := self.state.first_not_finite():
            raise diverged(task, f"training diverged before step {self.state.step}, {name}")
        return self


def timed(train: Callable[_P, Run]) -> Callable[_P, Run]:
    """Decorate a training so that its Run has the seconds that it took."""

    @functools.wraps(train)
    def with_seconds(*args: _P.args, **kwargs: _P.kwargs) -> Run:
        start = clock.now()
        run = train(*args, **kwargs)
        return dataclasses.replace(run, seconds=clock.now() - start)

    return with_seconds
