"""Evaluator: the mean loss and accuracy of a model over a split, at the state that it holds."""

import numpy as np
import tensorflow as tf

from ltx.backends.tf_keras import input_pipeline
from ltx.backends.tf_keras.compiled import Compiled
from ltx.backends.tf_keras.input_pipeline import ResidentData
from ltx.backends.tf_keras.loss import Loss
from ltx.data.dataset import Dataset, Split

EVAL_BATCH = 1000


class Evaluator:
    """Measures without changing the model; splits that are not `resident` are streamed."""

    def __init__(
        self,
        objective: Loss,
        data: Dataset,
        resident: ResidentData | None,
        xla: bool,
    ) -> None:
        self._objective = objective
        self._data, self._resident = data, resident
        self._evaluate = Compiled(self._evaluate_loop, xla)
        self._score = Compiled(self._score_batch, xla)

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
