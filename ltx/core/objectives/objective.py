"""Objective: how outputs and targets become a loss and one primary metric."""

import abc
import dataclasses
from collections.abc import Callable, Iterable
from typing import ClassVar

import numpy as np

from ltx.core.errors import UsageError
from ltx.core.objectives.array_ops import NUMPY, Array, ArrayOps
from ltx.core.objectives.metric import Metric

Block = tuple[np.ndarray, np.ndarray]
Restore = Callable[[np.ndarray], np.ndarray]


@dataclasses.dataclass(frozen=True)
class Targets:
    """What an objective has to know of a data set's targets.

    `shape` is that of one example's targets, () for a number. `classes` counts the classes of whole
    numbers, 0 where targets are floating. `names` are those of the classes, where they have some.
    """

    shape: tuple[int, ...] = ()
    floating: bool = False
    classes: int = 0
    names: tuple[str, ...] = ()


@dataclasses.dataclass(frozen=True)
class Objective(abc.ABC):
    """A loss over outputs and targets, and a primary metric of a whole split.

    A subclass is a frozen dataclass that is offered under the entry-point group `ltx.objectives`.
    Arrays have the batch as their first axis. `losses` is called in training with tensors, and with
    numpy arrays in float64 where a split is measured, so it uses `ops` and arithmetic only.

    `metric` is the primary metric, `further` are shown beside it. `softmax` says that outputs are
    logits of a softmax over their last axis: a model may then end in softmax itself, and labels
    may be smoothed.
    """

    metric: ClassVar[Metric]
    further: ClassVar[tuple[Metric, ...]] = ()
    softmax: ClassVar[bool] = False

    @abc.abstractmethod
    def outputs(self, targets: Targets) -> tuple[int, ...]:
        """The shape of a model's outputs for one example; UsageError where targets do not fit."""

    @abc.abstractmethod
    def losses(
        self, ops: ArrayOps, outputs: Array, targets: Array, smoothing: float = 0.0
    ) -> Array:
        """The loss of each example, [batch], as a sum over what `counts` counts.

        With `softmax`, outputs are log-probabilities, else what the model returns.
        """

    @abc.abstractmethod
    def metrics(self, outputs: np.ndarray, targets: np.ndarray) -> dict[str, float]:
        """The value of `metric`, and of what of `further` is defined, over a whole split.

        Outputs are float64 and finite; log-probabilities with `softmax`.
        """

    def counts(self, ops: ArrayOps, targets: Array, like: Array) -> Array | None:
        """What the loss of each example is a sum over, such as its tokens; None for one each."""
        del ops, targets, like
        return None

    @property
    def sums_on_device(self) -> bool:
        """Whether the primary metric is the mean of `hits`, so that no outputs are collected."""
        return False

    def hits(self, ops: ArrayOps, outputs: Array, targets: Array) -> Array:
        """Values of each example whose mean is the primary metric, whole numbers in float32."""
        raise NotImplementedError

    def check_targets(self, targets: np.ndarray, described: Targets) -> None:
        """Raise UsageError for targets of a split that this loss is not defined for."""
        del targets, described

    def measure(
        self, blocks: Iterable[Block], restored: Restore = lambda values: values
    ) -> tuple[float, dict[str, float]]:
        """The mean loss and the metrics of a split, from its outputs and targets in blocks.

        `restored` gives outputs and targets their original unit, which is that of the metrics.
        """
        total, count, kept = 0.0, 0.0, []
        for outputs, targets in blocks:
            exact = outputs.astype(np.float64)
            total += float(self.losses(NUMPY, exact, targets).sum())
            counted = self.counts(NUMPY, targets, exact)
            count += len(targets) if counted is None else float(counted.sum())
            kept.append((restored(exact), restored(targets)))
        joined = (np.concatenate(part) for part in zip(*kept, strict=True))
        return total / max(count, 1.0), self.metrics(*joined)

    def refuse(self, expected: str, got: str) -> UsageError:
        """The error for targets or settings that do not fit this objective."""
        return UsageError(
            f"Task.objective: {type(self).__name__} expects {expected}, got {got}; choose another"
            " objective or other targets"
        )
