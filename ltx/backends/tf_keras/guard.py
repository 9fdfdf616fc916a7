"""Guard: the checks after every training segment, that all is finite and masks are intact."""

from collections.abc import Iterable, Mapping

import numpy as np
import tensorflow as tf

from ltx.backends.tf_keras.loop import Report
from ltx.backends.tf_keras.masking import MaskedModel
from ltx.core.errors import GuardError
from ltx.core.mask import Mask
from ltx.core.run import diverged
from ltx.core.task import Task


class Guard:
    """Compares a masked model with the mask that it was loaded with.

    Raises DivergedError for a weight, statistic or slot that is not finite, GuardError for a mask
    that is violated.
    """

    def __init__(self, masked: MaskedModel, task: Task, slots: Mapping[str, tf.Variable]) -> None:
        self._masked, self._task = masked, task
        self._floats = floats(masked.weights, masked.statistics, slots)
        self._kept: dict[str, int] = {}

    def expect(self, mask: Mask) -> None:
        """Remember how many weights each layer of the loaded mask keeps."""
        self._kept = {name: int(np.count_nonzero(keep)) for name, keep in mask.items()}

    def check_masks(self) -> None:
        """Raise GuardError if a mask keeps another number of weights than expected."""
        for name, keep in self._masked.get_masks().items():
            if int(keep.sum()) != self._kept[name]:
                raise GuardError(
                    f"{self._task.label}: the mask of {name} changed; please report this"
                )

    def report(self) -> Report:
        """What `check` reads, computed before TF-MOT applies the masks once more; may be traced."""
        weights = self._masked.weights
        finite = are_finite(self._floats.values())
        leaks, sizes = [tf.zeros((), tf.int32)], [tf.zeros((), tf.int32)]
        for name, mask in self._masked.masks.items():
            leaks.append(tf.math.count_nonzero(weights[name] * (1 - mask), dtype=tf.int32))
            sizes.append(tf.math.count_nonzero(mask, dtype=tf.int32))
        report = (finite, tf.stack(leaks[1:] or leaks), tf.stack(sizes[1:] or sizes))
        with tf.control_dependencies(report):
            self._masked.apply()
        return report

    def check(self, report: Report, step: int) -> None:
        """Raise if something is not finite, a pruned weight is not zero or a mask has changed."""
        label = self._task.label
        finite, leaks, sizes = (part.numpy() for part in report)
        if not finite.all():
            name = list(self._floats)[int(np.argmin(finite))]
            raise diverged(self._task, f"training diverged before step {step}, {name}")
        for name, leak, size in zip(self._masked.masks, leaks, sizes, strict=False):
            if leak or size != self._kept[name]:
                raise GuardError(
                    f"{label}, step {step}: {name} has {leak} pruned weights that are not"
                    f" zero, its mask keeps {size} and should keep {self._kept[name]};"
                    " please report this"
                )


def floats(*groups: Mapping[str, tf.Variable]) -> dict[str, tf.Variable]:
    """Those of these variables that may not be finite; of several replicas the first's."""
    return {
        name: getattr(variable, "values", (variable,))[0]
        for group in groups
        for name, variable in group.items()
        if variable.dtype.is_floating
    }


def are_finite(variables: Iterable[tf.Variable]) -> tf.Tensor:
    """Whether each variable is finite, bool [variables]; may be traced."""
    return tf.stack([tf.reduce_all(tf.math.is_finite(variable)) for variable in variables])
