"""Supermasks: subnetworks that are accurate without training their weights."""

import dataclasses
from collections.abc import Iterator

import numpy as np

import ltx

WEIGHTS = ("init", "signed_constant")


@dataclasses.dataclass(frozen=True)
class Supermask(ltx.Finder):
    """Tickets whose weights stay untrained, with a learned mask or another finder's masks.

    `method` (EdgePopup by default) learns one mask in a whole training. With `of` the masks are
    another finder's instead, as of `imp` with the criterion of Zhou et al. as its score. Weights
    "init" are the initial ones; "signed_constant" keeps their signs and sets all of a tensor to
    their standard deviation, before any mask is learned. A trial measures the metric without
    training: the recipe's length is 0it. BatchNorm's statistics are those of the mask's training,
    or with `of` those of the other finder's ticket, which are an initial network's if it rewinds to
    step 0. The dense network comes first and is trained, for comparison.

    Reference: Zhou et al., Deconstructing Lottery Tickets, https://arxiv.org/abs/1905.01067;
    Ramanujan et al., What's Hidden in a Randomly Weighted Neural Network?,
    https://arxiv.org/abs/1911.13299 (EdgePopup)
    """

    method: ltx.EdgePopup | ltx.Bernoulli | None = None
    of: ltx.Finder | None = None
    weights: str = "init"

    def __post_init__(self) -> None:
        ltx.check_choice("supermask.weights", self.weights, WEIGHTS)
        if self.of is not None:
            ltx.require_finder(self.of, "supermask")
        if self.method is None:
            return
        if self.of is not None:
            raise ltx.UsageError(
                "supermask.method: the masks are those of supermask.of; leave one of the two away"
            )
        if not isinstance(self.method, ltx.EdgePopup | ltx.Bernoulli):
            raise ltx.UsageError(
                f"supermask.method: expected @EdgePopup() or @Bernoulli(), got {self.method!r}"
            )

    def check(self, lab: ltx.Lab) -> None:
        if self.of is not None:
            self.of.check(lab)
        elif not lab.steps():
            raise ltx.UsageError(
                "supermask.method: a mask is learned by training, and Recipe.length is"
                f" {lab.task.recipe.length}; give it some steps"
            )

    def find(self, lab: ltx.Lab) -> Iterator[ltx.Ticket]:
        untrained = dataclasses.replace(lab.task.recipe, length="0it", warmup="0it")
        if self.of is None:
            yield from self._learn(lab, untrained)
            return
        for ticket in self.of.find(lab):
            if ticket.level == 0:
                yield ticket
                continue
            state = self._weights(lab, ticket.state).replace(slots={}, step=0)
            yield ltx.Ticket.of(
                lab, ticket.mask, state, level=ticket.level, parent=ticket, recipe=untrained
            )

    def _learn(self, lab: ltx.Lab, untrained: ltx.Recipe) -> Iterator[ltx.Ticket]:
        dense, method = lab.dense(), self.method or ltx.EdgePopup()
        first = ltx.Ticket.of(lab, dense, lab.init())
        yield first
        learned = lab.train_mask(self._weights(lab, first.state), dense, method).state
        mask, state = ltx.learned_mask(learned, dense, method), learned.replace(slots={}, step=0)
        yield first.child(lab, mask, state=state, recipe=untrained)

    def _weights(self, lab: ltx.Lab, state: ltx.State) -> ltx.State:
        if self.weights == "init":
            return state
        signed = {w.name: state.weights[w.name] for w in lab.prunable}
        signed = {name: np.copysign(array.std(), array) for name, array in signed.items()}
        return state.replace(weights={**state.weights, **signed})
