"""The types of tf_keras layers by what they do with channels, and what each weight multiplies."""

import math
from collections.abc import Callable, Iterable, Sequence

import tensorflow as tf
import tf_keras

from ltx.backends.tf_keras.models.layers import Projection
from ltx.core.prunable import Weight

layers, activations = tf_keras.layers, tf_keras.activations

DENSE = (layers.Dense,)
CONVOLUTIONS = (layers.Conv1D, layers.Conv2D, layers.Conv3D)
TRANSPOSED = (layers.Conv1DTranspose, layers.Conv2DTranspose, layers.Conv3DTranspose)
DEPTHWISE = (layers.DepthwiseConv1D, layers.DepthwiseConv2D)
SEPARABLE = (layers.SeparableConv1D, layers.SeparableConv2D)
CONV_LSTM = (layers.ConvLSTM1D, layers.ConvLSTM2D, layers.ConvLSTM3D)
CONVOLVING = (*CONVOLUTIONS, *TRANSPOSED, *DEPTHWISE, *SEPARABLE, *CONV_LSTM)
NORMS = (layers.BatchNormalization,)
POOLS = (
    *(layers.MaxPooling1D, layers.MaxPooling2D, layers.MaxPooling3D),
    *(layers.AveragePooling1D, layers.AveragePooling2D, layers.AveragePooling3D),
    *(layers.GlobalMaxPooling1D, layers.GlobalMaxPooling2D, layers.GlobalMaxPooling3D),
    *(layers.GlobalAveragePooling1D, layers.GlobalAveragePooling2D),
    layers.GlobalAveragePooling3D,
)
PADDINGS = (layers.ZeroPadding1D, layers.ZeroPadding2D, layers.ZeroPadding3D)
RESIZINGS = (
    *(layers.Cropping1D, layers.Cropping2D, layers.Cropping3D),
    *(layers.UpSampling1D, layers.UpSampling2D, layers.UpSampling3D),
)
NOISES = (
    *(layers.Dropout, layers.SpatialDropout1D, layers.SpatialDropout2D, layers.SpatialDropout3D),
    *(layers.GaussianNoise, layers.GaussianDropout, layers.AlphaDropout),
    layers.ActivityRegularization,
)
RECTIFIERS = (layers.ReLU, layers.LeakyReLU, layers.ELU, layers.ThresholdedReLU)
PASSING = (*POOLS, *PADDINGS, *RESIZINGS, *NOISES, *RECTIFIERS, layers.Activation)
CELLS = (layers.GRUCell, layers.LSTMCell, layers.SimpleRNNCell)
MERGES = (
    *(layers.Add, layers.Subtract, layers.Multiply),
    *(layers.Average, layers.Maximum, layers.Minimum),
)
ELEMENTWISE: tuple[Callable, ...] = (
    *(activations.linear, activations.relu, activations.elu, activations.selu, activations.gelu),
    *(activations.tanh, activations.sigmoid, activations.hard_sigmoid, activations.exponential),
    *(activations.softplus, activations.softsign, activations.swish, activations.mish),
    *(tf.nn.relu, tf.nn.relu6, tf.nn.elu, tf.nn.selu, tf.nn.gelu, tf.nn.tanh, tf.nn.sigmoid),
    *(tf.nn.softplus, tf.nn.softsign, tf.nn.swish, tf.nn.leaky_relu),
)


def weight(
    name: str, layer: tf_keras.layers.Layer, shape: tuple[int, ...], times: int, is_output: bool
) -> Weight:
    """The description of a weight whose layer is called `times` times for one example."""
    kind = _kind(layer, shape)
    uses = max(1, times * _positions(layer, shape, kind, _built(layer)))
    uses = 0 if isinstance(layer, layers.Embedding) else uses
    return Weight(name, shape, kind, uses, is_output, _output_axes(name, layer, shape))


def uses(
    layer: tf_keras.layers.Layer, shape: tuple[int, ...], calls: Sequence[tuple[int, ...]]
) -> int:
    """How often a pass of one example uses each weight, from the input shape of each call.

    A first axis above 1 counts positions of the example that were moved into the batch.
    """
    kind = _kind(layer, shape)
    if isinstance(layer, layers.Embedding):
        return 0  # its rows are looked up, not multiplied
    return sum(math.prod(call[:1]) * max(1, _positions(layer, shape, kind, call)) for call in calls)


def kind(
    layer: tf_keras.layers.Layer,
    shape: tuple[int, ...],
    repeater: tf_keras.layers.Layer | None = None,
    attends: bool = False,
) -> str:
    """The kind of a weight, as in Weight; `repeater` and `attends` are those of a NamedVariable."""
    if _kind(layer, shape) == "conv":
        return "conv"
    if isinstance(layer, layers.Embedding):
        return "embedding"
    if attends or isinstance(layer, Projection):
        return "attention"
    recurrent = isinstance(layer, CELLS) or isinstance(repeater, layers.RNN)
    return "recurrent" if recurrent else "dense"


def units(name: str, layer: tf_keras.layers.Layer, shape: tuple[int, ...]) -> int:
    """The number of outputs that a kernel makes at each position."""
    return math.prod(shape[axis] for axis in _output_axes(name, layer, shape))


def has_convolution(
    model: tf_keras.Model, owners: Iterable[tuple[tf_keras.layers.Layer, tuple[int, ...]]]
) -> bool:
    """Whether the model has convolutions; `owners` are its variables' layers and shapes."""
    known = any(isinstance(layer, CONVOLVING) for layer in model._flatten_layers())
    return known or any(_kind(layer, shape) == "conv" for layer, shape in owners)


def is_repeating(layer: tf_keras.layers.Layer) -> bool:
    """Whether the layer calls its sublayers once for each step of a sequence."""
    return isinstance(layer, (layers.RNN, layers.TimeDistributed))


def repeats(layer: tf_keras.layers.Layer) -> int:
    """How often one call of the layer, with the inputs it was built for, calls its sublayers."""
    return math.prod(_input(layer)[1:2]) if is_repeating(layer) else 1


def _kind(layer: tf_keras.layers.Layer, shape: tuple[int, ...]) -> str:
    if isinstance(layer, CONVOLVING):
        return "conv"
    # A custom layer whose kernel and inputs have the ranks of a convolution.
    own = type(layer).__module__.split(".")[0] != "tf_keras"
    return "conv" if own and len(shape) > 3 and len(_input(layer)) == len(shape) else "dense"


def _positions(
    layer: tf_keras.layers.Layer, shape: tuple[int, ...], kind: str, call: object
) -> int:
    """How often one call of the layer, with inputs of this shape, uses each weight."""
    inputs = _dims(call)
    if kind == "conv":
        positions = inputs if isinstance(layer, TRANSPOSED) else _output(layer, call)
        first = getattr(layer, "data_format", None) == "channels_first"
        return math.prod(positions[2:] if first else positions[1:-1])
    if isinstance(layer, layers.EinsumDense):
        given, kernel = layer.equation.split("->")[0].split(",")
        summed = [size for label, size in zip(kernel, shape, strict=True) if label in given]
        return math.prod(inputs[1:]) // math.prod(summed)
    if len(shape) == 2 and inputs[-1:] == shape[:1]:
        return math.prod(inputs[1:-1])
    return 1


def _output_axes(
    name: str, layer: tf_keras.layers.Layer, shape: tuple[int, ...]
) -> tuple[int, ...]:
    """The axes of the kernel along which the layer's output units lie."""
    if isinstance(layer, TRANSPOSED):
        return (-2,)
    if name.endswith("depthwise_kernel"):
        return (-2, -1)
    if isinstance(layer, layers.EinsumDense):
        given, rest = layer.equation.split(",")
        kernel = rest.split("->")[0]
        axes = [axis - len(shape) for axis, label in enumerate(kernel) if label not in given]
        return tuple(axes) or (-1,)
    return (-1,)


def _input(layer: tf_keras.layers.Layer) -> tuple[int, ...]:
    return _dims(_built(layer))


def _built(layer: tf_keras.layers.Layer) -> object:
    # Inside subclassed models and composite layers this is the only record of a shape.
    return getattr(layer, "_build_input_shape", None)


def _output(layer: tf_keras.layers.Layer, call: object) -> tuple[int, ...]:
    try:
        return _dims(layer.compute_output_shape(call))
    except NotImplementedError:
        return ()


def _dims(shape: object) -> tuple[int, ...]:
    """The sizes, 1 for unknown ones; empty for a layer without inputs or with several."""
    if isinstance(shape, tf.TensorShape):
        shape = shape.as_list() if shape.rank is not None else ()
    if not isinstance(shape, (tuple, list)):
        return ()
    if not all(size is None or isinstance(size, int) for size in shape):
        return ()
    return tuple(1 if size is None else size for size in shape)
