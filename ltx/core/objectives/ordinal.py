"""Ordinal: classes in an order, in which a near miss is better than a far one."""

import dataclasses
from typing import ClassVar

import numpy as np

from ltx.core.objectives import exact_metrics
from ltx.core.objectives.array_ops import Array, ArrayOps
from ltx.core.objectives.metric import Metric
from ltx.core.objectives.objective import Objective, Targets


@dataclasses.dataclass(frozen=True)
class Ordinal(Objective):
    """Binary cross-entropy of "is it above class k", for each k but the last.

    A model has one output fewer than there are classes. The class is the number of outputs above
    zero; the primary metric is the mean distance of classes (MAE).

    Reference: Frank & Hall, A Simple Approach to Ordinal Classification, ECML 2001
    """

    metric: ClassVar[Metric] = Metric("class MAE", higher_is_better=False, margin=0.01)
    further: ClassVar[tuple[Metric, ...]] = (
        Metric("accuracy", "%", 100.0, difference="points"),
        Metric("quadratic kappa"),
    )

    def outputs(self, targets: Targets) -> tuple[int, ...]:
        if targets.shape or targets.floating:
            raise self.refuse("one class number an example", f"targets of shape {targets.shape}")
        if targets.classes < 3:
            raise self.refuse("at least 3 classes in order", f"{targets.classes}")
        return (targets.classes - 1,)

    def losses(
        self, ops: ArrayOps, outputs: Array, targets: Array, smoothing: float = 0.0
    ) -> Array:
        del smoothing
        above = ops.cast(targets[:, None] > ops.arange(int(outputs.shape[-1])), outputs)
        return ops.mean(ops.softplus(outputs) - above * outputs, -1)

    def metrics(self, outputs: np.ndarray, targets: np.ndarray) -> dict[str, float]:
        predicted = (outputs > 0).sum(axis=-1)
        values = {
            "class MAE": float(np.abs(predicted - targets).mean()),
            "accuracy": float((predicted == targets).mean()),
        }
        kappa = exact_metrics.quadratic_kappa(predicted, targets, outputs.shape[-1] + 1)
        if kappa is not None:
            values["quadratic kappa"] = kappa
        return values
