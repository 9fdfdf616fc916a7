"""TensorFlowOps: the functions that losses are written in, as TensorFlow has them."""

from typing import Any

import tensorflow as tf

from ltx.core.objectives.array_ops import ArrayOps


class TensorFlowOps:
    """ArrayOps of TensorFlow; every operation keeps the dtype of its arguments."""

    log_softmax, softplus = staticmethod(tf.nn.log_softmax), staticmethod(tf.nn.softplus)
    log, exp = staticmethod(tf.math.log), staticmethod(tf.exp)
    abs, square = staticmethod(tf.abs), staticmethod(tf.square)
    maximum, minimum = staticmethod(tf.maximum), staticmethod(tf.minimum)
    where, equal = staticmethod(tf.where), staticmethod(tf.equal)

    @staticmethod
    def sum(x: tf.Tensor, axis: Any) -> tf.Tensor:
        return tf.reduce_sum(x, axis=axis)

    @staticmethod
    def mean(x: tf.Tensor, axis: Any) -> tf.Tensor:
        return tf.reduce_mean(x, axis=axis)

    @staticmethod
    def cast(x: tf.Tensor, like: tf.Tensor) -> tf.Tensor:
        return tf.cast(x, like.dtype)

    @staticmethod
    def one_hot(labels: tf.Tensor, depth: int, on: float, off: float, like: tf.Tensor) -> tf.Tensor:
        return tf.one_hot(labels, depth, on, off, dtype=like.dtype)

    @staticmethod
    def argmax(x: tf.Tensor) -> tf.Tensor:
        return tf.argmax(x, -1, tf.int32)

    @staticmethod
    def arange(count: int) -> tf.Tensor:
        return tf.range(count)

    @staticmethod
    def clip(x: tf.Tensor, low: float, high: float) -> tf.Tensor:
        return tf.clip_by_value(x, low, high)


OPS: ArrayOps = TensorFlowOps()
