"""Score: what a weight is worth; the lowest go first, and any frozen dataclass may be a score."""

import dataclasses
from typing import Protocol

import numpy as np

from ltx.lab import Lab
from ltx.mask import Mask
from ltx.state import State


class Score(Protocol):
    """Gives every prunable weight a number; entries that are pruned already are not looked at."""

    def __call__(self, lab: Lab, state: State, mask: Mask) -> dict[str, np.ndarray]: ...


@dataclasses.dataclass(frozen=True)
class Magnitude:
    """The absolute value of the weight.

    Reference: Han et al., Learning both Weights and Connections, https://arxiv.org/abs/1506.02626
    """

    def __call__(self, lab: Lab, state: State, mask: Mask) -> dict[str, np.ndarray]:
        return {name: np.abs(state.weights[name]) for name in mask}


@dataclasses.dataclass(frozen=True)
class Random:
    """A number drawn for each weight from the lab's seed: the null hypothesis of every score."""

    stream: str = "score"

    def __call__(self, lab: Lab, state: State, mask: Mask) -> dict[str, np.ndarray]:
        return {
            name: lab.rng(self.stream, name).random(keep.shape, np.float32)
            for name, keep in mask.items()
        }
