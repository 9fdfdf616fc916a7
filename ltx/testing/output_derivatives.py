"""Derivatives of an objective's mean loss by a model's outputs, to second order, in numpy.

Those of ltx's own losses are formulas. Those of any other loss are central differences in float64,
which take two evaluations of the loss for each output of an example.
"""

from collections.abc import Callable
from typing import Any

import numpy as np

from ltx.core.objectives.array_ops import NUMPY
from ltx.core.objectives.classification import Classification
from ltx.core.objectives.multi_label import MultiLabel
from ltx.core.objectives.next_token import PADDING, NextToken
from ltx.core.objectives.objective import Objective
from ltx.core.objectives.ordinal import Ordinal
from ltx.core.objectives.regression import Regression

# The first derivative of a sum of losses by the outputs, and how it changes along a direction.
Pair = tuple[np.ndarray, np.ndarray]
Formula = Callable[[Any, np.ndarray, np.ndarray, np.ndarray], Pair]
_STEP = 1e-5
_SECOND_STEP, _ALONG = 1e-4, 1e-3  # of the differences of differences


def prepared(objective: Objective, outputs: np.ndarray, temperature: float = 1.0) -> np.ndarray:
    """Log-probabilities of logits divided by `temperature`; other outputs unchanged."""
    if not objective.softmax:
        return outputs
    return NUMPY.log_softmax(outputs / np.float32(temperature))


def total_count(objective: Objective, targets: np.ndarray) -> float:
    """What a sum of losses is divided by: the examples, or for instance their tokens."""
    counted = objective.counts(NUMPY, targets, np.zeros(1))
    return len(targets) if counted is None else max(float(counted.sum()), 1.0)


def derivatives(
    objective: Objective,
    outputs: np.ndarray,
    targets: np.ndarray,
    along: np.ndarray | None = None,
    temperature: float = 1.0,
) -> Pair:
    """The gradient of the mean loss by `outputs`, and how it changes along a direction.

    `outputs` are the model's own, and the loss is that of the `prepared` ones.
    """
    scale = np.float32(temperature if objective.softmax else 1)
    along = np.zeros_like(outputs) if along is None else along
    formula = FORMULAS.get(type(objective).losses, central_differences)
    first, second = formula(objective, outputs / scale, targets, along / scale)
    divisor = np.float32(total_count(objective, targets) * scale)
    return first / divisor, second / divisor


def central_differences(
    objective: Objective, outputs: np.ndarray, targets: np.ndarray, along: np.ndarray
) -> Pair:
    """The derivatives of any loss, in the dtype of `outputs`; the second to about six digits."""
    exact, direction = outputs.astype(np.float64), along.astype(np.float64)
    first = _differences(objective, exact, targets, _STEP)
    size = float(np.abs(direction).max(initial=0))
    if not (size > 0 and np.isfinite(size)):
        return first.astype(outputs.dtype), along * 0
    step = _ALONG / size
    moved = (exact + s * direction for s in (step, -step))
    ends = [_differences(objective, at, targets, _SECOND_STEP) for at in moved]
    second = (ends[0] - ends[1]) / (2 * step)
    return first.astype(outputs.dtype), second.astype(outputs.dtype)


def _differences(
    objective: Objective, outputs: np.ndarray, targets: np.ndarray, size: float
) -> np.ndarray:
    """The gradient of the sum of losses: one output of all examples at a time."""
    flat = outputs.reshape(len(outputs), -1)
    result = np.empty_like(flat)

    def losses(moved: np.ndarray) -> np.ndarray:
        ready = prepared(objective, moved.reshape(outputs.shape))
        return np.asarray(objective.losses(NUMPY, ready, targets), np.float64)

    for column in range(flat.shape[1]):
        high, low = flat.copy(), flat.copy()
        step = size * np.maximum(1, np.abs(flat[:, column]))
        high[:, column] += step
        low[:, column] -= step
        result[:, column] = (losses(high) - losses(low)) / (2 * step)
    return result.reshape(outputs.shape)


def _classification(
    objective: Objective, outputs: np.ndarray, targets: np.ndarray, along: np.ndarray
) -> Pair:
    del objective
    probabilities = np.exp(NUMPY.log_softmax(outputs))
    first = probabilities.copy()
    chosen = targets[..., None]
    np.put_along_axis(first, chosen, np.take_along_axis(first, chosen, -1) - 1, -1)
    change = along - (probabilities * along).sum(axis=-1, keepdims=True)
    return first, probabilities * change


def _next_token(
    objective: Objective, outputs: np.ndarray, targets: np.ndarray, along: np.ndarray
) -> Pair:
    real = (targets != PADDING)[..., None]
    first, second = _classification(objective, outputs, targets, along)
    return first * real, second * real


def _regression(
    objective: Regression, outputs: np.ndarray, targets: np.ndarray, along: np.ndarray
) -> Pair:
    width = outputs.shape[-1]
    error = outputs - targets.reshape(outputs.shape).astype(outputs.dtype)
    if objective.loss == "squared":
        return 2 * error / width, 2 * along / width
    return np.clip(error, -1, 1) / width, along * (np.abs(error) < 1) / width


def _multi_label(
    objective: Objective, outputs: np.ndarray, targets: np.ndarray, along: np.ndarray
) -> Pair:
    del objective
    return _yes_or_no(outputs, targets.astype(outputs.dtype), along)


def _ordinal(
    objective: Objective, outputs: np.ndarray, targets: np.ndarray, along: np.ndarray
) -> Pair:
    del objective
    above = targets[:, None] > np.arange(outputs.shape[-1])
    return _yes_or_no(outputs, above.astype(outputs.dtype), along)


def _yes_or_no(outputs: np.ndarray, answers: np.ndarray, along: np.ndarray) -> Pair:
    """The derivatives of the mean binary cross-entropy of logits."""
    width = outputs.shape[-1]
    chance = np.exp(-np.logaddexp(0, -outputs)).astype(outputs.dtype)
    return (chance - answers) / width, chance * (1 - chance) * along / width


FORMULAS: dict[object, Formula] = {
    Classification.losses: _classification,
    NextToken.losses: _next_token,
    Regression.losses: _regression,
    MultiLabel.losses: _multi_label,
    Ordinal.losses: _ordinal,
}
