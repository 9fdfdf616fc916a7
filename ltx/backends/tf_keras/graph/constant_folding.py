"""Constants: what channels emit, in inference, where nothing live goes into them."""

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

# A constant leaves these as it came, also at the edges, which they do not pad with zeros.
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
    """What one call of a layer finds along the axis of its kernel that takes channels.

    `values` are float64, NaN where they vary. `bias` names the variable into which a constant can
    be folded exactly; None where there is none.
    """

    values: np.ndarray
    bias: str | None


def constant_inputs(
    model: tf_keras.Model, masks: Mapping[str, np.ndarray], arrays: Mapping[str, np.ndarray]
) -> dict[str, list[ConstantInput]]:
    """For each kernel that takes channels, what each call of its layer finds there.

    `arrays` are the values of all variables, `masks` what is left of the kernels that have one. A
    live weight counts whatever its value, for it may learn.
    """
    teller = _ConstantPropagation(model, masks, arrays)
    walk(model, [_varying(tensor) for tensor in model.inputs], teller.step)
    return teller.reads


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
        made = self._made(node, values) if is_plain(node) else None
        self._training = outer
        if made is None or len(made) != len(outputs):
            return [_varying(tensor) for tensor in outputs]
        return made

    def _made(self, node: Any, values: list[np.ndarray]) -> list[np.ndarray] | None:
        layer = node.layer
        if is_graph(layer) and len(layer.inputs) == len(values):
            return walk(layer, values, self.step)
        if self._training and type(layer) in (*layer_types.NORMS, *layer_types.NOISES):
            return None
        made = self._through(layer, values, len(node.keras_inputs[0].shape))
        length = tf.nest.flatten(node.outputs)[0].shape[-1]
        if made is None or not length or length % max(len(made), 1):
            return None
        return [np.tile(made, length // len(made))]  # flattened, every position has the same

    def _trains(self, node: Any) -> bool:
        """Whether the call is one of training, by its own argument or that of the call around."""
        given = node.call_kwargs.get("training")
        return self._training if given is None else bool(given)

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
        return self._emitted(layer, values[0])

    def _emitted(self, layer: tf_keras.layers.Layer, given: np.ndarray) -> np.ndarray | None:
        kind, made = type(layer), None
        if kind in layer_types.PADDINGS:
            made = np.where(given == 0, given, np.nan)
        elif kind in layer_types.RECTIFIERS:
            made = _where_known(layer, given)
        elif kind is layers.Activation:
            made = _activated(layer, given)
        elif kind in layer_types.NORMS:
            made = self._normed(layer, given)
        elif kind in layer_types.DENSE:
            made = self._mixed(layer, layer.kernel, given, exact=True)
        elif kind in layer_types.CONVOLUTIONS and layer.groups == 1:
            made = self._mixed(layer, layer.kernel, given, exact=not _pads(layer))
        elif kind in layer_types.TRANSPOSED:
            made = self._mixed(layer, layer.kernel, given, exact=False, swapped=True)
        elif (
            kind in (*layer_types.DEPTHWISE, *layer_types.SEPARABLE) and layer.depth_multiplier == 1
        ):
            made = self._scaled(layer.depthwise_kernel, given, _pads(layer))
            if kind in layer_types.SEPARABLE:
                made = self._mixed(layer, layer.pointwise_kernel, made, exact=True)
            else:
                made = _activated(layer, made + self._bias(layer))
        return made

    def _mixed(
        self,
        layer: tf_keras.layers.Layer,
        kernel: tf.Variable,
        given: np.ndarray,
        exact: bool,
        swapped: bool = False,
    ) -> np.ndarray:
        """What a kernel makes of its inputs; `exact` where each output sees every tap."""
        name = self._names[kernel.ref()]
        bias = None if layer.bias is None or not exact else self._names[layer.bias.ref()]
        self.reads.setdefault(name, []).append(ConstantInput(given, bias))
        summed, live = self._taps(kernel)
        if swapped:
            summed, live = summed.T, live.T
        varies = np.isnan(given) if exact else given != 0
        made = np.where(varies, 0, given) @ summed + self._bias(layer)
        made[live[varies].any(axis=0)] = np.nan
        return _activated(layer, made)

    def _scaled(self, kernel: tf.Variable, given: np.ndarray, pads: bool) -> np.ndarray:
        """What a depthwise kernel makes of its inputs."""
        summed, live = (taps[:, 0] for taps in self._taps(kernel))
        varies = live & ((given != 0) if pads else np.isnan(given))
        return np.where(varies, np.nan, np.where(live, np.nan_to_num(given), 0) * summed)

    def _taps(self, kernel: tf.Variable) -> tuple[np.ndarray, np.ndarray]:
        """The kernel summed over its positions, and where any of its weights is live."""
        name, shape = self._names[kernel.ref()], kernel.shape
        live = self._masks.get(name, np.ones(shape, np.bool_))
        taps = np.where(live, self._arrays[name], 0).reshape(-1, *shape[-2:])
        live = live.reshape(taps.shape)
        return taps.sum(axis=0, dtype=np.float64), np.asarray(live.any(axis=0))

    def _normed(self, layer: tf_keras.layers.Layer, given: np.ndarray) -> np.ndarray:
        mean, variance = self._array(layer.moving_mean), self._array(layer.moving_variance)
        scale = 1.0 if layer.gamma is None else self._array(layer.gamma)
        shift = 0.0 if layer.beta is None else self._array(layer.beta)
        return (given - mean) * scale / np.sqrt(variance + layer.epsilon) + shift

    def _bias(self, layer: tf_keras.layers.Layer) -> np.ndarray | float:
        return 0.0 if layer.bias is None else self._array(layer.bias)

    def _array(self, variable: tf.Variable) -> np.ndarray:
        return self._arrays[self._names[variable.ref()]].astype(np.float64)


def _pads(layer: tf_keras.layers.Layer) -> bool:
    """Whether some outputs see zeros beyond the edge in the place of inputs."""
    return layer.padding != "valid" and any(size > 1 for size in layer.kernel_size)


def _merged(kind: type, values: list[np.ndarray]) -> np.ndarray:
    if kind is layers.Average:
        return np.mean(np.broadcast_arrays(*values), axis=0)
    made = functools.reduce(MERGED[kind], values)
    if kind is layers.Multiply:
        # Nothing times something that varies is nothing.
        made = np.where(np.any(np.equal(np.broadcast_arrays(*values), 0), axis=0), 0, made)
    return made


def _activated(layer: tf_keras.layers.Layer, given: np.ndarray) -> np.ndarray:
    if layer.activation not in layer_types.ELEMENTWISE:
        return np.full_like(given, np.nan)
    return _where_known(layer.activation, given)


def _where_known(function: Callable, given: np.ndarray) -> np.ndarray:
    # As a row: the layer form of an activation expects a batch.
    made = np.asarray(function(tf.constant(given[None], tf.float32)))[0]
    return np.where(np.isnan(given), np.nan, made)


def _varying(tensor: tf.Tensor) -> np.ndarray:
    shape = tensor.shape
    return np.full((shape[-1] if shape.rank else None) or 0, np.nan)
