"""Aim: how many weights a finder's own settings say that its tickets keep.

They say so by the names of fields: `density` is that of the last ticket, `densities` those of the
last ones, and with `pruning` and `levels` each level comes from the one before. `scope` and `keep`
mean what they mean to Pruning.
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
    """A ticket, and the count it should keep; `slack` is by how much rounding may miss it."""

    ticket: Ticket
    kept: int
    slack: int = 1

    @property
    def met(self) -> bool:
        return abs(self.ticket.mask.kept - self.kept) <= self.slack


def expected_counts(finder: Finder, lab: Lab, tickets: Sequence[Ticket]) -> Iterator[ExpectedCount]:
    """The aims that the finder's fields declare; none where it counts in units of its own."""
    if isinstance(getattr(finder, "levels", None), int):
        pruning = getattr(finder, "pruning", None)
        if isinstance(pruning, Pruning) and _by_weight(pruning):
            for one, two in itertools.pairwise(tickets):
                yield ExpectedCount(two, _prune(pruning, lab, one.mask))
    if not _by_weight(finder):
        return
    densities = getattr(finder, "densities", None) or (getattr(finder, "density", None),)
    if all(isinstance(d, int | float) and 0 < d < 1 for d in densities):
        wanted = sorted(densities, reverse=True)
        for ticket, density in zip(tickets[-len(wanted) :], wanted, strict=False):
            yield _to(density, finder, lab, ticket)


def _by_weight(settings: object) -> bool:
    """Whether weights are counted, not channels or blocks."""
    return getattr(settings, "structure", None) in (None, getattr(Pruning(), "structure", None))


def _to(density: float, finder: Finder, lab: Lab, ticket: Ticket) -> ExpectedCount:
    own = {name: getattr(finder, name) for name in ("scope", "keep") if hasattr(finder, name)}
    # Without a scope the shares may be those of each tensor, which rounds by itself.
    slack = 1 if "scope" in own else max(1, len(lab.prunable) // 2)
    try:
        pruning = Pruning.to(density, **own)
    except UsageError:  # a scope that means something else here
        pruning = Pruning.to(density)
    return ExpectedCount(ticket, _prune(pruning, lab, lab.dense()), slack)


def _prune(pruning: Pruning, lab: Lab, mask: Mask) -> int:
    """How many weights Pruning keeps, whatever the scores."""
    return pruning(lab, mask, {name: np.zeros(keep.shape) for name, keep in mask.items()}).kept
