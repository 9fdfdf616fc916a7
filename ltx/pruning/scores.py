"""Scores of weights, of which the lowest are pruned first; any frozen dataclass may be one."""

import dataclasses
from collections.abc import Callable, Mapping
from typing import ClassVar, Protocol

import numpy as np

from ltx.core.errors import UsageError
from ltx.core.lab import Lab
from ltx.core.mask import Mask
from ltx.core.state import State
from ltx.core.validation import check_choice, check_count, check_number


class Score(Protocol):
    """Gives every prunable weight a number; those of weights already pruned are ignored.

    A score that does not work on every lab also has a `check(lab)` that raises UsageError; finders
    call it by `Pruning.check(lab, score)`, before any training.
    """

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
    """Connection sensitivity: the first-order change of the loss when the weight is removed.

    Over `batches` training batches of the recipe's size; the paper uses one of about 100.

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
    """Gradient signal preservation: the decrease of the gradient's squared norm without the weight.

    Signed: the weights whose removal raises the norm most are pruned first. It is the weight times
    the Hessian-gradient product, the negative of the paper's score, of which the highest are
    pruned. The paper uses ten images per class, and logits divided by 200.

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
    """Synaptic saliency: the weight's share in the flow through all paths; it uses no data.

    It avoids layer collapse only when scores are recomputed over many rounds.

    Reference: Tanaka et al., Pruning neural networks without any data by iteratively conserving
    synaptic flow, https://arxiv.org/abs/2006.05467
    """

    def check(self, lab: Lab) -> None:
        lab.check_flow()

    def __call__(self, lab: Lab, state: State, mask: Mask) -> dict[str, np.ndarray]:
        flows = lab.synaptic_flow(state, mask)
        with np.errstate(over="ignore"):
            scores = {name: np.abs(state.weights[name]) * flows[name] for name in mask}
        if all(np.isfinite(score).all() for score in scores.values()):
            return scores
        # The product with a weight overflows. A common factor changes no rank, nor does float64.
        small = {name: flow.astype(np.float64) * 2.0**-128 for name, flow in flows.items()}
        return {name: np.abs(state.weights[name]) * small[name] for name in mask}


@dataclasses.dataclass(frozen=True)
class Random:
    """A number drawn for each weight from the lab's seed: the null hypothesis of every score."""

    stream: str = "score"

    def __call__(self, lab: Lab, state: State, mask: Mask) -> dict[str, np.ndarray]:
        return {
            name: lab.rng(self.stream, name).random(keep.shape, np.float32)
            for name, keep in mask.items()
        }


def _ranks(values: np.ndarray, keep: np.ndarray) -> np.ndarray:
    """The share of survivors that are smaller, which is comparable among tensors of any scale."""
    ordered = np.sort(values[keep])
    below = np.searchsorted(ordered, values.reshape(-1)).reshape(values.shape)
    return (below / max(1, ordered.size)).astype(np.float32)


def _both_large(one: np.ndarray, other: np.ndarray, keep: np.ndarray) -> np.ndarray:
    return np.minimum(_ranks(one, keep), _ranks(other, keep))


# The scores of a tensor's weights, given their values before training and now, and the mask.
CRITERIA: Mapping[str, Callable[[np.ndarray, np.ndarray, np.ndarray], np.ndarray]] = {
    "large_final": lambda first, last, keep: np.abs(last),
    "small_final": lambda first, last, keep: -np.abs(last),
    "large_init": lambda first, last, keep: np.abs(first),
    "small_init": lambda first, last, keep: -np.abs(first),
    "large_init_large_final": lambda first, last, keep: _both_large(
        np.abs(first), np.abs(last), keep
    ),
    "small_init_small_final": lambda first, last, keep: _both_large(
        -np.abs(first), -np.abs(last), keep
    ),
    "magnitude_increase": lambda first, last, keep: np.abs(last) - np.abs(first),
    "movement": lambda first, last, keep: np.abs(last - first),
}


@dataclasses.dataclass(frozen=True)
class Criterion:
    """A function of the weight at `lab.init()` and after training: one of Zhou et al.'s criteria.

    The weight before training is that of `lab.init()`, the lab's seed and stream "init", whatever
    the finder rewinds to. "large_init_large_final" and "small_init_small_final" are the lesser of
    two ranks among the survivors of the tensor, so that both sizes must pass the same percentile,
    as in the paper's code. "large_final" is Magnitude.

    Reference: Zhou et al., Deconstructing Lottery Tickets, https://arxiv.org/abs/1905.01067
    """

    name: str = "large_final"

    def __post_init__(self) -> None:
        check_choice("Criterion.name", self.name, tuple(CRITERIA))

    def __call__(self, lab: Lab, state: State, mask: Mask) -> dict[str, np.ndarray]:
        first, rule = lab.init().weights, CRITERIA[self.name]
        return {n: rule(first[n], state.weights[n], keep) for n, keep in mask.items()}


@dataclasses.dataclass(frozen=True)
class BatchNormScale:
    """The absolute BatchNorm scale of a channel, for every weight that computes the channel.

    Where a channel passes several BatchNorms it is their mean. Weights of channels without a scale
    have score infinity and are pruned last. Use it with ByChannel after training: all scales start
    at one.

    Reference: Liu et al., Learning Efficient Convolutional Networks through Network Slimming,
    https://arxiv.org/abs/1708.06519
    """

    waived: ClassVar[Mapping[str, str]] = {"finite": "weights of channels without a scale stay"}

    def check(self, lab: Lab) -> None:
        if not any(channels.scales for channels in lab.channels):
            raise UsageError(
                f"BatchNormScale: {lab.task.label} has no BatchNorm that scales channels; use"
                " another score, as in @Magnitude(), or a model with BatchNorm, such as resnet_20"
            )

    def __call__(self, lab: Lab, state: State, mask: Mask) -> dict[str, np.ndarray]:
        self.check(lab)
        scores = {name: np.full(keep.shape, np.inf, np.float32) for name, keep in mask.items()}
        for channels in lab.channels:
            if channels.scales:
                sizes = [np.abs(state.weights[name]) for name in channels.scales]
                for axis in channels.writers:
                    axis.fill(scores[axis.name], np.stack(sizes).mean(axis=0))
        return scores
