"""Expected counts: what the names of a finder's fields promise."""

import dataclasses
from collections.abc import Iterator

import pytest

from ltx import Finder, Lab, Pruning, Ticket
from ltx.testing import FakeLab
from ltx.testing.example_finders import ExampleFinder
from ltx.testing.expected_density import ExpectedCount, expected_counts

SIZE = 240


@dataclasses.dataclass(frozen=True)
class Silent(Finder):
    def find(self, lab: Lab) -> Iterator[Ticket]:
        yield from ()


@dataclasses.dataclass(frozen=True)
class ToDensity(Silent):
    density: float = 0.1


@dataclasses.dataclass(frozen=True)
class ToDensities(Silent):
    densities: tuple[float, ...] = (0.1, 0.5)
    scope: str = "layer"


@dataclasses.dataclass(frozen=True)
class ByLevels(Silent):
    levels: int = 2
    pruning: Pruning = Pruning(0.2, scope="global")


def counts(finder: Finder) -> list[int]:
    lab = FakeLab()
    return [
        expected.kept for expected in expected_counts(finder, lab, list(ExampleFinder().find(lab)))
    ]


def test_a_density_is_that_of_the_last_ticket() -> None:
    assert counts(ToDensity()) == [24]


def test_densities_are_those_of_the_last_tickets_in_falling_order() -> None:
    assert counts(ToDensities()) == [120, 24]


def test_levels_of_a_pruning_come_one_from_the_other() -> None:
    lab = FakeLab()
    tickets = list(ExampleFinder().find(lab))
    wanted = [t.mask.kept - round(0.2 * t.mask.kept) for t in tickets[:-1]]
    assert counts(ByLevels()) == wanted


def test_a_finder_that_names_nothing_promises_nothing() -> None:
    assert counts(Silent()) == []


@pytest.mark.parametrize(("kept", "met"), [(21, False), (23, True), (24, True), (26, False)])
def test_one_weight_may_be_missed(kept: int, met: bool) -> None:
    lab = FakeLab()
    ticket = Ticket.of(
        lab, Pruning.to(kept / SIZE)(lab, lab.dense(), lab.init().weights), lab.init()
    )
    assert ExpectedCount(ticket, 24).is_met == met
