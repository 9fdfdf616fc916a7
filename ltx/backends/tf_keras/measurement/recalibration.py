"""Recalibration of BatchNorm statistics, as plain means over training batches."""

import contextlib
from collections.abc import Iterator
from typing import Any

import numpy as np
import tensorflow as tf

from ltx.backends.tf_keras import input_pipeline
from ltx.backends.tf_keras.compiled import Compiled
from ltx.backends.tf_keras.loss import Loss
from ltx.backends.tf_keras.masking import MaskedModel
from ltx.data.split import Split


class BatchNormStatistics:
    """Measures the inputs of a masked model's BatchNorm layers in training, at its loaded state.

    Images are augmented and layers draw noise as in training. A layer that is called twice gets
    the statistics of its last call. The model keeps the statistics of the last batch.
    """

    def __init__(
        self, masked: MaskedModel, loss: Loss, augment: str, train: Split, xla: bool
    ) -> None:
        self._masked, self._loss, self._augment = masked, loss, augment
        self._train = train
        self._measure = Compiled(self._batch, xla)

    def __call__(self, table: np.ndarray, seed: np.ndarray) -> dict[str, np.ndarray]:
        """The statistics by name, float32: means over the batches of `table`, summed in float64."""
        total = {name: np.zeros(v.shape) for name, v in self._masked.moments.items()}
        if not total:
            return {}
        for number, rows in enumerate(table):
            inputs = tf.nest.map_structure(tf.constant, self._train.take(rows)[0])
            rest = (tf.constant(x) for x in (np.int32(number), seed))
            for name, moment in zip(total, self._measure(inputs, *rest), strict=True):
                total[name] += moment.numpy() / len(table)
        return {name: array.astype(np.float32) for name, array in total.items()}

    def _batch(self, inputs: Any, number: tf.Tensor, seed: tf.Tensor) -> list[tf.Tensor]:
        """The statistics of one batch, as the layers define them."""
        seed = tf.random.experimental.stateless_fold_in(seed, number)
        self._loss.seed_layers(seed)
        inputs = input_pipeline.augment(self._loss.scaled(inputs), self._augment, seed)
        moments = list(self._masked.moments.values())
        for moment in moments:
            moment.assign(tf.zeros_like(moment))
        with self._zero_momentum():
            self._loss.outputs(inputs, training=True)
        return [tf.identity(moment) for moment in moments]

    @contextlib.contextmanager
    def _zero_momentum(self) -> Iterator[None]:
        """Set momentum to 0 while a call is traced: a moving average is then that of one batch."""
        original = [(layer, layer.momentum) for layer in self._masked.norms]
        try:
            for layer, _ in original:
                layer.momentum = 0.0
            yield
        finally:
            for layer, momentum in original:
                layer.momentum = momentum
