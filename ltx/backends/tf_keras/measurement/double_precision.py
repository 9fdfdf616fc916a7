"""DoublePrecision: synaptic flow in float64, for networks whose flow is beyond float32."""

import functools

import numpy as np
import tensorflow as tf

from ltx.backends.tf_keras import devices
from ltx.backends.tf_keras.loss import Loss
from ltx.backends.tf_keras.masking import MaskedModel
from ltx.backends.tf_keras.measurement.derivatives import Derivatives
from ltx.backends.tf_keras.models import builder
from ltx.core import clock
from ltx.core.engine import Engine
from ltx.core.errors import DivergedError, UsageError
from ltx.core.mask import Mask
from ltx.core.state import State, first_not_finite
from ltx.core.task import Task
from ltx.data.dataset import Dataset

LEAST = 1e-34  # flows that are all smaller have lost digits in float32, or are zero


def is_needed(flows: dict[str, np.ndarray]) -> bool:
    """Whether these flows, computed in the engine's precision, overflow or underflow."""
    if first_not_finite(flows):
        return True
    return max((float(flow.max()) for flow in flows.values() if flow.size), default=1.0) < LEAST


class DoublePrecision:
    """A copy of a task's model whose layers hold and compute float64, built at its first use.

    Replicas of a strategy take no part: the copy is then on the CPU.
    """

    def __init__(self, task: Task, engine: Engine, data: Dataset, xla: bool) -> None:
        self._task, self._engine, self._data, self._xla = task, engine, data, xla

    def synaptic_flow(self, state: State, mask: Mask) -> dict[str, np.ndarray]:
        """`Derivatives.synaptic_flow` of absolute variables, in float64.

        Raises DivergedError for a model whose code cannot compute in float64.
        """
        try:
            with clock.paused():
                masked, derivatives = self._copy
            variables = {**masked.weights, **masked.statistics}
            for name, value in {**mask.apply(state.weights), **state.statistics}.items():
                variable = variables[name]
                variable.assign(np.abs(value).astype(variable.dtype.as_numpy_dtype))
            return derivatives.synaptic_flow()
        except (TypeError, ValueError, UsageError, tf.errors.OpError) as error:
            raise DivergedError(
                f"{self._task.label}: its synaptic flow is beyond the range of"
                f" {self._engine.precision}, and the model cannot compute it in float64"
                f" ({type(error).__name__}: {' '.join(str(error).split())[:200]}); start from"
                " weights of another scale"
            ) from error

    @functools.cached_property
    def _copy(self) -> tuple[MaskedModel, Derivatives]:
        task, data = self._task, self._data
        single = self._engine.strategy == "one"
        with tf.device(devices.kind(self._engine) if single else "CPU"):
            outputs = task.objective.outputs(data.targets)
            args = (data.inputs, outputs, task.model_args, 0, "float64")
            masked = MaskedModel(builder.build_for(task.model, *args), data.inputs, task.head)
            return masked, Derivatives(masked, Loss(masked, data, task), data, self._xla)
