"""Iterative magnitude pruning: train, prune the smallest weights, rewind the rest, repeat."""

import dataclasses
from collections.abc import Iterator

import ltx


@dataclasses.dataclass(frozen=True)
class IMP(ltx.Finder):
    """The lottery-ticket procedure, rewinding to the initial weights.

    `levels` rounds give levels + 1 tickets, the dense network first; one round is one-shot
    pruning. Costs `levels` whole trainings.

    Reference: Frankle & Carbin, The Lottery Ticket Hypothesis, https://arxiv.org/abs/1803.03635
    """

    levels: int = 12
    pruning: ltx.Pruning = ltx.Pruning(rate=0.2)
    score: ltx.Score = ltx.Magnitude()

    def __post_init__(self) -> None:
        ltx.check_count("imp.levels", self.levels, most=1000)
        ltx.check_type("imp.pruning", self.pruning, ltx.Pruning, "@Pruning()")
        ltx.check_score("imp.score", self.score)

    @classmethod
    def example(cls, of: ltx.Finder) -> "IMP":
        return cls(levels=3)

    def check(self, lab: ltx.Lab) -> None:
        self.pruning.check(lab, self.score, self.levels)

    def find(self, lab: ltx.Lab) -> Iterator[ltx.Ticket]:
        ticket = ltx.Ticket.of(lab, lab.dense(), lab.init())
        yield ticket
        for _ in range(self.levels):
            trained = lab.train(ticket.state, ticket.mask).state
            scores = self.score(lab, trained, ticket.mask)
            ticket = ticket.child(lab, self.pruning(lab, ticket.mask, scores))
            yield ticket
