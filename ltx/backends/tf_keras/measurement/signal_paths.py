"""Signal paths: which weights of a masked model lie on a path from input to output."""

import contextlib
import functools
from collections.abc import Callable, Iterator

import numpy as np
import tensorflow as tf
import tf_keras

from ltx.backends.tf_keras.graph import layer_types
from ltx.backends.tf_keras.inputs import flow_batches
from ltx.backends.tf_keras.masking import MaskedModel
from ltx.backends.tf_keras.models.layers import Attention, MaskedMax, MaskedMean
from ltx.core.errors import UsageError
from ltx.core.mask import Mask
from ltx.data.dataset import Specs

layers = tf_keras.layers
Call = Callable[..., tf.Tensor]

_KERNELS = (
    *(
        *layer_types.DENSE,
        *layer_types.CONVOLUTIONS,
        *layer_types.TRANSPOSED,
        *layer_types.DEPTHWISE,
        *layer_types.SEPARABLE,
    ),
    layers.EinsumDense,
    layers.Embedding,
)
_ACTIVATIONS = (*layer_types.RECTIFIERS, layers.PReLU, layers.Activation, layers.Softmax)
_IDENTITIES = (
    *(
        *layer_types.NORMS,
        *layer_types.NOISES,
        layers.LayerNormalization,
        layers.GroupNormalization,
    ),
    *(layers.UnitNormalization, layers.Rescaling, layers.Normalization),
)
_REPLACED = ("call", "activation")
_SUMMING = layer_types.MERGES
_MEANS = {
    layers.MaxPooling1D: layers.AveragePooling1D,
    layers.MaxPooling2D: layers.AveragePooling2D,
    layers.MaxPooling3D: layers.AveragePooling3D,
    layers.GlobalMaxPooling1D: layers.GlobalAveragePooling1D,
    layers.GlobalMaxPooling2D: layers.GlobalAveragePooling2D,
    layers.GlobalMaxPooling3D: layers.GlobalAveragePooling3D,
    MaskedMax: MaskedMean,
}


class SignalPaths:
    """Finds paths by a forward and a backward pass of ones through the model.

    The masks take the place of the weights. Every sum is replaced by 1 where it is not zero, in
    both directions, so that nothing overflows or underflows at any depth. Only sums of products
    count: biases, activations and normalisation are skipped, and a maximum passes all of its
    inputs, as each may be the largest. Tokens are read one by one; a path begins at the row of its
    embedding. The model's variables are overwritten.

    Raises UsageError for a model for which this would give a wrong answer.
    """

    def __init__(self, masked: MaskedModel, inputs: Specs, label: str) -> None:
        self._masked, self._inputs, self._label = masked, inputs, label
        known = [layer for layer in _every_layer(masked.model) if isinstance(layer, _KERNELS)]
        owned = {v.ref() for layer in known for v in layer.variables}
        for name in masked.masks:
            if masked.weights[name].ref() not in owned:
                raise self._undefined(f"it is not known how the layer of {name} uses it")
        attention = (layers.MultiHeadAttention, layers.Attention, Attention)
        if any(isinstance(layer, attention) for layer in masked.model.submodules):
            raise self._undefined("the output of attention does not follow from paths")

    @functools.cached_property
    def dense(self) -> Mask:
        """The weights on a path if none is pruned; a weight that sees only padding is on none."""
        whole = {name: np.ones(mask.shape, np.bool_) for name, mask in self._masked.masks.items()}
        if self._flow(whole, 0.0)[0]:
            raise self._undefined("its outputs depend on more than what arrives along its weights")
        on_path = self._flow(whole, 1.0)[1]
        for name, array in on_path.items():
            if not array.any():
                raise self._undefined(f"no path leads through {name} though nothing is pruned")
        return Mask(on_path)

    def effective(self, mask: Mask) -> Mask:
        """The surviving weights that lie on a path of surviving weights."""
        return Mask(self._flow(mask, 1.0)[1]) & mask & self.dense

    def _flow(self, mask, pixel: float) -> tuple[bool, dict[str, np.ndarray]]:  # type: ignore[no-untyped-def]
        """Whether any output is not zero, and which weights a path to an output leads through."""
        for name, variable in {**self._masked.weights, **self._masked.statistics}.items():
            # Kernels become their masks, or ones if they have none; vectors become zeros.
            keep = mask.get(name, np.full(variable.shape, len(variable.shape) > 1))
            variable.assign(tf.cast(keep, variable.dtype))
        # Of a mirrored variable the first replica's, which is the one read here.
        pruned = [self._masked.weights[name] for name in self._masked.masks]
        weights = [getattr(variable, "values", (variable,))[0] for variable in pruned]
        reaches, found = False, [np.zeros(weight.shape, np.bool_) for weight in weights]
        for given in flow_batches(self._inputs):
            total, flows = self._total(given, weights, pixel)
            reaches |= total != 0
            found = [array | (flow != 0) for array, flow in zip(found, flows, strict=True)]
        return reaches, dict(zip(self._masked.masks, found, strict=True))

    def _total(  # type: ignore[no-untyped-def]
        self, given, weights: list[tf.Variable], pixel: float
    ) -> tuple[float, list[np.ndarray]]:
        """The summed outputs of these inputs times `pixel`, and their gradients by the weights."""
        with _simplified(self._masked.model, pixel), tf.GradientTape() as tape:
            given = tf.nest.map_structure(lambda x: x * pixel if x.dtype.is_floating else x, given)
            outputs = self._masked.model(given, training=False)
            total = tf.reduce_sum(tf.cast(outputs, tf.float32))
        flows = tape.gradient(total, weights, unconnected_gradients="zero")
        return float(total.numpy()), [tf.convert_to_tensor(flow).numpy() for flow in flows]

    def _undefined(self, why: str) -> UsageError:
        return UsageError(f"{self._label}: its effective weights cannot be determined: {why}")


@tf.custom_gradient
def _reached(sums: tf.Tensor) -> tuple[tf.Tensor, Callable[[tf.Tensor], tf.Tensor]]:
    """1 where a sum is not 0, with gradient 1 there where the incoming gradient is not 0."""
    reached = tf.cast(sums != 0, sums.dtype)
    return reached, lambda gradient: tf.cast(gradient != 0, sums.dtype) * reached


@contextlib.contextmanager
def _simplified(model: tf_keras.Model, pixel: float) -> Iterator[None]:
    """Replace what the model's layers compute by what SignalPaths needs, within the context.

    What embeddings look up is multiplied by `pixel`, as the numbers of other inputs are.
    """
    originals = []
    try:
        for layer in _every_layer(model):
            own = {name: vars(layer)[name] for name in _REPLACED if name in vars(layer)}
            originals.append((layer, own))
            if isinstance(layer, _KERNELS):
                object.__setattr__(layer, "activation", None)
                scale = pixel if isinstance(layer, layers.Embedding) else 1.0
                object.__setattr__(layer, "call", _saturated(layer.call, scale))
            elif call := _simplified_call(layer):
                object.__setattr__(layer, "call", call)
        yield
    finally:
        for layer, own in originals:
            for name in _REPLACED:
                vars(layer).pop(name, None)
            vars(layer).update(own)


def _saturated(call: Call, scale: float) -> Call:
    return lambda inputs, *args, **kwargs: _reached(call(inputs) * scale)


def _simplified_call(layer: tf_keras.layers.Layer) -> Call | None:
    """The call that passes paths on as the layer does; None for the layer's own call."""
    if type(layer) in _MEANS:
        return _MEANS[type(layer)].from_config(layer.get_config()).call
    if isinstance(layer, _ACTIVATIONS):
        return lambda inputs, *args, **kwargs: _reached(inputs)
    if isinstance(layer, _IDENTITIES):
        return lambda inputs, *args, **kwargs: tf.identity(inputs)
    if isinstance(layer, _SUMMING):
        return lambda inputs, *args, **kwargs: _reached(functools.reduce(tf.add, inputs))
    return None


def _every_layer(model: tf_keras.Model) -> list[tf_keras.layers.Layer]:
    parts = [part for part in model.submodules if isinstance(part, tf_keras.layers.Layer)]
    return [layer for layer in parts if not isinstance(layer, tf_keras.Model)]
