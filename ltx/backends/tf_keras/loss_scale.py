"""LossScale: whether training in float16 applies any step, or skips all of them."""

from collections.abc import Callable, Mapping

import numpy as np
import tensorflow as tf

from ltx.core.errors import DivergedError
from ltx.core.state import State
from ltx.core.task import Task

Arrays = Mapping[str, np.ndarray]
SCALE, GOOD, STEPS = "loss_scale:", "good_steps:", "iterations:"


class LossScale:
    """Reads after each segment what the dynamic loss scale did.

    A step with a gradient that is not finite is skipped, and the scale halved down to 1. That is
    how a scale is found, and no fault, as long as it can be halved. `slots` are the optimizer's,
    `fresh` their first values, and `read` returns the current weights. Without a loss scale among
    the slots nothing is checked.
    """

    def __init__(
        self,
        task: Task,
        slots: Mapping[str, tf.Variable],
        fresh: Arrays,
        read: Callable[[], Arrays],
    ) -> None:
        self._task, self._slots, self._read = task, slots, read
        self._first = float(fresh[SCALE]) if SCALE in fresh else None
        self._before: Arrays | None = None

    def begin(self, weights: Arrays) -> None:
        """Take these weights for those before the next segment."""
        self._before = weights

    def check(self, step: int) -> None:
        """Raise DivergedError if a segment that ends at `step` changed no weight at scale 1.

        Weights are compared only where the last step was skipped. Those of a segment that follows
        one whose last step was applied are not known, so that the next is the first to be compared.
        """
        if self._first is None:
            return
        if int(self._slots[GOOD].numpy()):
            self._before = None
            return
        before, self._before = self._before, self._read()
        unchanged = before is not None and all(
            np.array_equal(array, before[name]) for name, array in self._before.items()
        )
        if unchanged and float(self._slots[SCALE].numpy()) <= 1:
            raise self._skipped(f"every step of the segment that ends at step {step}")

    def check_end(self, state: State) -> None:
        """Raise DivergedError for the end of a training in which every step was skipped."""
        if self._first is None or int(state.slots[GOOD]):
            return
        steps = int(state.slots[STEPS])
        # Any step that was applied leaves a larger scale. Where that is 1, `check` compares.
        if steps > 0 and float(state.slots[SCALE]) * 2.0 ** min(steps, 1000) == self._first:
            raise self._skipped(f"all {steps} steps")

    def _skipped(self, what: str) -> DivergedError:
        return DivergedError(
            f"{self._task.label}: the loss scale of float16 skipped {what}, as gradients were not"
            " finite: nothing was trained; set Engine.precision to 'bfloat16' or 'float32'"
        )
