"""Blocks: the layers that the architectures are built from."""

import tensorflow as tf
import tf_keras

from ltx.core.errors import UsageError, unknown

Shape = tuple[int, int, int]

GLOROT_NORMAL = "glorot_normal"


def image_input(input_shape: Shape) -> tf.Tensor:
    """The input layer for images of this shape."""
    if len(input_shape) != 3 or min(input_shape) < 1:
        raise UsageError(
            "Task.model: a model of images; expected an input shape (height, width, channels) of at"
            f" least (1, 1, 1), got {tuple(input_shape)}; `ltx models` lists those of other inputs."
        )
    return tf_keras.Input(input_shape, name="image")


def fresh(initializer: str) -> tf_keras.initializers.Initializer:
    """A new initializer of that name."""
    # One instance for each layer: an unseeded instance used twice would repeat its values.
    if not isinstance(initializer, str):
        raise UsageError(
            f"expected the name of a tf_keras initializer, like {GLOROT_NORMAL!r}, got a "
            f"{type(initializer).__name__}."
        )
    try:
        return tf_keras.initializers.get(initializer)
    except ValueError as error:
        known = ("glorot_normal", "glorot_uniform", "he_normal", "he_uniform", "lecun_normal")
        raise unknown("initializer", initializer, known) from error


def dense(x: tf.Tensor, units: int, name: str, initializer: str) -> tf.Tensor:
    """A dense layer with ReLU."""
    layer = tf_keras.layers.Dense(
        units, activation="relu", kernel_initializer=fresh(initializer), name=name
    )
    return layer(x)


def logits(x: tf.Tensor, classes: int, initializer: str) -> tf.Tensor:
    """The dense output layer, without activation."""
    # float32 in every precision policy: a half-precision cross-entropy loses small probabilities.
    layer = tf_keras.layers.Dense(
        classes, kernel_initializer=fresh(initializer), dtype="float32", name="logits"
    )
    return layer(x)


def conv_norm(
    x: tf.Tensor,
    filters: int,
    size: int,
    name: str,
    initializer: str,
    *,
    stride: int = 1,
    relu: bool = True,
) -> tf.Tensor:
    """A convolution without bias, BatchNorm and, if `relu`, ReLU."""
    x = tf_keras.layers.Conv2D(
        filters,
        size,
        stride,
        padding="same",
        use_bias=False,
        kernel_initializer=fresh(initializer),
        name=name,
    )(x)
    x = tf_keras.layers.BatchNormalization(momentum=0.9, epsilon=1e-5, name=f"{name}_norm")(x)
    return tf_keras.layers.ReLU(name=f"{name}_relu")(x) if relu else x


def halve(x: tf.Tensor, name: str) -> tf.Tensor:
    """A 2x2 max pool; omitted if a side of the image is a single pixel."""
    return tf_keras.layers.MaxPool2D(name=name)(x) if min(x.shape[1:3]) > 1 else x
