"""The dense network of FakeLab in numpy: ReLU and a linear layer, with second derivatives.

Its weights are those of a FakeLab by name; without a first layer it is a linear model.
"""

import dataclasses
import math
from collections.abc import Mapping

import numpy as np

from ltx.core.objectives.array_ops import NUMPY
from ltx.core.objectives.classification import Classification
from ltx.core.objectives.objective import Objective
from ltx.core.prunable import Axis, Channels, Weight
from ltx.core.run import Metrics
from ltx.testing import output_derivatives

UNITS = 12
HIDDEN, EMBEDDING, OUTPUT = "hidden/kernel", "embedding/embeddings", "output/kernel"
Arrays = dict[str, np.ndarray]


@dataclasses.dataclass(frozen=True)
class DenseNetwork:
    """Computes outputs and loss of one objective.

    `outputs` is their shape for one example, () for as many as the last weight has. Inputs are
    numbers, or whole numbers below `tokens`, whose rows of the first weight are summed. Outputs
    [length, tokens] are computed at each token from it and from those before it, which count half
    as much with each step back.
    """

    objective: Objective = Classification()
    outputs: tuple[int, ...] = ()
    tokens: int = 0
    input_shape: tuple[int, ...] = ()
    layers: int = 2

    @property
    def prunable(self) -> tuple[Weight, ...]:
        shape = self.outputs
        inputs = self.tokens or math.prod(self.input_shape)
        by_token = self.tokens > 0 and len(shape) > 1
        width, uses = (shape[-1], shape[0]) if by_token else (math.prod(shape), 1)
        if self.layers == 1:
            return (Weight(OUTPUT, (inputs, width), uses=uses, is_output=True),)
        return (
            Weight(EMBEDDING if self.tokens else HIDDEN, (inputs, UNITS), uses=uses),
            Weight(OUTPUT, (UNITS, width), uses=uses, is_output=True),
        )

    @property
    def channels(self) -> tuple[Channels, ...]:
        if self.layers == 1:
            return ()
        written, read = Axis(self.prunable[0].name, 1, UNITS), Axis(OUTPUT, 0, UNITS)
        return (Channels(UNITS, (written,), (read,), followers=("hidden/bias",)),)

    def others(self) -> tuple[Arrays, Arrays]:
        """The initial weights that are not prunable; it has no statistics."""
        biases = {
            f"{'output' if weight.is_output else 'hidden'}/bias": np.zeros(weight.shape[1])
            for weight in self.prunable
        }
        return biases, {}

    def batch_statistics(self, arrays: Arrays, inputs: np.ndarray) -> Arrays:
        """Those of one batch: none."""
        del arrays, inputs
        return {}

    def shaped(self, inputs: np.ndarray) -> np.ndarray:
        """The inputs as the network takes them."""
        return inputs

    def features(self, inputs: np.ndarray) -> np.ndarray:
        """What the first weight is multiplied with: [rows, inputs], counts of tokens."""
        if not self.tokens:
            return inputs.reshape(len(inputs), -1)
        chosen = (inputs[..., None] == np.arange(self.tokens)).astype(np.float32)
        if len(self.outputs) > 1:
            for step in range(1, chosen.shape[1]):
                chosen[:, step] += chosen[:, step - 1] / 2
            return chosen.reshape(-1, self.tokens)
        counts: np.ndarray = chosen.sum(axis=1)
        return counts

    def forward(self, weights: Arrays, features: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The hidden units, or the features where there are none, and the outputs, by example."""
        hidden = features
        if first := first_name(weights):
            hidden = np.maximum(features @ weights[first] + weights["hidden/bias"], 0)
        return hidden, self._by_example(hidden @ weights[OUTPUT] + weights["output/bias"])

    def gradients(
        self, weights: Arrays, inputs: np.ndarray, targets: np.ndarray, temperature: float = 1.0
    ) -> Arrays:
        """The derivative of the mean loss, that of logits divided by `temperature`."""
        features = self.features(inputs)
        hidden, outputs = self.forward(weights, features)
        error, _ = output_derivatives.derivatives(
            self.objective, outputs, targets, None, temperature
        )
        error = error.reshape(len(hidden), -1)
        result = {OUTPUT: hidden.T @ error, "output/bias": error.sum(axis=0)}
        if first := first_name(weights):
            back = (error @ weights[OUTPUT].T) * (hidden > 0)
            result |= {first: features.T @ back, "hidden/bias": back.sum(axis=0)}
        return result

    def hessian_times(
        self,
        vector: Arrays,
        weights: Arrays,
        inputs: np.ndarray,
        targets: np.ndarray,
        temperature: float,
    ) -> Arrays:
        """The derivative of the kernels' `gradients` along `vector`, by the chain rule."""
        features = self.features(inputs)
        hidden, outputs = self.forward(weights, features)
        into, out, first = weights[OUTPUT], vector[OUTPUT], first_name(weights)
        moved = (features @ vector[first]) * (hidden > 0) if first else 0 * features
        along = self._by_example(moved @ into + hidden @ out)
        pair = output_derivatives.derivatives(self.objective, outputs, targets, along, temperature)
        error, change = (array.reshape(len(hidden), -1) for array in pair)
        if not first:
            return {OUTPUT: hidden.T @ change}
        back = (change @ into.T + error @ out.T) * (hidden > 0)
        return {first: features.T @ back, OUTPUT: moved.T @ error + hidden.T @ change}

    def synaptic_flow(self, weights: Arrays, inputs: np.ndarray) -> Arrays:
        """The derivative of the summed outputs for these inputs, with absolute weights."""
        weights, features = {n: np.abs(w) for n, w in weights.items()}, self.features(inputs)
        hidden, outputs = self.forward(weights, features)
        error = np.ones_like(outputs).reshape(len(hidden), -1)
        result = {OUTPUT: hidden.T @ error}
        if first := first_name(weights):
            result[first] = features.T @ ((error @ weights[OUTPUT].T) * (hidden > 0))
        return {name: result[name] for name in weights if name in result}

    def measured(self, weights: Arrays, inputs: np.ndarray, targets: np.ndarray) -> Metrics:
        """The mean loss and the metrics of a split."""
        outputs = self.forward(weights, self.features(inputs))[1]
        outputs = output_derivatives.prepared(self.objective, outputs)
        if not np.isfinite(outputs).all():
            return Metrics(np.nan, np.nan)
        if self.objective.sums_on_device:
            losses = self.objective.losses(NUMPY, outputs, targets)
            hits = self.objective.hits(NUMPY, outputs, targets)
            return Metrics(float(losses.mean()), float(hits.mean(dtype=np.float64)))
        loss, values = self.objective.measure([(outputs, targets)])
        value = values.pop(self.objective.metric.name)
        return Metrics(loss, value, values)

    def effective(self, mask: Mapping[str, np.ndarray]) -> Arrays:
        """The survivors on a path of survivors from the inputs to the outputs."""
        kept, first = mask[OUTPUT], first_name(mask)
        if first is None:
            return {OUTPUT: kept}
        has_input = mask[first].any(axis=0, keepdims=True)
        is_read = kept.any(axis=1, keepdims=True)
        return {first: mask[first] & is_read.T, OUTPUT: kept & has_input.T}

    def _by_example(self, outputs: np.ndarray) -> np.ndarray:
        return outputs.reshape(-1, *self.outputs) if self.outputs else outputs


def first_name(weights: Mapping[str, np.ndarray]) -> str | None:
    """The name of the first layer's kernel, None of a network of one layer."""
    return next((name for name in (HIDDEN, EMBEDDING) if name in weights), None)
