"""What the models of sequences share: tokens or numbers in, one vector or one for each step out."""

from typing import NamedTuple

import tensorflow as tf
import tf_keras

from ltx.backends.tf_keras.models.layers import Masked, MaskedMax, MaskedMean, NoPadding
from ltx.core.errors import UsageError, unknown


class Sequence(NamedTuple):
    """A sequence as vectors [batch, length, width]; `kept` is 0 at padding, None of numbers."""

    inputs: tf.Tensor
    vectors: tf.Tensor
    kept: tf.Tensor | None


def check_whole(model: str, **settings: int) -> None:
    """Raise UsageError unless each setting is a whole number of at least 1."""
    for name, value in settings.items():
        if not isinstance(value, int) or isinstance(value, bool) or value < 1:
            raise UsageError(
                f"model {model!r}: expected a whole number of at least 1 as {name}, got {value!r}"
            )


def sequence(model: str, shape: tuple[int, ...], vocabulary: int, embedding: int) -> Sequence:
    """The input of tokens [length], embedded; or of numbers [length] or [length, channels]."""
    if vocabulary:
        if len(shape) != 1:
            raise UsageError(
                f"model {model!r} reads tokens of shape (length,), got {tuple(shape)}; choose"
                " another model or data set"
            )
        check_whole(model, embedding=embedding)
        inputs = tf_keras.Input(tuple(shape), dtype="int32", name="tokens")
        vectors = tf_keras.layers.Embedding(vocabulary, embedding, name="embedding")(inputs)
        return Sequence(inputs, vectors, NoPadding(name="no_padding")(inputs))
    if len(shape) not in (1, 2):
        raise UsageError(
            f"model {model!r} reads sequences of shape (length,) or (length, channels), got"
            f" {tuple(shape)}; choose another model or data set"
        )
    inputs = vectors = tf_keras.Input(tuple(shape), name="signal")
    if len(shape) == 1:
        vectors = tf_keras.layers.Reshape((*shape, 1), name="channel")(inputs)
    return Sequence(inputs, vectors, None)


READS = ("all", "max", "mean")


def joined(model: str, x: tf.Tensor, kept: tf.Tensor | None, how: str) -> tf.Tensor:
    """One vector of all steps: flattened ("all"), their largest values or their mean."""
    if how not in READS:
        raise unknown(f"read of model {model!r}", how, READS)
    if how == "all":
        x = x if kept is None else Masked(name="masked")([x, kept])
        return tf_keras.layers.Flatten(name="flatten")(x)
    if kept is not None:
        pool = MaskedMax if how == "max" else MaskedMean
        return pool(name=how)([x, kept])
    average, largest = (
        tf_keras.layers.GlobalAveragePooling1D,
        tf_keras.layers.GlobalMaxPooling1D,
    )
    return (largest if how == "max" else average)(name=how)(x)
