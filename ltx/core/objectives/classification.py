"""Classification: cross-entropy and accuracy of one class out of several."""

import dataclasses
from typing import ClassVar

import numpy as np

from ltx.core.objectives import exact_metrics
from ltx.core.objectives.array_ops import Array, ArrayOps
from ltx.core.objectives.metric import ACCURACY, Metric
from ltx.core.objectives.objective import Objective, Targets


@dataclasses.dataclass(frozen=True)
class Classification(Objective):
    """Cross-entropy in nats of class numbers, and the share that is classified correctly.

    `further` metrics are measured where `detailed`: balanced accuracy, top-5 accuracy of more than
    five classes, and the area under the ROC curve (AUC) of two.
    """

    detailed: bool = False

    metric: ClassVar[Metric] = ACCURACY
    further: ClassVar[tuple[Metric, ...]] = (
        Metric("balanced accuracy", "%", 100.0, difference="points"),
        Metric("top-5 accuracy", "%", 100.0, difference="points"),
        Metric("AUC"),
    )
    softmax: ClassVar[bool] = True

    def outputs(self, targets: Targets) -> tuple[int, ...]:
        if targets.shape or targets.floating:
            kind = "floating" if targets.floating else "whole"
            raise self.refuse(
                "one class number an example", f"{kind} targets of shape {targets.shape}"
            )
        if targets.classes < 2:
            raise self.refuse("targets of at least 2 classes", f"{targets.classes}")
        return (targets.classes,)

    def losses(
        self, ops: ArrayOps, outputs: Array, targets: Array, smoothing: float = 0.0
    ) -> Array:
        """Labels are smoothed towards uniform."""
        return cross_entropy(ops, outputs, targets, smoothing)

    @property
    def sums_on_device(self) -> bool:
        return not self.detailed

    def hits(self, ops: ArrayOps, outputs: Array, targets: Array) -> Array:
        return ops.cast(ops.equal(ops.argmax(outputs), targets), outputs)

    def metrics(self, outputs: np.ndarray, targets: np.ndarray) -> dict[str, float]:
        values = {
            "accuracy": float((outputs.argmax(-1) == targets).mean()),
            "balanced accuracy": exact_metrics.balanced_accuracy(outputs, targets),
        }
        if outputs.shape[-1] > 5:
            values["top-5 accuracy"] = exact_metrics.top_accuracy(outputs, targets, 5)
        if outputs.shape[-1] == 2 and 0 < targets.mean() < 1:
            values["AUC"] = exact_metrics.auc(outputs[:, 1] - outputs[:, 0], targets == 1)
        return values


def cross_entropy(ops: ArrayOps, logs: Array, labels: Array, smoothing: float = 0.0) -> Array:
    """The cross-entropy of log-probabilities, over their last axis."""
    classes = int(logs.shape[-1])
    low = smoothing / classes
    targets = ops.one_hot(labels, classes, 1 - smoothing + low, low, logs)
    return -ops.sum(targets * logs, -1)
