"""Meter: loss, accuracy and derivatives of a model at the state that it holds."""

import numpy as np
import tensorflow as tf

from ltx.backends.tf_keras import input_pipeline
from ltx.backends.tf_keras.compiled import Compiled
from ltx.backends.tf_keras.derivatives import Derivatives
from ltx.backends.tf_keras.input_pipeline import ResidentData
from ltx.backends.tf_keras.loss import Loss
from ltx.backends.tf_keras.masking import MaskedModel
from ltx.data.dataset import Dataset, Split

EVAL_BATCH = 1000


class Evaluator:
    """Measures and changes nothing; splits that are not `resident` on the device are streamed."""

    def __init__(
        self,
        masked: MaskedModel,
        objective: Loss,
        data: Dataset,
        resident: ResidentData | None,
        xla: bool,
    ) -> None:
        self._objective = objective
        self._data, self._resident = data, resident
        self._evaluate = Compiled(self._evaluate_loop, xla)
        self._score = Compiled(self._score_batch, xla)
        self._sensitivity = Derivatives(masked, objective, data.image, xla)

    def evaluate(self, split: str) -> tuple[float, float]:
        """Mean loss and accuracy over a split, summed in float64."""
        part: Split = getattr(self._data, split)
        size = min(EVAL_BATCH, len(part))
        count = -(-len(part) // size)
        rows = np.resize(np.arange(len(part), dtype=np.int32), (count, size))
        real = (np.arange(count * size) < len(part)).astype(np.float32).reshape(count, size)
        if self._resident is not None:
            inputs = (*self._resident(split), tf.constant(rows), tf.constant(real))
            sums = self._evaluate(*inputs).numpy()
        else:
            batches = input_pipeline.stream(part, rows)
            sums = [
                self._score(*b, tf.constant(w)).numpy() for b, w in zip(batches, real, strict=True)
            ]
        loss, right = np.asarray(sums, np.float64).sum(0) / len(part)
        return float(loss), float(right)

    def _evaluate_loop(self, images, labels, rows, real):  # type: ignore[no-untyped-def]
        def score(inputs: tuple) -> tf.Tensor:
            chosen, weight = inputs
            batch = tf.gather(images, chosen), tf.gather(labels, chosen)
            return self._score_batch(*batch, weight)

        signature = tf.TensorSpec([2], tf.float32)
        return tf.map_fn(score, (rows, real), fn_output_signature=signature, parallel_iterations=1)

    def _score_batch(self, images: tf.Tensor, labels: tf.Tensor, real: tf.Tensor) -> tf.Tensor:
        """The sums of loss and of hits over the examples that are real and not padding."""
        logs = self._objective.log_probabilities(self._objective.scaled(images), training=False)
        losses = self._objective.cross_entropy(logs, labels)
        right = tf.cast(tf.argmax(logs, -1, tf.int32) == labels, tf.float32)
        return tf.stack([tf.reduce_sum(losses * real), tf.reduce_sum(right * real)])

    def gradients(self, table: np.ndarray, seed: np.ndarray) -> dict[str, np.ndarray]:
        """The mean gradient of the prunable weights over the batches of `table`."""
        return self._sensitivity.gradients(self._batches(table, seed))

    def hessian_gradient(
        self, table: np.ndarray, seed: np.ndarray, temperature: float
    ) -> dict[str, np.ndarray]:
        """The mean Hessian times the mean gradient over the batches of `table`."""
        return self._sensitivity.hessian_gradient(self._batches(table, seed), temperature)

    def synaptic_flow(self) -> dict[str, np.ndarray]:
        """The derivatives of the summed logits for an image of ones, in eval mode."""
        return self._sensitivity.synaptic_flow()

    def _batches(self, table: np.ndarray, seed: np.ndarray) -> list[tuple[tf.Tensor, ...]]:
        """The batches of `table` on the device, each with its number and the seed of its noise."""
        taken = (self._data.train.take(rows) for rows in table)
        return [
            (tf.constant(images), tf.constant(labels), tf.constant(number), tf.constant(seed))
            for number, (images, labels) in enumerate(taken)
        ]
