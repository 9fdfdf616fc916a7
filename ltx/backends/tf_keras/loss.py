"""Loss: the objective of a task on the outputs of its model."""

import contextlib
from collections.abc import Iterator
from typing import Any

import tensorflow as tf

from ltx.backends.tf_keras.array_ops import OPS
from ltx.backends.tf_keras.graph import random_numbers
from ltx.backends.tf_keras.masking import MaskedModel
from ltx.core.errors import UsageError
from ltx.core.task import Task
from ltx.data.dataset import Dataset


class Loss:
    """The loss of a model's outputs, with seeded layer noise.

    `outputs_logits` is False for a classifier that ends in softmax. Log-probabilities are logits of
    themselves, so a model that ends in log-softmax needs no case.
    """

    def __init__(self, masked: MaskedModel, data: Dataset, task: Task) -> None:
        self._masked, self.objective = masked, task.objective
        softmax = self.objective.softmax
        self.outputs_logits = not (softmax and masked.inspection.ends_in_softmax)
        if task.recipe.label_smoothing and not softmax:
            raise UsageError(
                f"Recipe.label_smoothing: {type(self.objective).__name__} has no labels to smooth;"
                " set it to 0"
            )
        if task.recipe.augment != "none" and not data.is_images:
            raise UsageError(f"Recipe.augment: {data.name!r} holds no images; set it to 'none'")
        self._written, self._draws = masked.inspection.written, masked.inspection.draws
        self._moments = None
        if data.mean is not None and data.std is not None:
            mean = tf.constant(data.mean, tf.float32)
            self._moments = (mean, tf.constant(1 / data.std, tf.float32))

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

    def scaled(self, inputs: Any) -> Any:
        """Raw images, normalised by the moments of the training split; other inputs as they are."""
        if self._moments is None:
            return inputs
        mean, inverse_std = self._moments
        return (tf.cast(inputs, tf.float32) - mean) * inverse_std

    def outputs(self, inputs: Any, training: bool) -> tf.Tensor:
        """Outputs for scaled inputs, float32 in every precision; logits as log-probabilities."""
        outputs = tf.cast(self._masked.model(inputs, training=training), tf.float32)
        if training:
            self.require_seeded()
        if not self.objective.softmax:
            return outputs
        if not self.outputs_logits:
            return tf.math.log(tf.clip_by_value(outputs, 1e-7, 1.0))
        return tf.nn.log_softmax(outputs)

    def tempered(self, outputs: tf.Tensor, temperature: tf.Tensor) -> tf.Tensor:
        """The outputs with logits divided by `temperature`; unchanged without a softmax."""
        # log_softmax is invariant to the constant by which log-probabilities and logits differ.
        return tf.nn.log_softmax(outputs / temperature) if self.objective.softmax else outputs

    def losses(self, outputs: tf.Tensor, targets: tf.Tensor, smoothing: float = 0.0) -> tf.Tensor:
        """The loss of each example, as a sum over what `count` counts."""
        return self.objective.losses(OPS, outputs, targets, smoothing)

    def count(self, targets: tf.Tensor) -> Any:
        """What the mean loss of a batch is divided by: its examples, or for instance its tokens."""
        like = tf.constant(0.0)
        counts = self.objective.counts(OPS, targets, like)
        return int(targets.shape[0]) if counts is None else tf.maximum(tf.reduce_sum(counts), 1.0)

    def mean(self, losses: tf.Tensor, targets: tf.Tensor) -> tf.Tensor:
        """The mean of a batch's losses."""
        counts = self.objective.counts(OPS, targets, losses)
        if counts is None:
            return tf.reduce_mean(losses)
        return tf.reduce_sum(losses) / tf.maximum(tf.reduce_sum(counts), 1.0)

    def hits(self, outputs: tf.Tensor, targets: tf.Tensor) -> tf.Tensor | None:
        """The primary metric of each example, where the objective has it."""
        return self.objective.hits(OPS, outputs, targets)
