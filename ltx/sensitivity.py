"""Sensitivity: what a loaded model's loss or output does when single weights change."""

from collections.abc import Callable, Iterable, Sequence

import numpy as np
import tensorflow as tf

from ltx.masking import MaskedModel

Batch = tuple[tf.Tensor, tf.Tensor, tf.Tensor, tf.Tensor]


class Sensitivity:
    """Derivatives of a masked model at the state that it holds, for the scores that need them.

    `logs` gives the log-probabilities of a batch of images and the seed of their noise in training
    mode. A batch is images, labels, its number and the seed.
    """

    def __init__(
        self,
        masked: MaskedModel,
        image: tuple[int, int, int],
        logs: Callable[..., tf.Tensor],
        xla: bool,
    ) -> None:
        self._masked, self._image, self._logs = masked, image, logs
        self._weights = [masked.weights[name] for name in masked.masks]
        compiled = xla or None
        self._gradient = tf.function(self._gradients, jit_compile=compiled, autograph=False)
        self._product = tf.function(self._products, jit_compile=compiled, autograph=False)
        self._flow = tf.function(self._flows, jit_compile=compiled, autograph=False)

    def hessian_gradient(
        self, batches: Sequence[Batch], temperature: float
    ) -> dict[str, np.ndarray]:
        """The mean Hessian over the batches times the mean gradient of the surviving weights."""
        warmth = tf.constant(temperature, tf.float32)
        gradient = _mean(self._gradient(*batch, warmth) for batch in batches)
        masks = [mask.numpy() for mask in self._masked.masks.values()]
        vector = [tf.constant(g * mask) for g, mask in zip(gradient, masks, strict=True)]
        product = _mean(self._product(*batch, warmth, vector) for batch in batches)
        return dict(zip(self._masked.masks, product, strict=True))

    def synaptic_flow(self) -> dict[str, np.ndarray]:
        """The derivatives of the model's summed outputs for an image of ones in eval mode."""
        flows = [flow.numpy() for flow in self._flow()]
        return dict(zip(self._masked.masks, flows, strict=True))

    def _loss(self, images, labels, number, seed, temperature):  # type: ignore[no-untyped-def]
        # log_softmax forgives the constant by which log-probabilities and logits differ.
        key = tf.random.experimental.stateless_fold_in(seed, number)
        logs = tf.nn.log_softmax(self._logs(images, key) / temperature)
        return -tf.reduce_mean(tf.gather(logs, labels, batch_dims=1))

    def _gradients(self, images, labels, number, seed, temperature):  # type: ignore[no-untyped-def]
        with tf.GradientTape() as tape:
            loss = self._loss(images, labels, number, seed, temperature)
        return tape.gradient(loss, self._weights, unconnected_gradients="zero")

    def _products(  # type: ignore[no-untyped-def]
        self, images, labels, number, seed, temperature, vector
    ):
        with tf.GradientTape() as outer:
            gradients = self._gradients(images, labels, number, seed, temperature)
            pairs = zip(gradients, vector, strict=True)
            along = tf.add_n([tf.reduce_sum(g * v) for g, v in pairs])
        return outer.gradient(along, self._weights, unconnected_gradients="zero")

    def _flows(self):  # type: ignore[no-untyped-def]
        with tf.GradientTape() as tape:
            outputs = self._masked.model(tf.ones((1, *self._image)), training=False)
            total = tf.reduce_sum(tf.cast(outputs, tf.float32))
        return tape.gradient(total, self._weights, unconnected_gradients="zero")


def _mean(parts: Iterable[list[tf.Tensor]]) -> list[np.ndarray]:
    return [np.mean(arrays, axis=0) for arrays in zip(*parts, strict=True)]
