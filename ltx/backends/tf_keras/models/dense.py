"""Fully connected networks for inputs of any shape."""

from collections.abc import Sequence

import tensorflow as tf
import tf_keras

from ltx.backends.tf_keras.models.blocks import GLOROT_NORMAL, fresh, logits
from ltx.core.errors import UsageError


def mlp(
    input_shape: tuple[int, ...],
    classes: int,
    widths: Sequence[int] = (64, 32),
    activation: str = "relu",
    residual: bool = False,
    initializer: str = GLOROT_NORMAL,
) -> tf_keras.Model:
    """A multi-layer perceptron on flattened numbers; by default 64 and 32 units.

    With `residual`, a layer as wide as the one before it adds its input to its output.

    Reference: Rumelhart et al. 1986, https://doi.org/10.1038/323533a0.
    """
    if not widths or not all(isinstance(n, int) and n > 0 for n in widths):
        raise UsageError(f"model 'mlp': expected widths such as (64, 32), got {widths!r}")
    inputs = x = tf_keras.Input(tuple(input_shape), name="inputs")
    if len(input_shape) > 1:
        x = tf_keras.layers.Flatten(name="flatten")(x)
    for number, units in enumerate(widths, 1):
        x = _hidden(x, units, f"dense_{number}", activation, residual, initializer)
    return tf_keras.Model(inputs, logits(x, classes, initializer), name="mlp")


def _hidden(
    x: tf.Tensor, units: int, name: str, activation: str, residual: bool, initializer: str
) -> tf.Tensor:
    layer = tf_keras.layers.Dense(
        units, activation=activation, kernel_initializer=fresh(initializer), name=name
    )
    y = layer(x)
    if residual and x.shape[-1] == units:
        return tf_keras.layers.Add(name=f"{name}_sum")([x, y])
    return y
