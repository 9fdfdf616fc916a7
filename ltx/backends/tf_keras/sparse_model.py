"""SparseModel: a tf_keras model as the layers that the sparse engine knows."""

import dataclasses
from typing import Any

import tensorflow as tf
import tf_keras

from ltx.backends.sparse.network import Layer, Network
from ltx.backends.tf_keras.graph.traversal import is_graph, is_plain, walk
from ltx.backends.tf_keras.masking import MaskedModel

layers, activations = tf_keras.layers, tf_keras.activations


class UnknownError(Exception):
    """A part of a model that the sparse engine does not know; the text names it."""


def read(masked: MaskedModel) -> Network:
    """The layers of a chain of Dense layers; UnknownError for any other model."""
    model = masked.model
    own = type(model).__module__.partition(".")[0] != "tf_keras"
    if own or not is_graph(model):
        raise UnknownError(f"a {type(model).__name__} with code of its own")
    if len(model.inputs) != 1 or len(model.outputs) != 1:
        raise UnknownError("a model of several inputs or outputs")
    names = {variable.ref(): name for name, variable in masked.weights.items()}

    def step(node: Any, values: list[Network]) -> list[Network]:
        if len(values) != 1 or not is_plain(node):
            raise UnknownError(f"layer {node.layer.name!r}, which has several inputs")
        return [_extended(values[0], node, names)]

    none: Network = ()
    [network] = walk(model, [none], step)
    kernels = [layer.kernel for layer in network]
    if not kernels or len(set(kernels)) < len(kernels):
        raise UnknownError("a model without Dense layers, or one that uses a layer twice")
    if left := (masked.weights.keys() | masked.statistics.keys()) - {
        name for layer in network for name in (layer.kernel, layer.bias)
    }:
        raise UnknownError(f"the variable {sorted(left)[0]!r}")
    return network


def _extended(network: Network, node: Any, names: dict[object, str]) -> Network:
    """The network with one more layer, or with an activation of its last one."""
    layer = node.layer
    where = f"layer {layer.name!r}, a {type(layer).__name__}"
    if layer.compute_dtype != "float32":
        raise UnknownError(f"{where} in {layer.compute_dtype}")
    if type(layer) is layers.Flatten and layer.data_format == "channels_last":
        return network
    if type(layer) is layers.Dense:
        return (*network, _dense(layer, node, names, where))
    if not network or (network[-1].tanh or network[-1].slope != 1):
        raise UnknownError(where)
    slope, tanh = _activation(layer, where)
    return (*network[:-1], dataclasses.replace(network[-1], slope=slope, tanh=tanh))


def _dense(layer: Any, node: Any, names: dict[object, str], where: str) -> Layer:
    constrained = layer.kernel_constraint or layer.bias_constraint
    penalised = layer.kernel_regularizer or layer.bias_regularizer or layer.activity_regularizer
    if constrained or penalised:
        raise UnknownError(f"{where} with a constraint or regularizer")
    if len(node.input_shapes) != 2:
        raise UnknownError(f"{where} on inputs of shape {node.input_shapes[1:]}")
    variables = [layer.kernel, *([layer.bias] if layer.use_bias else [])]
    if any(variable.ref() not in names for variable in variables):
        raise UnknownError(f"{where} that is not trained")
    kernel, *bias = (names[variable.ref()] for variable in variables)
    slope, tanh = _activation(layer.activation, where)
    inputs, units = layer.kernel.shape
    return Layer(kernel, bias[0] if bias else "", inputs, units, slope, tanh)


def _activation(kind: Any, where: str) -> tuple[float, bool]:
    """The slope of an activation for negative sums, and whether it is tanh."""
    if type(kind) is layers.Activation:
        kind = kind.activation
    if kind in (activations.tanh, tf.nn.tanh):
        return 1.0, True
    slope = -1.0
    if kind in (None, activations.linear):
        slope = 1.0
    elif kind in (activations.relu, tf.nn.relu):
        slope = 0.0
    elif kind is tf.nn.leaky_relu:
        slope = 0.2
    elif type(kind) is layers.LeakyReLU:
        slope = float(kind.alpha)
    elif type(kind) is layers.ReLU and kind.max_value is None and not kind.threshold:
        slope = float(kind.negative_slope)
    if slope < 0:
        name = getattr(kind, "__name__", type(kind).__name__)
        raise UnknownError(f"{where} with activation {name}" if name not in where else where)
    return slope, False
