"""The kinds of tasks that FakeLab has, by name, with an objective of a user's own among them."""

import dataclasses
from typing import ClassVar

import numpy as np

from ltx import (
    Classification,
    Metric,
    MultiLabel,
    NextToken,
    Objective,
    Ordinal,
    Regression,
    Task,
)
from ltx.testing import RECIPE


@dataclasses.dataclass(frozen=True)
class LogCosh(Objective):
    """A user's regression, whose derivatives FakeLab has no formulas for."""

    metric: ClassVar[Metric] = Metric("mean log cosh", higher_is_better=False)

    def outputs(self, targets):
        if not targets.floating or targets.shape:
            raise self.refuse("numbers", "others")
        return (1,)

    def losses(self, ops, outputs, targets, smoothing=0.0):
        error = outputs[:, 0] - targets
        return error + ops.softplus(-2 * error)

    def metrics(self, outputs, targets):
        from ltx.core.objectives.array_ops import NUMPY

        return {"mean log cosh": float(self.losses(NUMPY, outputs, targets).mean())}


@dataclasses.dataclass(frozen=True)
class Focal(Classification):
    """A user's classification with a loss of its own."""

    def losses(self, ops, outputs, targets, smoothing=0.0):
        logs = -super().losses(ops, outputs, targets, smoothing)
        return -ops.square(1 - ops.exp(logs)) * logs


FAKE = {
    "images": (Classification(), "fake"),
    "tokens": (Classification(), "fake_tokens"),
    "regression": (Regression(), "fake"),
    "huber": (Regression("huber"), "fake"),
    "tokens_regression": (Regression(), "fake_tokens"),
    "multi_label": (MultiLabel(), "fake"),
    "ordinal": (Ordinal(), "fake"),
    "next_token": (NextToken(), "fake"),
    "detailed": (Classification(detailed=True), "fake/2"),
    "log_cosh": (LogCosh(), "fake"),
    "focal": (Focal(), "fake"),
}


def fake_task(kind: str, **changes: object) -> Task:
    """The task of a FakeLab of this kind."""
    objective, data = FAKE[kind]
    task = Task(data=data, model="fake", recipe=RECIPE, objective=objective)
    return dataclasses.replace(task, **changes)  # type: ignore[arg-type]


def targets_of(objective: Objective) -> tuple[tuple[int, ...], np.ndarray]:
    """The shape of outputs, and targets, for 4 examples."""
    rng = np.random.default_rng(0)
    if isinstance(objective, Classification):
        return (4, 4), np.arange(4)
    if isinstance(objective, NextToken):
        return (4, 5, 4), rng.integers(0, 4, (4, 5))
    if isinstance(objective, MultiLabel):
        return (4, 3), rng.integers(0, 2, (4, 3))
    if isinstance(objective, Ordinal):
        return (4, 3), np.arange(4)
    return (4, 1), rng.normal(size=4).astype(np.float32)
