"""The dense network of FakeLab in numpy: a ReLU layer and a softmax, with second derivatives.

Its weights are those of a FakeLab by name; without "hidden/kernel" it is a softmax regression.
"""

import math
from collections.abc import Mapping
from typing import Protocol

import numpy as np

from ltx.core.prunable import Axis, Channels, Weight
from ltx.core.run import Metrics

HIDDEN = 12


class Network(Protocol):
    """What FakeLab trains; weights and statistics are passed in one mapping."""

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of one input."""

    @property
    def prunable(self) -> tuple[Weight, ...]: ...

    @property
    def channels(self) -> tuple[Channels, ...]: ...

    def others(self) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
        """The initial weights that are not prunable, and the initial statistics."""

    def gradients(
        self, arrays: dict, images: np.ndarray, labels: np.ndarray, temperature: float = 1.0
    ) -> dict[str, np.ndarray]: ...

    def hessian_times(
        self,
        vector: dict,
        arrays: dict,
        images: np.ndarray,
        labels: np.ndarray,
        temperature: float,
    ) -> dict[str, np.ndarray]: ...

    def batch_statistics(self, arrays: dict, images: np.ndarray) -> dict[str, np.ndarray]:
        """The statistics of one batch."""

    def measured(self, arrays: dict, images: np.ndarray, labels: np.ndarray) -> Metrics: ...

    def synaptic_flow(self, arrays: dict) -> dict[str, np.ndarray]: ...

    def effective(self, mask: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]: ...


def forward(
    weights: dict, images: np.ndarray, temperature: float = 1.0
) -> tuple[np.ndarray, np.ndarray]:
    """The hidden units, or the images where there are none, and the log-probabilities."""
    hidden = images
    if "hidden/kernel" in weights:
        hidden = np.maximum(images @ weights["hidden/kernel"] + weights["hidden/bias"], 0)
    logits = (hidden @ weights["output/kernel"] + weights["output/bias"]) / np.float32(temperature)
    logits -= logits.max(axis=1, keepdims=True)
    return hidden, logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))


def gradients(
    weights: dict, images: np.ndarray, labels: np.ndarray, temperature: float = 1.0
) -> dict[str, np.ndarray]:
    """The derivative of the mean cross-entropy of the logits divided by `temperature`."""
    hidden, logs = forward(weights, images, temperature)
    error = np.exp(logs)
    error[np.arange(len(labels)), labels] -= 1
    error /= np.float32(len(labels) * temperature)
    result = {"output/kernel": hidden.T @ error, "output/bias": error.sum(axis=0)}
    if "hidden/kernel" in weights:
        back = (error @ weights["output/kernel"].T) * (hidden > 0)
        result |= {"hidden/kernel": images.T @ back, "hidden/bias": back.sum(axis=0)}
    return result


def hessian_times(
    vector: dict, weights: dict, images: np.ndarray, labels: np.ndarray, temperature: float
) -> dict[str, np.ndarray]:
    """The derivative of the kernels' `gradients` along `vector`, by the chain rule."""
    hidden, logs = forward(weights, images, temperature)
    into, out = weights["output/kernel"], vector["output/kernel"]
    scale = np.float32(len(labels) * temperature)
    probabilities = np.exp(logs)
    error = probabilities.copy()
    error[np.arange(len(labels)), labels] -= 1
    deep = "hidden/kernel" in weights
    moved = (images @ vector["hidden/kernel"]) * (hidden > 0) if deep else 0 * images
    logit = (moved @ into + hidden @ out) / np.float32(temperature)
    error_change = (
        probabilities * (logit - (probabilities * logit).sum(axis=1, keepdims=True)) / scale
    )
    error /= scale
    if not deep:
        return {"output/kernel": hidden.T @ error_change}
    back = (error_change @ into.T + error @ out.T) * (hidden > 0)
    return {
        "hidden/kernel": images.T @ back,
        "output/kernel": moved.T @ error + hidden.T @ error_change,
    }


def synaptic_flow(weights: dict) -> dict[str, np.ndarray]:
    """The derivative of the summed logits for an image of ones, with absolute weights."""
    weights = {name: np.abs(array) for name, array in weights.items()}
    if "hidden/kernel" not in weights:
        return {"output/kernel": np.ones_like(weights["output/kernel"])}
    hidden = weights["hidden/kernel"].sum(axis=0) + weights["hidden/bias"]
    onward = weights["output/kernel"].sum(axis=1) * (hidden > 0)
    classes = weights["output/kernel"].shape[1]
    return {
        "hidden/kernel": np.broadcast_to(onward, weights["hidden/kernel"].shape).copy(),
        "output/kernel": np.repeat(hidden[:, None], classes, axis=1),
    }


def effective(mask: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """The survivors on a path of survivors from the images to the logits."""
    kept = mask["output/kernel"]
    if "hidden/kernel" not in mask:
        return {"output/kernel": kept}
    has_input = mask["hidden/kernel"].any(axis=0, keepdims=True)
    is_read = kept.any(axis=1, keepdims=True)
    hidden = mask["hidden/kernel"] & is_read.T
    return {"hidden/kernel": hidden, "output/kernel": kept & has_input.T}


def measured(weights: dict, images: np.ndarray, labels: np.ndarray) -> Metrics:
    """Mean loss and accuracy."""
    logs = forward(weights, images)[1]
    loss = -logs[np.arange(len(labels)), labels].mean()
    return Metrics(float(loss), float((logs.argmax(axis=1) == labels).mean()))


class DenseNetwork:
    """The network of two layers, or of one, for flat inputs; it has no statistics."""

    def __init__(self, image: tuple[int, int, int], classes: int, layers: int) -> None:
        self.inputs, self.classes, self.layers = math.prod(image), classes, layers

    @property
    def shape(self) -> tuple[int, ...]:
        return (self.inputs,)

    @property
    def prunable(self) -> tuple[Weight, ...]:
        if self.layers == 1:
            return (Weight("output/kernel", (self.inputs, self.classes), is_output=True),)
        return (
            Weight("hidden/kernel", (self.inputs, HIDDEN)),
            Weight("output/kernel", (HIDDEN, self.classes), is_output=True),
        )

    @property
    def channels(self) -> tuple[Channels, ...]:
        if self.layers == 1:
            return ()
        written = Axis("hidden/kernel", 1, HIDDEN)
        read = Axis("output/kernel", 0, HIDDEN)
        return (Channels(HIDDEN, (written,), (read,), followers=("hidden/bias",)),)

    def others(self) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
        biases = {w.name.replace("kernel", "bias"): np.zeros(w.shape[1]) for w in self.prunable}
        return biases, {}

    def batch_statistics(self, arrays: dict, images: np.ndarray) -> dict[str, np.ndarray]:
        return {}

    gradients = staticmethod(gradients)
    hessian_times = staticmethod(hessian_times)
    measured = staticmethod(measured)
    synaptic_flow = staticmethod(synaptic_flow)
    effective = staticmethod(effective)
