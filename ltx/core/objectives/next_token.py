"""NextToken: language modelling, the cross-entropy of each token after those before it."""

import dataclasses
import math
from collections.abc import Iterable
from typing import ClassVar

import numpy as np

from ltx.core.objectives.array_ops import NUMPY, Array, ArrayOps
from ltx.core.objectives.classification import cross_entropy
from ltx.core.objectives.metric import Metric
from ltx.core.objectives.objective import Block, Objective, Restore, Targets

PADDING = 0


@dataclasses.dataclass(frozen=True)
class NextToken(Objective):
    """The cross-entropy in nats a token, and in bits a token over all tokens of a split.

    Targets are token numbers, [n, length]; those of 0 are padding and do not count. The mean is
    over tokens, whatever the lengths of the texts; perplexity is the exponential of that mean.
    """

    metric: ClassVar[Metric] = Metric("bits a token", higher_is_better=False, margin=0.01)
    further: ClassVar[tuple[Metric, ...]] = (
        Metric("perplexity", higher_is_better=False),
        Metric("token accuracy", "%", 100.0, difference="points"),
    )
    softmax: ClassVar[bool] = True

    def outputs(self, targets: Targets) -> tuple[int, ...]:
        if len(targets.shape) != 1 or targets.floating:
            raise self.refuse("a row of token numbers", f"targets of shape {targets.shape}")
        if targets.classes < 3:
            raise self.refuse("at least two tokens beside padding", f"{targets.classes - 1}")
        return (*targets.shape, targets.classes)

    def check_targets(self, targets: np.ndarray, described: Targets) -> None:
        del described
        if (targets == PADDING).all():
            raise self.refuse("tokens to predict", "padding alone")

    def losses(
        self, ops: ArrayOps, outputs: Array, targets: Array, smoothing: float = 0.0
    ) -> Array:
        each = cross_entropy(ops, outputs, targets, smoothing)
        return ops.sum(each * ops.cast(targets != PADDING, each), -1)

    def counts(self, ops: ArrayOps, targets: Array, like: Array) -> Array:
        return ops.sum(ops.cast(targets != PADDING, like), -1)

    def measure(
        self, blocks: Iterable[Block], restored: Restore = lambda values: values
    ) -> tuple[float, dict[str, float]]:
        """Sums of blocks: the outputs of a whole split would not fit into memory."""
        del restored
        total, count, right = 0.0, 0, 0
        for outputs, targets in blocks:
            total += float(self.losses(NUMPY, outputs.astype(np.float64), targets).sum())
            real = targets != PADDING
            count += int(real.sum())
            right += int(((outputs.argmax(-1) == targets) & real).sum())
        mean = total / max(count, 1)
        return mean, {
            "bits a token": mean / math.log(2),
            "perplexity": math.exp(min(mean, 700.0)),
            "token accuracy": right / max(count, 1),
        }

    def metrics(self, outputs: np.ndarray, targets: np.ndarray) -> dict[str, float]:
        return self.measure([(outputs, targets)])[1]
