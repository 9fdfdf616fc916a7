"""Layers of attention that TF-MOT can wrap, and of padded sequences without Keras masks."""

from typing import Any

import tensorflow as tf
import tf_keras

PADDING = 0  # the token that fills up short texts


@tf_keras.saving.register_keras_serializable("ltx")
class Projection(tf_keras.layers.Dense):
    """A dense layer that makes queries, keys or values, or projects what attention returns."""

    def get_prunable_weights(self) -> list[tf.Variable]:
        """What TF-MOT masks, as of tf_keras' own Dense."""
        return [self.kernel]


@tf_keras.saving.register_keras_serializable("ltx")
class Attention(tf_keras.layers.Layer):
    """Scaled dot products of several heads, without weights of its own.

    Inputs are queries, keys and values, each [batch, length, width], and optionally which tokens
    are no padding, [batch, length]. With `causal`, a position attends to itself and those before.

    Reference: Vaswani et al. 2017, https://arxiv.org/abs/1706.03762, section 3.2.
    """

    def __init__(self, heads: int, causal: bool = False, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.heads, self.causal = heads, causal

    def call(self, inputs: list[tf.Tensor]) -> tf.Tensor:
        query, key, value = (self._split(tensor) for tensor in inputs[:3])
        size = int(query.shape[-1])
        scores = tf.matmul(query, key, transpose_b=True) * size**-0.5
        low = tf.constant(-1e4, scores.dtype)  # finite in half precision too
        if len(inputs) > 3:
            kept = tf.cast(inputs[3], scores.dtype)[:, None, None, :]
            scores += (1 - kept) * low
        if self.causal:
            length = int(scores.shape[-1])
            before = tf.linalg.band_part(tf.ones((length, length), scores.dtype), -1, 0)
            scores += (1 - before) * low
        mixed = tf.transpose(tf.matmul(tf.nn.softmax(scores), value), (0, 2, 1, 3))
        return tf.reshape(mixed, (-1, int(mixed.shape[1]), self.heads * size))

    def _split(self, tensor: tf.Tensor) -> tf.Tensor:
        """[batch, length, width] as [batch, heads, length, width / heads]."""
        length, width = (int(n) for n in tensor.shape[1:])
        parts = tf.reshape(tensor, (-1, length, self.heads, width // self.heads))
        return tf.transpose(parts, (0, 2, 1, 3))

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "heads": self.heads, "causal": self.causal}


@tf_keras.saving.register_keras_serializable("ltx")
class Positions(tf_keras.layers.Layer):
    """Adds a learned vector to each position; they are not pruned."""

    def build(self, shape: Any) -> None:
        self.embeddings = self.add_weight("embeddings", tuple(shape)[1:], initializer="uniform")
        super().build(shape)

    def call(self, inputs: tf.Tensor) -> tf.Tensor:
        return inputs + tf.cast(self.embeddings, inputs.dtype)

    def get_prunable_weights(self) -> list[tf.Variable]:
        return []


@tf_keras.saving.register_keras_serializable("ltx")
class NoPadding(tf_keras.layers.Layer):
    """1 for each token that is no padding, 0 for others; the first of each text counts as 1.

    So a text of padding alone has an output that is defined.
    """

    def call(self, inputs: tf.Tensor) -> tf.Tensor:
        kept = tf.cast(inputs != PADDING, self.compute_dtype)
        return tf.concat([tf.ones_like(kept[:, :1]), kept[:, 1:]], 1)


@tf_keras.saving.register_keras_serializable("ltx")
class Masked(tf_keras.layers.Layer):
    """Sets vectors [batch, length, width] to 0 where [batch, length] is 0."""

    def call(self, inputs: list[tf.Tensor]) -> tf.Tensor:
        vectors, kept = inputs
        return vectors * tf.cast(kept, vectors.dtype)[..., None]


@tf_keras.saving.register_keras_serializable("ltx")
class MaskedMean(tf_keras.layers.Layer):
    """The mean of vectors [batch, length, width] over the positions where [batch, length] is 1."""

    def call(self, inputs: list[tf.Tensor]) -> tf.Tensor:
        vectors, kept = inputs
        kept = tf.cast(kept, vectors.dtype)[..., None]
        return tf.reduce_sum(vectors * kept, 1) / tf.reduce_sum(kept, 1)


@tf_keras.saving.register_keras_serializable("ltx")
class MaskedMax(tf_keras.layers.Layer):
    """The largest of vectors [batch, length, width] where [batch, length] is 1."""

    def call(self, inputs: list[tf.Tensor]) -> tf.Tensor:
        vectors, kept = inputs
        return tf.reduce_max(tf.where(kept[..., None] > 0, vectors, vectors.dtype.min), 1)


@tf_keras.saving.register_keras_serializable("ltx")
class Reversed(tf_keras.layers.Layer):
    """Vectors [batch, length, width] in reverse order of positions."""

    def call(self, inputs: tf.Tensor) -> tf.Tensor:
        return tf.reverse(inputs, [1])


@tf_keras.saving.register_keras_serializable("ltx")
class Patches(tf_keras.layers.Layer):
    """Square patches of images as vectors: [batch, patches, size * size * channels]."""

    def __init__(self, size: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.size = size

    def call(self, inputs: tf.Tensor) -> tf.Tensor:
        height, width, channels = (int(n) for n in inputs.shape[1:])
        rows, columns, side = height // self.size, width // self.size, self.size
        parts = tf.reshape(inputs, (-1, rows, side, columns, side, channels))
        grid = tf.transpose(parts, (0, 1, 3, 2, 4, 5))
        return tf.reshape(grid, (-1, rows * columns, side * side * channels))

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "size": self.size}
