"""Constant propagation: the values of channels that are constant in inference."""

import functools
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf
import tf_keras

from ltx.backends.tf_keras.graph import layer_types
from ltx.backends.tf_keras.graph.traversal import is_graph, is_plain, walk
from ltx.backends.tf_keras.graph.variables import named_variables

layers = tf_keras.layers

# These pass constants on unchanged, also at the edges: they do not pad with zeros.
SAME = (
    *layer_types.POOLS,
    *layer_types.RESIZINGS,
    *layer_types.NOISES,
    layers.Flatten,
    layers.Reshape,
)
MERGED: dict[type, Callable[[np.ndarray, np.ndarray], np.ndarray]] = {
    layers.Add: np.add,
    layers.Subtract: np.subtract,
    layers.Multiply: np.multiply,
    layers.Maximum: np.maximum,
    layers.Minimum: np.minimum,
    layers.Concatenate: lambda a, b: np.where(a == b, a, np.nan),
}


class ConstantInput(NamedTuple):
    """The values of the input channels of a kernel in one call of its layer.

    `values` are float64, NaN where they vary. `bias` names the variable into which a constant can
    be folded exactly; None if there is none.
    """

    values: np.ndarray
    bias: str | None


def constant_inputs(
    model: tf_keras.Model, masks: Mapping[str, np.ndarray], arrays: Mapping[str, np.ndarray]
) -> dict[str, list[ConstantInput]]:
    """For each kernel, the values of its input channels in each call of its layer.

    `arrays` are the values of all variables, `masks` those of the kernels that have one. A
    surviving weight counts as varying even if its value is 0, as training may change it.
    """
    propagation = _ConstantPropagation(model, masks, arrays)
    walk(model, [_varying(tensor) for tensor in model.inputs], propagation.step)
    return propagation.reads


class _ConstantPropagation:
    def __init__(
        self,
        model: tf_keras.Model,
        masks: Mapping[str, np.ndarray],
        arrays: Mapping[str, np.ndarray],
    ) -> None:
        self._names = {entry.variable.ref(): entry.name for entry in named_variables(model)}
        self._masks, self._arrays = masks, arrays
        self._training = False
        self.reads: dict[str, list[ConstantInput]] = {}

    def step(self, node: Any, values: list[np.ndarray]) -> list[np.ndarray]:
        outputs = tf.nest.flatten(node.outputs)
        outer, self._training = self._training, self._trains(node)
        results = self._call(node, values) if is_plain(node) else None
        self._training = outer
        if results is None or len(results) != len(outputs):
            return [_varying(tensor) for tensor in outputs]
        return results

    def _call(self, node: Any, values: list[np.ndarray]) -> list[np.ndarray] | None:
        layer = node.layer
        if is_graph(layer) and len(layer.inputs) == len(values):
            return walk(layer, values, self.step)
        if self._training and type(layer) in (*layer_types.NORMS, *layer_types.NOISES):
            return None
        result = self._through(layer, values, len(node.keras_inputs[0].shape))
        length = tf.nest.flatten(node.outputs)[0].shape[-1]
        if result is None or not length or length % max(len(result), 1):
            return None
        # A flattened tensor has the same values at all positions.
        return [np.tile(result, length // len(result))]

    def _trains(self, node: Any) -> bool:
        """Whether the call is in training mode, by its own argument or its caller's."""
        training = node.call_kwargs.get("training")
        return self._training if training is None else bool(training)

    def _through(
        self, layer: tf_keras.layers.Layer, values: list[np.ndarray], rank: int
    ) -> np.ndarray | None:
        kind = type(layer)
        if getattr(layer, "data_format", None) == "channels_first":
            return None
        if kind is layers.Concatenate and layer.axis in (-1, rank - 1):
            return np.concatenate(values)
        if kind is layers.Concatenate or kind in layer_types.MERGES:
            return _merged(kind, values)
        if kind in SAME:
            return values[0]
        return self._outputs(layer, values[0])

    def _outputs(self, layer: tf_keras.layers.Layer, inputs: np.ndarray) -> np.ndarray | None:
        kind, result = type(layer), None
        if kind in layer_types.PADDINGS:
            result = np.where(inputs == 0, inputs, np.nan)
        elif kind in layer_types.RECTIFIERS:
            result = _where_constant(layer, inputs)
        elif kind is layers.Activation:
            result = _activated(layer, inputs)
        elif kind in layer_types.NORMS:
            result = self._normed(layer, inputs)
        elif kind in layer_types.DENSE:
            result = self._mixed(layer, layer.kernel, inputs, exact=True)
        elif kind in layer_types.CONVOLUTIONS and layer.groups == 1:
            result = self._mixed(layer, layer.kernel, inputs, exact=not _pads(layer))
        elif kind in layer_types.TRANSPOSED:
            result = self._mixed(layer, layer.kernel, inputs, exact=False, swapped=True)
        elif (
            kind in (*layer_types.DEPTHWISE, *layer_types.SEPARABLE) and layer.depth_multiplier == 1
        ):
            result = self._scaled(layer.depthwise_kernel, inputs, _pads(layer))
            if kind in layer_types.SEPARABLE:
                result = self._mixed(layer, layer.pointwise_kernel, result, exact=True)
            else:
                result = _activated(layer, result + self._bias(layer))
        return result

    def _mixed(
        self,
        layer: tf_keras.layers.Layer,
        kernel: tf.Variable,
        inputs: np.ndarray,
        exact: bool,
        swapped: bool = False,
    ) -> np.ndarray:
        """The outputs of a kernel; `exact` if every output uses all positions of the kernel."""
        name = self._names[kernel.ref()]
        bias = None if layer.bias is None or not exact else self._names[layer.bias.ref()]
        self.reads.setdefault(name, []).append(ConstantInput(inputs, bias))
        summed, live = self._taps(kernel)
        if swapped:
            summed, live = summed.T, live.T
        varies = np.isnan(inputs) if exact else inputs != 0
        result = np.where(varies, 0, inputs) @ summed + self._bias(layer)
        result[live[varies].any(axis=0)] = np.nan
        return _activated(layer, result)

    def _scaled(self, kernel: tf.Variable, inputs: np.ndarray, pads: bool) -> np.ndarray:
        """The outputs of a depthwise kernel."""
        summed, live = (taps[:, 0] for taps in self._taps(kernel))
        varies = live & ((inputs != 0) if pads else np.isnan(inputs))
        return np.where(varies, np.nan, np.where(live, np.nan_to_num(inputs), 0) * summed)

    def _taps(self, kernel: tf.Variable) -> tuple[np.ndarray, np.ndarray]:
        """The kernel summed over its positions, and where any of its weights survives."""
        name, shape = self._names[kernel.ref()], kernel.shape
        live = self._masks.get(name, np.ones(shape, np.bool_))
        taps = np.where(live, self._arrays[name], 0).reshape(-1, *shape[-2:])
        live = live.reshape(taps.shape)
        return taps.sum(axis=0, dtype=np.float64), np.asarray(live.any(axis=0))

    def _normed(self, layer: tf_keras.layers.Layer, inputs: np.ndarray) -> np.ndarray:
        mean, variance = self._array(layer.moving_mean), self._array(layer.moving_variance)
        scale = 1.0 if layer.gamma is None else self._array(layer.gamma)
        shift = 0.0 if layer.beta is None else self._array(layer.beta)
        return (inputs - mean) * scale / np.sqrt(variance + layer.epsilon) + shift

    def _bias(self, layer: tf_keras.layers.Layer) -> np.ndarray | float:
        return 0.0 if layer.bias is None else self._array(layer.bias)

    def _array(self, variable: tf.Variable) -> np.ndarray:
        return self._arrays[self._names[variable.ref()]].astype(np.float64)


def _pads(layer: tf_keras.layers.Layer) -> bool:
    """Whether some outputs use zero padding in place of inputs."""
    return layer.padding != "valid" and any(size > 1 for size in layer.kernel_size)


def _merged(kind: type, values: list[np.ndarray]) -> np.ndarray:
    if kind is layers.Average:
        return np.mean(np.broadcast_arrays(*values), axis=0)
    result = functools.reduce(MERGED[kind], values)
    if kind is layers.Multiply:
        # Zero times a value that varies is zero.
        result = np.where(np.any(np.equal(np.broadcast_arrays(*values), 0), axis=0), 0, result)
    return result


def _activated(layer: tf_keras.layers.Layer, inputs: np.ndarray) -> np.ndarray:
    if layer.activation not in layer_types.ELEMENTWISE:
        return np.full_like(inputs, np.nan)
    return _where_constant(layer.activation, inputs)


def _where_constant(function: Callable, inputs: np.ndarray) -> np.ndarray:
    # As a row: the layer form of an activation expects a batch.
    result = np.asarray(function(tf.constant(inputs[None], tf.float32)))[0]
    return np.where(np.isnan(inputs), np.nan, result)


def _varying(tensor: tf.Tensor) -> np.ndarray:
    shape = tensor.shape
    return np.full((shape[-1] if shape.rank else None) or 0, np.nan)
