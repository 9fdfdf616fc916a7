"""Learned masks: train a score for every weight while the weights stay fixed."""

import dataclasses
from collections.abc import Callable

import numpy as np

from ltx.core.errors import UsageError
from ltx.core.mask import Mask, MaskLearner, Scores
from ltx.core.state import State
from ltx.core.validation import check_number


@dataclasses.dataclass(frozen=True)
class EdgePopup:
    """Keeps the share `density` of each tensor with the highest scores, at every step.

    Straight-through gradient, as if every weight were multiplied by its score: dL/ds = dL/dw * w.
    Scores start uniform in 0 to 1/sqrt(fan-in). In a tensor that a mask has pruned before,
    `density` is a share of the survivors; at least one weight is kept.

    Reference: Ramanujan et al., What's Hidden in a Randomly Weighted Neural Network?,
    https://arxiv.org/abs/1911.13299
    """

    density: float = 0.5
    learning_rate: float = 0.1
    momentum: float = 0.9

    def __post_init__(self) -> None:
        check_number("EdgePopup.density", self.density, above=0, below=1)
        check_number("EdgePopup.learning_rate", self.learning_rate, above=0)
        check_number("EdgePopup.momentum", self.momentum, least=0, below=1)

    def init_scores(
        self, weights: Scores, mask: Mask, rng: Callable[..., np.random.Generator]
    ) -> Scores:
        return {
            name: rng("scores", name).random(keep.shape, np.float32)
            / np.float32(np.sqrt(keep.size / keep.shape[-1]))
            for name, keep in mask.items()
        }

    def counts(self, mask: Mask) -> dict[str, int]:
        """How many weights of each tensor are kept."""
        alive = {name: int(keep.sum()) for name, keep in mask.items()}
        return {name: min(n, max(1, round(self.density * n))) for name, n in alive.items()}

    def mask(self, scores: Scores, mask: Mask) -> Mask:
        kept = {}
        for name, count in self.counts(mask).items():
            alive = np.flatnonzero(mask[name])
            # Stable: of equal scores the first, as in the compiled program.
            best = np.argsort(-scores[name].reshape(-1)[alive], kind="stable")[:count]
            kept[name] = np.isin(np.arange(mask[name].size), alive[best]).reshape(mask[name].shape)
        return Mask(kept)

    def sample_mask(self, scores: Scores, mask: Mask, rng: np.random.Generator) -> Mask:
        return self.mask(scores, mask)

    def score_gradient(self, scores: Scores) -> Scores:
        return {name: np.ones_like(array) for name, array in scores.items()}


@dataclasses.dataclass(frozen=True)
class Bernoulli:
    """Keeps each weight with probability sigmoid(score), sampled at every step.

    Straight-through gradient, as if the mask were the probability p: dL/ds = dL/dw * w * p(1-p).
    All start at `probability`. The learned mask keeps weights with a probability above 1/2.

    Reference: Zhou et al., Deconstructing Lottery Tickets, https://arxiv.org/abs/1905.01067
    """

    probability: float = 0.5
    learning_rate: float = 100.0
    momentum: float = 0.0

    def __post_init__(self) -> None:
        check_number("Bernoulli.probability", self.probability, above=0, below=1)
        check_number("Bernoulli.learning_rate", self.learning_rate, above=0)
        check_number("Bernoulli.momentum", self.momentum, least=0, below=1)

    def init_scores(
        self, weights: Scores, mask: Mask, rng: Callable[..., np.random.Generator]
    ) -> Scores:
        start = np.float32(np.log(self.probability / (1 - self.probability)))
        return {name: np.full(keep.shape, start) for name, keep in mask.items()}

    def mask(self, scores: Scores, mask: Mask) -> Mask:
        return Mask({name: keep & (scores[name] > 0) for name, keep in mask.items()})

    def sample_mask(self, scores: Scores, mask: Mask, rng: np.random.Generator) -> Mask:
        chances = {name: sigmoid(scores[name]) for name in mask}
        return Mask(
            {
                name: keep & (rng.random(keep.shape, np.float32) < chances[name])
                for name, keep in mask.items()
            }
        )

    def score_gradient(self, scores: Scores) -> Scores:
        chances = {name: sigmoid(array) for name, array in scores.items()}
        return {name: p * (1 - p) for name, p in chances.items()}


def sigmoid(array: np.ndarray) -> np.ndarray:
    """The logistic function, in a form that never overflows."""
    return (np.tanh(array / 2) + np.float32(1)) / np.float32(2)


def scores(state: State, mask: Mask) -> dict[str, np.ndarray]:
    """The scores in a state of `lab.train_mask`, by weight name."""
    if missing := sorted(f"score:{name}" for name in mask if f"score:{name}" not in state.slots):
        raise UsageError(
            f"state {state.id}: no {missing[0]} in it; expected one that lab.train_mask returned"
        )
    return {name: state.slots[f"score:{name}"] for name in mask}


def learned_mask(state: State, mask: Mask, method: MaskLearner) -> Mask:
    """The mask of a state of `lab.train_mask`, within the mask that the training was given."""
    return method.mask(scores(state, mask), mask)
