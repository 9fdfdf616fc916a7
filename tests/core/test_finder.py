"""Finder: what is one, what is none, and what a finder of finders is told."""

import dataclasses
from collections.abc import Iterator

import pytest

from ltx import Finder, Lab, Ticket, UsageError, require_finder
from ltx.core.finder import is_finder
from ltx.testing import FakeLab


@dataclasses.dataclass(frozen=True)
class Dense(Finder):
    def find(self, lab: Lab) -> Iterator[Ticket]:
        yield Ticket.of(lab, lab.dense(), lab.init())


@dataclasses.dataclass
class Thawed(Finder):
    def find(self, lab: Lab) -> Iterator[Ticket]:
        yield from ()


class Plain(Finder):
    def find(self, lab: Lab) -> Iterator[Ticket]:
        yield from ()


def test_a_finder_is_a_frozen_dataclass_of_the_class() -> None:
    assert is_finder(Dense)
    for other in (Thawed, Plain, Finder, Dense(), int, None, dataclasses.make_dataclass("X", [])):
        assert not is_finder(other)


def test_a_plain_class_below_a_finder_is_no_dataclass_of_its_own() -> None:
    class Below(Dense):
        extra: int = 3

    assert not is_finder(Below)


def test_the_contract_has_one_method() -> None:
    assert Finder.__abstractmethods__ == {"find"}
    Dense().check(FakeLab())
    assert Dense.control is False


def test_an_inner_finder_must_be_one() -> None:
    assert require_finder(Dense(), "outer") == Dense()
    for wrong in (None, Dense, "dense"):
        with pytest.raises(UsageError, match=r"outer\.of: expected a finder.*@imp\(\)"):
            require_finder(wrong, "outer")  # type: ignore[arg-type]
