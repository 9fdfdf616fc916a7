"""Network: what the sparse engine trains, as plain values that name no framework."""

import dataclasses

import numpy as np

from ltx.core.objectives.classification import Classification
from ltx.core.objectives.objective import Objective
from ltx.core.objectives.regression import Regression
from ltx.core.recipe import Recipe

VERSION = 1  # part of fingerprints: raise it when the same inputs may give other bytes

# The kinds of activations and losses, as the compiled code numbers them.
LEAKY, TANH = 0, 1
CROSS_ENTROPY, SQUARED, HUBER = 0, 1, 2


@dataclasses.dataclass(frozen=True)
class Layer:
    """A Dense layer: the names of its kernel [inputs, units] and bias, "" without one.

    Its activation is `slope` times the negative sums and the others as they are: 1 is linear, 0 is
    ReLU. Or it is tanh.
    """

    kernel: str
    bias: str
    inputs: int
    units: int
    slope: float = 1.0
    tanh: bool = False


@dataclasses.dataclass(frozen=True)
class Examples:
    """The training data: `inputs` [n, features], uint8 or float32, and `targets` [n, ...].

    Raw inputs are normalised as (x - mean) * inverse_std, float32 [features].
    """

    inputs: np.ndarray
    targets: np.ndarray
    mean: np.ndarray
    inverse_std: np.ndarray


Network = tuple[Layer, ...]


def loss_number(objective: Objective) -> int | None:
    """The number of an objective's loss; None for one that is not known."""
    if type(objective) is Classification:
        return CROSS_ENTROPY
    if type(objective) is Regression:
        return SQUARED if objective.loss == "squared" else HUBER
    return None


def unknown_in(recipe: Recipe) -> str:
    """What of a recipe the sparse engine does not know, as NAME = VALUE; "" if it knows all."""
    if recipe.augment != "none":
        return f"Recipe.augment = {recipe.augment!r}"
    return f"Recipe.scale_l1 = {recipe.scale_l1:g}" if recipe.scale_l1 else ""
