"""Example finders: how a finder's class gives one to try, and what finders of finders hold then."""

import dataclasses
from collections.abc import Iterator

from ltx.core.errors import LtxError, UsageError
from ltx.core.finder import Finder
from ltx.core.lab import Lab
from ltx.core.ticket import Ticket
from ltx.core.validation import check_count
from ltx.pruning.round import Pruning
from ltx.pruning.scores import Magnitude


def example(cls: type[Finder]) -> Finder:
    """The example of a finder class; UsageError that says how to define one where it fails."""
    try:
        return cls.example(ExampleFinder())
    except (LtxError, TypeError) as error:
        raise UsageError(
            f"{cls.__name__}.example: {error}; override it to say how the finder is made, as in"
            " `return cls(of=of)`"
        ) from error


@dataclasses.dataclass(frozen=True)
class ExampleFinder(Finder):
    """The finder that others build on in checks: prunes half per round, rewinds to the init."""

    rounds: int = 2

    def __post_init__(self) -> None:
        check_count("ExampleFinder.rounds", self.rounds)

    def find(self, lab: Lab) -> Iterator[Ticket]:
        ticket = Ticket.of(lab, lab.dense(), lab.init())
        yield ticket
        for _ in range(self.rounds):
            trained = lab.train(ticket.state, ticket.mask).state
            mask = Pruning(0.5)(lab, ticket.mask, Magnitude()(lab, trained, ticket.mask))
            ticket = ticket.child(lab, mask)
            yield ticket


@dataclasses.dataclass(frozen=True)
class DenseOnly(Finder):
    """The finder that prunes nothing."""

    def find(self, lab: Lab) -> Iterator[Ticket]:
        yield Ticket.of(lab, lab.dense(), lab.init())
