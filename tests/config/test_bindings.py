"""Bindings: what they say, gin builds."""

import dataclasses
from collections.abc import Callable, Iterator

import pytest

from ltx import Finder, Lab, Magnitude, Pruning, Recipe, Snip, Task, Ticket
from ltx.config import gin_files, plugins
from ltx.config.bindings import bindings

IMP, RandomReinit, OneShot = map(plugins.load, ("imp", "random_reinit", "oneshot"))


@dataclasses.dataclass(frozen=True)
class Guest(Finder):
    prunings: tuple[Pruning, ...] = ()
    pick: Callable[..., int] = max

    def find(self, lab: Lab) -> Iterator[Ticket]:
        yield from ()


@pytest.mark.parametrize(
    "value",
    [
        IMP(levels=3, pruning=Pruning(0.3, keep=("hidden/*",)), score=Snip(batches=2)),
        OneShot(keep=("a",)),
        RandomReinit(of=RandomReinit(of=IMP(levels=2), weights="sign_kept"), mask="shuffled"),
        Guest(prunings=(Pruning(0.1), Pruning(0.2, scope="global"))),
        Task(data="fake", image=(4, 4, 1), recipe=Recipe(drops=("50%",), schedule="step")),
        Magnitude(),
    ],
)
def test_gin_builds_the_value_again(value: object) -> None:
    name, lines = bindings(value)
    assert gin_files.build(name, [], lines, allow_imports=True) == value


def test_what_gin_has_no_words_for_is_left_to_its_default() -> None:
    _, lines = bindings(Guest(pick=min))
    assert not [line for line in lines if "pick" in line]


def test_a_plugin_goes_by_its_entry_point_and_a_guest_by_its_module() -> None:
    assert bindings(IMP())[0] == "value_1/imp"
    assert bindings(Guest())[0] == f"value_1/{__name__}.Guest"
