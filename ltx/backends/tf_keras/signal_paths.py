"""Paths: which weights of a masked model lie on a path from the image to the outputs."""

import contextlib
import functools
from collections.abc import Callable, Iterator

import numpy as np
import tensorflow as tf
import tf_keras

from ltx.backends.tf_keras.graph import layer_types
from ltx.backends.tf_keras.masking import MaskedModel
from ltx.core.errors import UsageError
from ltx.core.mask import Mask

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
)
_SQUASHING = (*layer_types.RECTIFIERS, layers.PReLU, layers.Activation, layers.Softmax)
_PASSING = (
    *(
        *layer_types.NORMS,
        *layer_types.NOISES,
        layers.LayerNormalization,
        layers.GroupNormalization,
    ),
    *(layers.UnitNormalization, layers.Rescaling, layers.Normalization),
)
_CHANGED = ("call", "activation")
_SUMMING = layer_types.MERGES
_MEANS = {
    layers.MaxPooling1D: layers.AveragePooling1D,
    layers.MaxPooling2D: layers.AveragePooling2D,
    layers.MaxPooling3D: layers.AveragePooling3D,
    layers.GlobalMaxPooling1D: layers.GlobalAveragePooling1D,
    layers.GlobalMaxPooling2D: layers.GlobalAveragePooling2D,
    layers.GlobalMaxPooling3D: layers.GlobalAveragePooling3D,
}


class SignalPaths:
    """Sends ones through the model and back, in which only whether a path is there counts.

    The masks stand for the weights; a sum is 1 where anything arrives and 0 elsewhere, on the way
    back as well, so that nothing over- or underflows at any depth. Whatever a layer does beside
    making sums of products is left out: biases, activations and normalisation; a maximum passes
    all of its inputs, as each may be the largest. It leaves the model's variables changed.

    Raises UsageError for a model of which this would not be true.
    """

    def __init__(self, masked: MaskedModel, image: tuple[int, int, int], label: str) -> None:
        self._masked, self._image, self._label = masked, image, label
        known = [layer for layer in _every_layer(masked.model) if isinstance(layer, _KERNELS)]
        owned = {v.ref() for layer in known for v in layer.variables}
        for name in masked.masks:
            if masked.weights[name].ref() not in owned:
                raise self._untold(f"nothing is known of how the layer of {name} uses it")
        if any(isinstance(layer, layers.MultiHeadAttention) for layer in masked.model.submodules):
            raise self._untold("what attention lets through is no question of paths")

    @functools.cached_property
    def dense(self) -> Mask:
        """The weights on a path where none is pruned: not all, where padding is all they see."""
        whole = {name: np.ones(mask.shape, np.bool_) for name, mask in self._masked.masks.items()}
        if self._flow(whole, 0.0)[0]:
            raise self._untold("its outputs depend on more than what arrives along its weights")
        found = self._flow(whole, 1.0)[1]
        for name, array in found.items():
            if not array.any():
                raise self._untold(f"no path leads through {name} though nothing is pruned")
        return Mask(found)

    def effective(self, mask: Mask) -> Mask:
        """The survivors that lie on a path of survivors."""
        return Mask(self._flow(mask, 1.0)[1]) & mask & self.dense

    def _flow(self, mask, pixel: float) -> tuple[bool, dict[str, np.ndarray]]:  # type: ignore[no-untyped-def]
        """Whether any output is not zero, and through which weights anything flows to it."""
        for name, variable in {**self._masked.weights, **self._masked.statistics}.items():
            # What is not pruned passes all, and what is added to all depends on nothing.
            keep = mask.get(name, np.full(variable.shape, len(variable.shape) > 1))
            variable.assign(tf.cast(keep, variable.dtype))
        # Of several replicas' variables the first, which is the one that is read here.
        held = [self._masked.weights[name] for name in self._masked.masks]
        weights = [getattr(variable, "values", (variable,))[0] for variable in held]
        with _simplified(self._masked.model), tf.GradientTape() as tape:
            outputs = self._masked.model(tf.fill((1, *self._image), pixel), training=False)
            total = tf.reduce_sum(tf.cast(outputs, tf.float32))
        flows = tape.gradient(total, weights, unconnected_gradients="zero")
        arrays = {n: f.numpy() != 0 for n, f in zip(self._masked.masks, flows, strict=True)}
        return bool(total.numpy() != 0), arrays

    def _untold(self, why: str) -> UsageError:
        return UsageError(f"{self._label}: its effective weights cannot be told: {why}")


@tf.custom_gradient
def _reached(sums: tf.Tensor) -> tuple[tf.Tensor, Callable[[tf.Tensor], tf.Tensor]]:
    """1 where a sum is not zero; back to it 1 where anything comes back and it was not zero."""
    there = tf.cast(sums != 0, sums.dtype)
    return there, lambda back: tf.cast(back != 0, sums.dtype) * there


@contextlib.contextmanager
def _simplified(model: tf_keras.Model) -> Iterator[None]:
    """The model's layers as `Paths` wants them, until the context ends."""
    held = []
    try:
        for layer in _every_layer(model):
            own = {name: vars(layer)[name] for name in _CHANGED if name in vars(layer)}
            held.append((layer, own))
            if isinstance(layer, _KERNELS):
                object.__setattr__(layer, "activation", None)
                object.__setattr__(layer, "call", _saturated(layer.call))
            elif call := _plainer(layer):
                object.__setattr__(layer, "call", call)
        yield
    finally:
        for layer, own in held:
            for name in _CHANGED:
                vars(layer).pop(name, None)
            vars(layer).update(own)


def _saturated(call: Call) -> Call:
    return lambda inputs, *args, **more: _reached(call(inputs))


def _plainer(layer: tf_keras.layers.Layer) -> Call | None:
    """What the layer does to paths; None where that is what it does anyway."""
    if type(layer) in _MEANS:
        return _MEANS[type(layer)].from_config(layer.get_config()).call
    if isinstance(layer, _SQUASHING):
        return lambda inputs, *args, **more: _reached(inputs)
    if isinstance(layer, _PASSING):
        return lambda inputs, *args, **more: tf.identity(inputs)
    if isinstance(layer, _SUMMING):
        return lambda inputs, *args, **more: _reached(functools.reduce(tf.add, inputs))
    return None


def _every_layer(model: tf_keras.Model) -> list[tf_keras.layers.Layer]:
    found = [part for part in model.submodules if isinstance(part, tf_keras.layers.Layer)]
    return [layer for layer in found if not isinstance(layer, tf_keras.Model)]
