"""Evaluator: the mean loss and accuracy of a model over a split, at the state that it holds."""

import numpy as np
import tensorflow as tf

from ltx.backends.tf_keras import input_pipeline
from ltx.backends.tf_keras.compiled import Compiled
from ltx.backends.tf_keras.input_pipeline import HeldOut, ResidentData
from ltx.backends.tf_keras.loss import Loss
from ltx.data.dataset import Dataset, Split

EVAL_BATCH = 1000


class Evaluator:
    """Measures without changing the model's state; splits that are not `resident` are streamed."""

    def __init__(
        self,
        loss: Loss,
        data: Dataset,
        resident: ResidentData | None,
        xla: bool,
    ) -> None:
        self._loss = loss
        self._data, self._resident = data, resident
        self._evaluate = Compiled(self._evaluate_loop, xla)
        self._score = Compiled(self._score_batch, xla)

    def evaluate(self, split: str) -> tuple[float, float]:
        """Mean loss and accuracy over the training or validation split, summed in float64."""
        resident = self._resident(split) if self._resident is not None else None
        return self._measure(getattr(self._data, split), resident)

    def measure(self, held_out: HeldOut) -> tuple[float, float]:
        """The same over a split that the program does not hold."""
        return self._measure(held_out.split, held_out.tensors)

    def _measure(
        self, part: Split, resident: tuple[tf.Tensor, tf.Tensor] | None
    ) -> tuple[float, float]:
        size = min(EVAL_BATCH, len(part))
        count = -(-len(part) // size)
        rows = np.resize(np.arange(len(part), dtype=np.int32), (count, size))
        is_example = (np.arange(count * size) < len(part)).astype(np.float32).reshape(count, size)
        numbers = np.arange(count, dtype=np.int32)
        if resident is not None:
            tables = (tf.constant(table) for table in (rows, is_example, numbers))
            inputs = (*resident, *tables)
            sums = self._evaluate(*inputs).numpy()
        else:
            batches = input_pipeline.stream(part, rows)
            sums = [
                self._score(*batch, tf.constant(weight), tf.constant(number)).numpy()
                for batch, weight, number in zip(batches, is_example, numbers, strict=True)
            ]
        loss, accuracy = np.asarray(sums, np.float64).sum(0) / len(part)
        return float(loss), float(accuracy)

    def _evaluate_loop(  # type: ignore[no-untyped-def]
        self, images, labels, rows, is_example, numbers
    ):
        def score(inputs: tuple) -> tf.Tensor:
            chosen, weight, number = inputs
            batch = tf.gather(images, chosen), tf.gather(labels, chosen)
            return self._score_batch(*batch, weight, number)

        signature = tf.TensorSpec([2], tf.float32)
        return tf.map_fn(
            score, (rows, is_example, numbers), fn_output_signature=signature, parallel_iterations=1
        )

    def _score_batch(
        self, images: tf.Tensor, labels: tf.Tensor, is_example: tf.Tensor, number: tf.Tensor
    ) -> tf.Tensor:
        """The sums of losses and of correct predictions over the examples that are not padding."""
        with self._loss.measuring(number):
            logs = self._loss.log_probabilities(self._loss.scaled(images), training=False)
        losses = self._loss.cross_entropy(logs, labels)
        correct = tf.cast(tf.argmax(logs, -1, tf.int32) == labels, tf.float32)
        return tf.stack([tf.reduce_sum(losses * is_example), tf.reduce_sum(correct * is_example)])
