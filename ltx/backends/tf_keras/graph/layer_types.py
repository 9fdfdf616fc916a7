"""Geometry: how many multiplications a weight takes part in, read off the layer that owns it."""

import math
from collections.abc import Iterable

import tensorflow as tf
import tf_keras

from ltx.core.prunable import Weight

layers = tf_keras.layers

TRANSPOSED = (layers.Conv1DTranspose, layers.Conv2DTranspose, layers.Conv3DTranspose)
CONVOLUTIONS = (
    layers.Conv1D,
    layers.Conv2D,
    layers.Conv3D,
    layers.DepthwiseConv1D,
    layers.DepthwiseConv2D,
    layers.SeparableConv1D,
    layers.SeparableConv2D,
    layers.ConvLSTM1D,
    layers.ConvLSTM2D,
    layers.ConvLSTM3D,
    *TRANSPOSED,
)


def weight(
    name: str, layer: tf_keras.layers.Layer, shape: tuple[int, ...], times: int, is_output: bool
) -> Weight:
    """What a finder may know of this weight, of a layer called `times` times for one example."""
    kind = _kind(layer, shape)
    uses = max(1, times * _positions(layer, shape, kind))
    return Weight(name, shape, kind, uses, is_output, _made(name, layer, shape))


def has_convolution(
    model: tf_keras.Model, owners: Iterable[tuple[tf_keras.layers.Layer, tuple[int, ...]]]
) -> bool:
    """Whether the model convolves; `owners` are its variables' layers and shapes."""
    known = any(isinstance(layer, CONVOLUTIONS) for layer in model._flatten_layers())
    return known or any(_kind(layer, shape) == "conv" for layer, shape in owners)


def repeats(layer: tf_keras.layers.Layer) -> int:
    """How often one call of the layer calls its sublayers: once for each step of a sequence."""
    steps = _input(layer)[1:2] if isinstance(layer, (layers.RNN, layers.TimeDistributed)) else ()
    return math.prod(steps)


def _kind(layer: tf_keras.layers.Layer, shape: tuple[int, ...]) -> str:
    if isinstance(layer, CONVOLUTIONS):
        return "conv"
    # A custom layer with a kernel like a convolution's, on inputs like a convolution's.
    own = type(layer).__module__.split(".")[0] != "tf_keras"
    return "conv" if own and len(shape) > 3 and len(_input(layer)) == len(shape) else "dense"


def _positions(layer: tf_keras.layers.Layer, shape: tuple[int, ...], kind: str) -> int:
    inputs = _input(layer)
    if kind == "conv":
        reached = inputs if isinstance(layer, TRANSPOSED) else _output(layer)
        first = getattr(layer, "data_format", None) == "channels_first"
        return math.prod(reached[2:] if first else reached[1:-1])
    if isinstance(layer, layers.EinsumDense):
        taken, kernel = layer.equation.split("->")[0].split(",")
        summed = [size for label, size in zip(kernel, shape, strict=True) if label in taken]
        return math.prod(inputs[1:]) // math.prod(summed)
    if len(shape) == 2 and inputs[-1:] == shape[:1]:
        return math.prod(inputs[1:-1])
    return 1


def _made(name: str, layer: tf_keras.layers.Layer, shape: tuple[int, ...]) -> tuple[int, ...]:
    """The axes of the kernel along which the layer's output units lie."""
    if isinstance(layer, TRANSPOSED):
        return (-2,)
    if name.endswith("depthwise_kernel"):
        return (-2, -1)
    if isinstance(layer, layers.EinsumDense):
        taken, rest = layer.equation.split(",")
        kernel = rest.split("->")[0]
        axes = [axis - len(shape) for axis, label in enumerate(kernel) if label not in taken]
        return tuple(axes) or (-1,)
    return (-1,)


def _input(layer: tf_keras.layers.Layer) -> tuple[int, ...]:
    # Inside subclassed models and composite layers this is the only record of a shape.
    return _dims(getattr(layer, "_build_input_shape", None))


def _output(layer: tf_keras.layers.Layer) -> tuple[int, ...]:
    try:
        return _dims(layer.compute_output_shape(layer._build_input_shape))
    except NotImplementedError:
        return ()


def _dims(shape: object) -> tuple[int, ...]:
    """The sizes, unknown ones as 1; empty where the layer has no input, or several."""
    if isinstance(shape, tf.TensorShape):
        shape = shape.as_list() if shape.rank is not None else ()
    if not isinstance(shape, (tuple, list)):
        return ()
    if not all(size is None or isinstance(size, int) for size in shape):
        return ()
    return tuple(1 if size is None else size for size in shape)
