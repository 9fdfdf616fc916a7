"""Calibration: BatchNorm's statistics taken anew, as plain means over training batches."""

import contextlib
from collections.abc import Iterator

import numpy as np
import tensorflow as tf

from ltx.backends.tf_keras import input_pipeline
from ltx.backends.tf_keras.compiled import Compiled
from ltx.backends.tf_keras.loss import Loss
from ltx.backends.tf_keras.masking import MaskedModel
from ltx.data.dataset import Split


class BatchNormStatistics:
    """Measures what the BatchNorm layers of a masked model see in training at its loaded state.

    Images are augmented and layers draw noise as in training. A layer that is used twice gets the
    statistics of its last use. The model is left with those of the last batch.
    """

    def __init__(
        self, masked: MaskedModel, objective: Loss, augment: str, train: Split, xla: bool
    ) -> None:
        self._masked, self._objective, self._augment = masked, objective, augment
        self._train = train
        self._measure = Compiled(self._batch, xla)

    def __call__(self, table: np.ndarray, seed: np.ndarray) -> dict[str, np.ndarray]:
        """The statistics by name, means over the batches of `table` summed in float64."""
        total = {name: np.zeros(v.shape) for name, v in self._masked.moments.items()}
        if not total:
            return {}
        for number, rows in enumerate(table):
            images, _ = self._train.take(rows)
            inputs = (tf.constant(x) for x in (images, np.int32(number), seed))
            for name, moment in zip(total, self._measure(*inputs), strict=True):
                total[name] += moment.numpy() / len(table)
        return {name: array.astype(np.float32) for name, array in total.items()}

    def _batch(self, images: tf.Tensor, number: tf.Tensor, seed: tf.Tensor) -> list[tf.Tensor]:
        """The statistics of one batch, as the layers themselves define them."""
        seed = tf.random.experimental.stateless_fold_in(seed, number)
        self._objective.seed_layers(seed)
        images = input_pipeline.augment(self._objective.scaled(images), self._augment, seed)
        moments = list(self._masked.moments.values())
        for moment in moments:
            moment.assign(tf.zeros_like(moment))
        with self._no_memory():
            self._objective.log_probabilities(images, training=True)
        return [tf.identity(moment) for moment in moments]

    @contextlib.contextmanager
    def _no_memory(self) -> Iterator[None]:
        """Trace a call without momentum, so that a moving average is that of one batch."""
        kept = [(layer, layer.momentum) for layer in self._masked.norms]
        try:
            for layer, _ in kept:
                layer.momentum = 0.0
            yield
        finally:
            for layer, momentum in kept:
                layer.momentum = momentum
