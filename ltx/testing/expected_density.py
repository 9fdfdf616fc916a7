"""The number of weights that each ticket should keep according to the finder's settings.

It is read off the names of fields: `density` is that of the last ticket, `densities` those of the
last ones, and with `pruning` and `levels` each level comes from the one before. `scope`, `keep` and
`embeddings` have the meaning that they have in Pruning.
"""

import dataclasses
import itertools
from collections.abc import Iterator, Sequence

import numpy as np

from ltx.core.errors import UsageError
from ltx.core.finder import Finder
from ltx.core.lab import Lab
from ltx.core.mask import Mask
from ltx.core.ticket import Ticket
from ltx.pruning.round import Pruning


@dataclasses.dataclass(frozen=True)
class ExpectedCount:
    """A ticket and the number of weights it should keep, to within `slack` for rounding."""

    ticket: Ticket
    kept: int
    slack: int = 1

    @property
    def is_met(self) -> bool:
        return abs(self.ticket.mask.kept - self.kept) <= self.slack


def expected_counts(finder: Finder, lab: Lab, tickets: Sequence[Ticket]) -> Iterator[ExpectedCount]:
    """The counts that the finder's fields declare; none where it prunes other units."""
    if isinstance(getattr(finder, "levels", None), int):
        pruning = getattr(finder, "pruning", None)
        if isinstance(pruning, Pruning) and _by_weight(pruning):
            for one, two in itertools.pairwise(tickets):
                yield ExpectedCount(two, _prune(pruning, lab, one.mask))
    if not _by_weight(finder):
        return
    densities = getattr(finder, "densities", None) or (getattr(finder, "density", None),)
    if all(isinstance(d, int | float) and 0 < d < 1 for d in densities):
        falling = sorted(densities, reverse=True)
        for ticket, density in zip(tickets[-len(falling) :], falling, strict=False):
            yield _expected_at(density, finder, lab, ticket)


def _by_weight(settings: object) -> bool:
    """Whether single weights are pruned, not channels or blocks."""
    return getattr(settings, "structure", None) in (None, getattr(Pruning(), "structure", None))


def _expected_at(density: float, finder: Finder, lab: Lab, ticket: Ticket) -> ExpectedCount:
    own = {
        name: getattr(finder, name)
        for name in ("scope", "keep", "embeddings")
        if hasattr(finder, name)
    }
    # Without a scope each tensor may be pruned, and rounded, by itself.
    slack = 1 if "scope" in own else max(1, len(lab.prunable) // 2)
    try:
        pruning = Pruning.to(density, **own)
    except UsageError:  # a scope with another meaning than Pruning's
        pruning = Pruning.to(density)
    return ExpectedCount(ticket, _prune(pruning, lab, lab.dense()), slack)


def _prune(pruning: Pruning, lab: Lab, mask: Mask) -> int:
    """How many weights Pruning keeps: a count that does not depend on the scores."""
    scores = {name: np.arange(keep.size).reshape(keep.shape) for name, keep in mask.items()}
    return pruning(lab, mask, scores).kept
