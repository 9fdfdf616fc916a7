"""MultiLabel: any number of labels for each example, each a yes or no of its own."""

import dataclasses
from typing import ClassVar

import numpy as np

from ltx.core.objectives import exact_metrics
from ltx.core.objectives.array_ops import Array, ArrayOps
from ltx.core.objectives.metric import Metric
from ltx.core.objectives.objective import Objective, Targets


@dataclasses.dataclass(frozen=True)
class MultiLabel(Objective):
    """Binary cross-entropy of logits, meaned over labels, and the macro AUC.

    Targets are 0 or 1, [n, labels]. The primary metric is the mean over labels of the exact area
    under the ROC curve; labels that a split has only one value of are left out. The share of right
    answers would be high for a network that always says no.
    """

    metric: ClassVar[Metric] = Metric("macro AUC", "%", 100.0, margin=0.003, difference="points")
    further: ClassVar[tuple[Metric, ...]] = (
        Metric("label accuracy", "%", 100.0, difference="points"),
        Metric("exact match", "%", 100.0, difference="points"),
    )

    def outputs(self, targets: Targets) -> tuple[int, ...]:
        if len(targets.shape) != 1:
            raise self.refuse("a row of 0 and 1 an example", f"targets of shape {targets.shape}")
        return targets.shape

    def check_targets(self, targets: np.ndarray, described: Targets) -> None:
        del described
        if not np.isin(targets, (0, 1)).all():
            wrong = targets[~np.isin(targets, (0, 1))].flat[0]
            raise self.refuse("targets of 0 and 1", f"{wrong}")
        both = (targets.min(axis=0) != targets.max(axis=0)).any()
        if not both:
            raise self.refuse("a label with both values in every split", "none")

    def losses(
        self, ops: ArrayOps, outputs: Array, targets: Array, smoothing: float = 0.0
    ) -> Array:
        del smoothing
        return ops.mean(ops.softplus(outputs) - ops.cast(targets, outputs) * outputs, -1)

    def metrics(self, outputs: np.ndarray, targets: np.ndarray) -> dict[str, float]:
        true, said = targets == 1, outputs > 0
        areas = [
            exact_metrics.auc(outputs[:, n], true[:, n])
            for n in range(targets.shape[1])
            if 0 < true[:, n].sum() < len(true)
        ]
        return {
            "macro AUC": float(np.mean(areas)),
            "label accuracy": float((said == true).mean()),
            "exact match": float((said == true).all(axis=1).mean()),
        }
