"""Regression: squared error of one number or several."""

import dataclasses
from typing import ClassVar

import numpy as np

from ltx.core.objectives import exact_metrics
from ltx.core.objectives.array_ops import Array, ArrayOps
from ltx.core.objectives.metric import Metric
from ltx.core.objectives.objective import Objective, Targets
from ltx.core.validation import check_choice


@dataclasses.dataclass(frozen=True)
class Regression(Objective):
    """The squared error, and its root over a whole split (RMSE), both in the targets' units.

    `loss` may be "huber" instead: squared up to an error of 1, then linear.
    """

    loss: str = "squared"

    metric: ClassVar[Metric] = Metric("RMSE", higher_is_better=False, margin=0.01, relative=True)
    further: ClassVar[tuple[Metric, ...]] = (Metric("R2"), Metric("MAE", higher_is_better=False))

    def __post_init__(self) -> None:
        check_choice("Regression.loss", self.loss, ("squared", "huber"))

    def outputs(self, targets: Targets) -> tuple[int, ...]:
        if not targets.floating:
            raise self.refuse("floating targets", f"class numbers of {targets.classes} classes")
        if len(targets.shape) > 1:
            raise self.refuse("one row of numbers an example", f"targets of {targets.shape}")
        return targets.shape or (1,)

    def losses(
        self, ops: ArrayOps, outputs: Array, targets: Array, smoothing: float = 0.0
    ) -> Array:
        del smoothing
        error = outputs - _rows(targets)
        if self.loss == "squared":
            return ops.mean(ops.square(error), -1)
        size = ops.abs(error)
        inside = ops.minimum(size, 1.0)
        return ops.mean(ops.square(inside) / 2 + size - inside, -1)

    def metrics(self, outputs: np.ndarray, targets: np.ndarray) -> dict[str, float]:
        exact = _rows(targets).astype(np.float64)
        values = {
            "RMSE": float(np.sqrt(np.square(outputs - exact).mean())),
            "MAE": float(np.abs(outputs - exact).mean()),
        }
        if (share := exact_metrics.r2(outputs, exact)) is not None:
            values["R2"] = share
        return values


def _rows(targets: Array) -> Array:
    """Targets as [batch, outputs]."""
    return targets[:, None] if len(targets.shape) == 1 else targets
