"""Loss: the cross-entropy of a model on normalised images."""

import contextlib
from collections.abc import Iterator

import tensorflow as tf

from ltx.backends.tf_keras.graph import random_numbers
from ltx.backends.tf_keras.masking import MaskedModel
from ltx.core.errors import UsageError
from ltx.data.dataset import Dataset


class Loss:
    """The cross-entropy of a model that ends in logits or in softmax, with seeded layer noise.

    `outputs_logits` is False for a model that ends in softmax. Log-probabilities are logits of
    themselves, so a model that ends in log-softmax needs no case. `classes` counts the classes.
    """

    def __init__(self, masked: MaskedModel, data: Dataset) -> None:
        self._masked, self.classes = masked, data.classes
        self.outputs_logits = not masked.inspection.ends_in_softmax
        self._written, self._draws = masked.inspection.written, masked.inspection.draws
        self._mean = tf.constant(data.mean, tf.float32)
        self._inverse_std = tf.constant(1 / data.std, tf.float32)

    def seed_layers(self, seed: tf.Tensor) -> None:
        """Seed Dropout and its like, so that their noise is a function of the step."""
        for number, generator in enumerate(self._masked.generators):
            key = tf.random.experimental.stateless_fold_in(seed, number)
            state = tf.concat([tf.zeros(1, tf.int64), tf.cast(key, tf.int64)], 0)
            generator.state.assign(state)

    @contextlib.contextmanager
    def measuring(self, number: tf.Tensor | int) -> Iterator[None]:
        """Make the inference calls inside a function of the state and of `number`; may be traced.

        A layer called with training=True draws noise, which is seeded by `number`, or updates its
        statistics, which get their values back. Free for a model without such layers.
        """
        if self._draws:
            seed = tf.zeros(2, tf.int32)
            self.seed_layers(tf.random.experimental.stateless_fold_in(seed, number))
        values = [tf.identity(variable) for variable in self._written]
        yield
        for variable, value in zip(self._written, values, strict=True):
            variable.assign(value)

    def require_seeded(self) -> None:
        """Raise UsageError if the graph that is being traced draws numbers that no seed decides.

        Call it after the model is called in training mode. It adds nothing to the graph.
        """
        if tf.executing_eagerly():
            return
        graph = tf.compat.v1.get_default_graph()
        if found := random_numbers.unseeded(graph, self._masked.generators):
            raise UsageError(
                f"model {self._masked.model.name!r}: expected a training that gives the same again,"
                f" got random numbers without a seed ({found[0]}); draw them by a tf_keras noise"
                " layer, or by a tf.random.Generator that is an attribute of its layer"
            )

    def scaled(self, images: tf.Tensor) -> tf.Tensor:
        """Raw images, normalised by the mean and standard deviation of the training split."""
        return (tf.cast(images, tf.float32) - self._mean) * self._inverse_std

    def log_probabilities(self, images: tf.Tensor, training: bool) -> tf.Tensor:
        """Log-probabilities of scaled images, float32 [batch, classes] in every precision."""
        outputs = tf.cast(self._masked.model(images, training=training), tf.float32)
        if training:
            self.require_seeded()
        if not self.outputs_logits:
            return tf.math.log(tf.clip_by_value(outputs, 1e-7, 1.0))
        return tf.nn.log_softmax(outputs)

    def losses(self, images: tf.Tensor, labels: tf.Tensor, smoothing: float) -> tf.Tensor:
        """The cross-entropy of each scaled image, in training mode."""
        logs = self.log_probabilities(images, training=True)
        return self.cross_entropy(logs, labels, smoothing)

    def cross_entropy(
        self, logs: tf.Tensor, labels: tf.Tensor, smoothing: float = 0.0
    ) -> tf.Tensor:
        """The cross-entropy of each example; labels are smoothed towards uniform."""
        low = smoothing / self.classes
        targets = tf.one_hot(labels, self.classes, 1 - smoothing + low, low)
        return -tf.reduce_sum(targets * logs, axis=-1)
