"""Derivatives of a model's loss and outputs with respect to its prunable weights."""

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from ltx.backends.tf_keras.compiled import Compiled
from ltx.backends.tf_keras.inputs import flow_batches
from ltx.backends.tf_keras.loss import Loss
from ltx.backends.tf_keras.masking import MaskedModel
from ltx.data.dataset import Dataset

Batch = tuple[Any, tf.Tensor, tf.Tensor, tf.Tensor]


class Derivatives:
    """First and second derivatives of a masked model at the state that it holds.

    A batch is stored inputs, targets, its number and the seed of its noise.
    """

    def __init__(self, masked: MaskedModel, loss: Loss, data: Dataset, xla: bool) -> None:
        self._masked, self._loss, self._data = masked, loss, data
        self._weights = [masked.weights[name] for name in masked.masks]
        self._gradient = Compiled(self._gradients, xla)
        self._product = Compiled(self._products, xla)
        self._flow = Compiled(self._flows, xla)

    def gradients(
        self, table: np.ndarray, seed: np.ndarray, temperature: float = 1.0
    ) -> dict[str, np.ndarray]:
        """The gradient of each prunable weight, averaged over the batches of `table`.

        `table` is int32 [batches, batch size], rows of the training split; `seed` int32 [2].
        The loss is that of the logits divided by `temperature`.
        """
        scale = tf.constant(temperature, tf.float32)
        return self._mean_gradients(self._batches(table, seed), scale)

    def hessian_gradient(
        self, table: np.ndarray, seed: np.ndarray, temperature: float
    ) -> dict[str, np.ndarray]:
        """The mean Hessian over the batches times the mean gradient of the surviving weights."""
        batches, scale = self._batches(table, seed), tf.constant(temperature, tf.float32)
        gradients, masks = self._mean_gradients(batches, scale), self._masked.masks
        vector = [tf.constant(gradients[name] * mask.numpy()) for name, mask in masks.items()]
        return self._mean((self._product(*batch, scale, vector) for batch in batches), len(batches))

    def synaptic_flow(self) -> dict[str, np.ndarray]:
        """The gradient of the summed outputs, in inference mode, for inputs of ones.

        Of tokens there is an example of each, repeated over its whole length.
        """
        batches = list(flow_batches(self._data.inputs))
        # A single batch is a constant of the compiled function.
        results = (self._flow(*((batch,) if len(batches) > 1 else ())) for batch in batches)
        flows = [sum(flow.numpy() for flow in flows) for flows in zip(*results, strict=True)]
        return dict(zip(self._masked.masks, flows, strict=True))

    def _batches(self, table: np.ndarray, seed: np.ndarray) -> list[Batch]:
        """The batches of `table` on the device."""
        taken = (self._data.train.take(rows) for rows in table)
        return [
            (
                tf.nest.map_structure(tf.constant, inputs),
                *(tf.constant(value) for value in (targets, number, seed)),
            )
            for number, (inputs, targets) in enumerate(taken)
        ]

    def _mean_gradients(
        self, batches: Sequence[Batch], temperature: tf.Tensor
    ) -> dict[str, np.ndarray]:
        return self._mean((self._gradient(*batch, temperature) for batch in batches), len(batches))

    def _mean(self, gradients: Iterable[list[tf.Tensor]], count: int) -> dict[str, np.ndarray]:
        """The mean of `count` gradients for each prunable weight; one at a time is in memory."""
        total = {name: np.zeros(m.shape, np.float32) for name, m in self._masked.masks.items()}
        for gradient in gradients:
            for name, array in zip(total, gradient, strict=True):
                total[name] += array.numpy() / count
        return total

    def _gradients(self, inputs, targets, number, seed, temperature):  # type: ignore[no-untyped-def]
        self._loss.seed_layers(tf.random.experimental.stateless_fold_in(seed, number))
        with tf.GradientTape() as tape:
            outputs = self._loss.outputs(self._loss.scaled(inputs), training=True)
            losses = self._loss.losses(self._loss.tempered(outputs, temperature), targets)
            loss = self._loss.mean(losses, targets)
        return self._derivative(tape, loss)

    def _products(  # type: ignore[no-untyped-def]
        self, inputs, targets, number, seed, temperature, vector
    ):
        with tf.GradientTape() as outer:
            gradients = self._gradients(inputs, targets, number, seed, temperature)
            pairs = zip(gradients, vector, strict=True)
            product = tf.add_n([tf.reduce_sum(g * v) for g, v in pairs])
        return self._derivative(outer, product)

    def _flows(self, *given):  # type: ignore[no-untyped-def]
        (inputs,) = given or flow_batches(self._data.inputs)
        with self._loss.measuring(0), tf.GradientTape() as tape:
            outputs = self._masked.model(inputs, training=False)
            if outputs.dtype != tf.float64:  # of float16 the sum would overflow
                outputs = tf.cast(outputs, tf.float32)
            total = tf.reduce_sum(outputs)
        return self._derivative(tape, total)

    def _derivative(self, tape: tf.GradientTape, value: tf.Tensor) -> list[tf.Tensor]:
        """The derivative by every prunable weight; that of an embedding's rows is made dense."""
        gradients = tape.gradient(value, self._weights, unconnected_gradients="zero")
        return [tf.convert_to_tensor(gradient) for gradient in gradients]
