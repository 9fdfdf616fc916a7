"""Pruning before training: score the initial weights, keep the best, in one round or many."""

import dataclasses
from collections.abc import Iterator

import ltx

SCOPES = ("global", "layer", "erk", "smart")


@dataclasses.dataclass(frozen=True)
class OneShot(ltx.Finder):
    """Prunes the initial weights to `density` by any score, without training.

    `rounds` steps each lower the density by the same factor and recompute the scores. Yields the
    dense network and one ticket, whose note lists as `collapsed` the layers that lost every
    weight. Costs what the score computes with the lab. With ltx.Random() in scope "erk" it is the
    sparse random network that others start from, in scope "smart" a random ticket
    (https://arxiv.org/abs/2009.11094).

    `structure` says what units the density is a share of. Channels are pruned in scope "global" or
    "layer", by any score; blocks in every scope, but in kernels of rank 2 only, so that `keep` must
    name all others; NofM at its own density, in one round. Embeddings are left alone unless
    `embeddings` is True.
    """

    density: float = 0.1
    score: ltx.Score = ltx.Magnitude()
    rounds: int = 1
    scope: str = "global"
    keep: tuple[str, ...] = ()
    structure: ltx.Structure = ltx.Unstructured()
    embeddings: bool = False

    def __post_init__(self) -> None:
        _check("oneshot", self.density, self.score, self.rounds, self.scope)
        ltx.check_type("oneshot.structure", self.structure, ltx.Structure, "@ByChannel()")
        pruning = self._pruning
        object.__setattr__(self, "keep", pruning.keep)  # gin gives a list, or one string
        if self.structure.only is not None and self.rounds > 1:
            raise ltx.UsageError(
                f"oneshot.rounds: {self.structure} has one density, and rounds need one each; use"
                f" rounds=1, got {self.rounds}"
            )

    def check(self, lab: ltx.Lab) -> None:
        self._pruning.check(lab, self.score)

    def find(self, lab: ltx.Lab) -> Iterator[ltx.Ticket]:
        yield from _find(lab, self._pruning, self.score, self.rounds)

    @property
    def _pruning(self) -> ltx.Pruning:
        return ltx.Pruning.to(self.density, self.scope, self.keep, self.structure, self.embeddings)


@dataclasses.dataclass(frozen=True)
class SNIP(ltx.Finder):
    """One round by connection sensitivity, over all layers together, on one training batch.

    The paper initialises by variance scaling and uses 100 images, 128 for CIFAR-10; `batches` is
    the number of the recipe's batches used instead.

    Reference: Lee et al., SNIP, https://arxiv.org/abs/1810.02340
    """

    density: float = 0.1
    batches: int = 1

    def __post_init__(self) -> None:
        _check("snip", self.density, ltx.Snip(self.batches), 1, "global")

    def check(self, lab: ltx.Lab) -> None:
        ltx.Pruning.to(self.density).check(lab)

    def find(self, lab: ltx.Lab) -> Iterator[ltx.Ticket]:
        yield from _find(lab, ltx.Pruning.to(self.density), ltx.Snip(self.batches))


@dataclasses.dataclass(frozen=True)
class GraSP(ltx.Finder):
    """One round that keeps the gradient's norm, over all layers together.

    The paper uses ten images per class, and logits divided by 200; `batches` is the number of the
    recipe's batches, not balanced by class, used instead.

    Reference: Wang et al., Picking Winning Tickets Before Training by Preserving Gradient Flow,
    https://arxiv.org/abs/2002.07376
    """

    density: float = 0.1
    batches: int = 1
    temperature: float = 200.0

    def __post_init__(self) -> None:
        _check("grasp", self.density, self._score, 1, "global")

    @property
    def _score(self) -> ltx.Grasp:
        return ltx.Grasp(self.batches, self.temperature)

    def check(self, lab: ltx.Lab) -> None:
        ltx.Pruning.to(self.density).check(lab)

    def find(self, lab: ltx.Lab) -> Iterator[ltx.Ticket]:
        yield from _find(lab, ltx.Pruning.to(self.density), self._score)


@dataclasses.dataclass(frozen=True)
class SynFlow(ltx.Finder):
    """A hundred rounds by synaptic flow, over all layers together, without data.

    Reference: Tanaka et al., Pruning neural networks without any data by iteratively conserving
    synaptic flow, https://arxiv.org/abs/2006.05467
    """

    density: float = 0.1
    rounds: int = 100

    def __post_init__(self) -> None:
        _check("synflow", self.density, ltx.Synflow(), self.rounds, "global")

    def check(self, lab: ltx.Lab) -> None:
        ltx.Pruning.to(self.density).check(lab, ltx.Synflow())

    def find(self, lab: ltx.Lab) -> Iterator[ltx.Ticket]:
        yield from _find(lab, ltx.Pruning.to(self.density), ltx.Synflow(), self.rounds)


def _find(
    lab: ltx.Lab, last: ltx.Pruning, score: ltx.Score, rounds: int = 1
) -> Iterator[ltx.Ticket]:
    """The dense network, then the ticket after all rounds."""
    ticket = ltx.Ticket.of(lab, lab.dense(), lab.init())
    yield ticket
    mask = ticket.mask
    for number in range(1, rounds + 1):
        density = (last.density or 1.0) ** (number / rounds)
        pruning = dataclasses.replace(last, density=density)
        mask = pruning(lab, mask, score(lab, ticket.state, mask))
    yield ticket.child(lab, mask, note={"rounds": rounds, "collapsed": mask.empty()})


def _check(name: str, density: float, score: ltx.Score, rounds: int, scope: str) -> None:
    ltx.check_number(f"{name}.density", density, above=0, below=1)
    ltx.check_score(f"{name}.score", score)
    ltx.check_count(f"{name}.rounds", rounds)
    ltx.check_choice(f"{name}.scope", scope, SCOPES)
