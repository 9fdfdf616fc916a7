"""Score: what a weight is worth; the lowest go first, and any frozen dataclass may be a score."""

import dataclasses
from typing import Protocol

import numpy as np

from ltx.checks import check_count, check_number
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
class Snip:
    """Connection sensitivity: how much the loss feels the weight's removal, to first order.

    Over `batches` training batches of the recipe's size; the paper takes one of about 100.

    Reference: Lee et al., SNIP, https://arxiv.org/abs/1810.02340
    """

    batches: int = 1

    def __post_init__(self) -> None:
        check_count("Snip.batches", self.batches)

    def __call__(self, lab: Lab, state: State, mask: Mask) -> dict[str, np.ndarray]:
        gradients = lab.gradients(state, mask, self.batches)
        return {name: np.abs(state.weights[name] * gradients[name]) for name in mask}


@dataclasses.dataclass(frozen=True)
class Grasp:
    """Gradient signal preservation: what the gradient's squared norm loses with the weight.

    Signed: the weights whose removal raises the norm most go first. That is the weight times the
    Hessian-gradient product, the negative of the paper's score, of which the highest go. The paper
    takes ten images a class, and logits divided by 200.

    Reference: Wang et al., Picking Winning Tickets Before Training by Preserving Gradient Flow,
    https://arxiv.org/abs/2002.07376
    """

    batches: int = 1
    temperature: float = 200.0

    def __post_init__(self) -> None:
        check_count("Grasp.batches", self.batches)
        check_number("Grasp.temperature", self.temperature, above=0)

    def __call__(self, lab: Lab, state: State, mask: Mask) -> dict[str, np.ndarray]:
        products = lab.hessian_gradient(state, mask, self.batches, self.temperature)
        return {name: state.weights[name] * products[name] for name in mask}


@dataclasses.dataclass(frozen=True)
class Synflow:
    """Synaptic saliency: the weight's share in the flow through all paths; it sees no data.

    It avoids the collapse of layers only when scores are taken anew over many rounds.

    Reference: Tanaka et al., Pruning neural networks without any data by iteratively conserving
    synaptic flow, https://arxiv.org/abs/2006.05467
    """

    def __call__(self, lab: Lab, state: State, mask: Mask) -> dict[str, np.ndarray]:
        flows = lab.synaptic_flow(state, mask)
        return {name: np.abs(state.weights[name]) * flows[name] for name in mask}


@dataclasses.dataclass(frozen=True)
class Random:
    """A number drawn for each weight from the lab's seed: the null hypothesis of every score."""

    stream: str = "score"

    def __call__(self, lab: Lab, state: State, mask: Mask) -> dict[str, np.ndarray]:
        return {
            name: lab.rng(self.stream, name).random(keep.shape, np.float32)
            for name, keep in mask.items()
        }
