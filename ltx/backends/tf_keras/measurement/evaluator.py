"""Evaluator: the mean loss and the metrics of a model over a split, at the state that it holds."""

import math
from collections.abc import Iterator
from typing import Any

import numpy as np
import tensorflow as tf

from ltx.backends.tf_keras import input_pipeline
from ltx.backends.tf_keras.compiled import Compiled
from ltx.backends.tf_keras.input_pipeline import HeldOut, ResidentData
from ltx.backends.tf_keras.loss import Loss
from ltx.core.run import Metrics
from ltx.data.dataset import Dataset
from ltx.data.split import Split

EVAL_BATCH = 1000


class Evaluator:
    """Measures without changing the model's state; splits that are not `resident` are streamed.

    Where the objective's metric is a mean over examples, its sum is taken on the device; else the
    outputs of the whole split are measured on the host, in float64.
    """

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
        self._outputs = Compiled(self._outputs_of, xla)

    def evaluate(self, split: str) -> Metrics:
        """The metrics of the training or validation split, summed in float64."""
        resident = self._resident(split) if self._resident is not None else None
        return self._measure(getattr(self._data, split), resident)

    def measure(self, held_out: HeldOut) -> Metrics:
        """The same over a split that the program does not hold."""
        return self._measure(held_out.split, held_out.tensors)

    def _measure(self, part: Split, resident: tuple[Any, tf.Tensor] | None) -> Metrics:
        size = min(EVAL_BATCH, len(part))
        count = -(-len(part) // size)
        rows = np.resize(np.arange(len(part), dtype=np.int32), (count, size))
        is_example = (np.arange(count * size) < len(part)).astype(np.float32).reshape(count, size)
        numbers = np.arange(count, dtype=np.int32)
        if not self._loss.objective.sums_on_device:
            return self._on_host(part, resident, rows)
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
        loss, value = np.asarray(sums, np.float64).sum(0) / len(part)
        return Metrics(float(loss), float(value))

    def _on_host(
        self, part: Split, resident: tuple[Any, tf.Tensor] | None, rows: np.ndarray
    ) -> Metrics:
        objective, data = self._loss.objective, self._data
        finite = True

        def blocks() -> Iterator[tuple[np.ndarray, np.ndarray]]:
            nonlocal finite
            left = len(part)
            streamed = None if resident else iter(input_pipeline.stream(part, rows))
            for number, chosen in enumerate(rows):
                batch = (
                    next(streamed)
                    if streamed
                    else (input_pipeline.gather(resident[0], chosen), part.take(chosen)[1])  # type: ignore[index]
                )
                outputs = self._outputs(batch[0], tf.constant(number)).numpy()[:left]
                finite = finite and bool(np.isfinite(outputs).all())
                yield outputs, np.asarray(batch[1])[:left]
                left -= len(chosen)

        with np.errstate(over="ignore", invalid="ignore"):
            loss, values = objective.measure(blocks(), data.in_original_unit)
        if not finite:
            return Metrics(math.nan, math.nan)
        value = values.pop(objective.metric.name)
        return Metrics(loss, value, values)

    def _outputs_of(self, inputs: Any, number: tf.Tensor) -> tf.Tensor:
        with self._loss.measuring(number):
            return self._loss.outputs(self._loss.scaled(inputs), training=False)

    def _evaluate_loop(  # type: ignore[no-untyped-def]
        self, examples, targets, rows, is_example, numbers
    ):
        def score(inputs: tuple) -> tf.Tensor:
            chosen, weight, number = inputs
            batch = input_pipeline.gather(examples, chosen), tf.gather(targets, chosen)
            return self._score_batch(*batch, weight, number)

        signature = tf.TensorSpec([2], tf.float32)
        return tf.map_fn(
            score, (rows, is_example, numbers), fn_output_signature=signature, parallel_iterations=1
        )

    def _score_batch(
        self, inputs: Any, targets: tf.Tensor, is_example: tf.Tensor, number: tf.Tensor
    ) -> tf.Tensor:
        """The sums of losses and of the metric over the examples that are not padding."""
        outputs = self._outputs_of(inputs, number)
        losses, hits = self._loss.losses(outputs, targets), self._loss.hits(outputs, targets)
        return tf.stack([tf.reduce_sum(losses * is_example), tf.reduce_sum(hits * is_example)])
