"""Search warnings: what `ltx check` would say of a study's tickets is logged while it runs."""

import dataclasses
import logging
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import ClassVar

import pytest
from ltx_plugins.early_rewind import EarlyRewind
from ltx_plugins.imp import IMP
from ltx_plugins.oneshot import SNIP
from ltx_plugins.rigl import RigL
from ltx_plugins.supermask import Supermask

from ltx import Finder, Lab, Magnitude, Pruning, State, Store, Task, Ticket
from ltx.store.memo import MemoLab
from ltx.study import loop
from ltx.study.definition import Study
from ltx.testing import FakeLab


def pruned(lab: Lab, density: float, state: State) -> Ticket:
    mask = Pruning.to(density)(lab, lab.dense(), Magnitude()(lab, state, lab.dense()))
    return Ticket.of(lab, mask, state)


@dataclasses.dataclass(frozen=True)
class Rises(Finder):
    """Its second ticket is denser than its first."""

    def find(self, lab: Lab) -> Iterator[Ticket]:
        yield pruned(lab, 0.3, lab.init())
        yield dataclasses.replace(pruned(lab, 0.6, lab.init()), level=1)


@dataclasses.dataclass(frozen=True)
class Regrows(Finder):
    """Its second ticket has weights that its first had pruned."""

    def find(self, lab: Lab) -> Iterator[Ticket]:
        yield pruned(lab, 0.5, lab.init())
        other = pruned(lab, 0.3, lab.init("other"))
        yield dataclasses.replace(other, level=1, state=lab.init())


@dataclasses.dataclass(frozen=True)
class RegrowsByDesign(Regrows):
    waived: ClassVar[Mapping[str, str]] = {"nested": "regrows by design"}


@dataclasses.dataclass(frozen=True)
class Relabels(Finder):
    """Takes trained weights for those of step 0."""

    def find(self, lab: Lab) -> Iterator[Ticket]:
        trained = lab.train(lab.init(), lab.dense()).state
        yield pruned(lab, 0.5, State(dict(trained.weights)))


@dataclasses.dataclass(frozen=True)
class StartsAtTheEnd(Finder):
    """Rewinds nowhere."""

    def find(self, lab: Lab) -> Iterator[Ticket]:
        yield pruned(lab, 0.5, lab.train(lab.init(), lab.dense()).state)


@dataclasses.dataclass(frozen=True)
class StartsLate(Finder):
    """Rewinds to another step than it says."""

    rewind: str = "10it"

    def find(self, lab: Lab) -> Iterator[Ticket]:
        yield pruned(lab, 0.5, lab.train(lab.init(), lab.dense(), "30it").state)


def logged(
    finder: Finder, path: Path, caplog: pytest.LogCaptureFixture, lab: type[FakeLab] = FakeLab
) -> list[str]:
    store, caplog.records[:] = Store(path), []

    def open_lab(task: Task, seed: int, sealed: bool) -> Lab:
        return MemoLab(lab(task, seed, sealed=sealed), store)

    with caplog.at_level(logging.WARNING, "ltx"):
        list(loop.run(Study({"mine": finder}, FakeLab().task, seeds=3), open_lab, store))
    return caplog.messages


@pytest.mark.parametrize(
    ("finder", "text"),
    [
        (Rises(), "level 1: it keeps 144 weights, the ticket before 72: expected fewer"),
        (Regrows(), "weights that the ticket before had pruned"),
        (Relabels(), "level 0: its state says step 0, but has the weights of step 60"),
        (StartsAtTheEnd(), "level 0: it starts at step 60 of 60: nothing is left to train"),
        (StartsLate(), "level 0: it starts at step 30, but its rewind is step 10"),
    ],
)
def test_each_fault_is_logged_once_for_all_seeds(
    finder: Finder, text: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    told = [line for line in logged(finder, tmp_path, caplog) if text in line]
    assert len(told) == 1
    assert told[0].startswith("mine, level ")
    # From the store as well as when it trains.
    assert [line for line in logged(finder, tmp_path, caplog) if text in line] == told


@pytest.mark.parametrize(
    "finder",
    [
        IMP(levels=3),
        EarlyRewind(levels=2, rewind="5it"),
        EarlyRewind(levels=2, rewind="5it", mode="learning_rate"),
        EarlyRewind(levels=2, rewind="5it", mode="fine_tune"),
        SNIP(0.3),
        RigL(0.3),
        Supermask(),
        RegrowsByDesign(),
    ],
)
def test_what_is_meant_so_is_not_logged(
    finder: Finder, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    assert not [line for line in logged(finder, tmp_path, caplog) if "ltx check" in line]


class OneInit(FakeLab):
    """Draws the same initial weights for every seed, as a seeded initializer does."""

    def init(self, stream: str = "init") -> State:
        return FakeLab(self.task, 0).init(stream)


def test_seeds_of_equal_initial_weights_are_named(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    told = [line for line in logged(SNIP(0.3), tmp_path, caplog, OneInit) if "seeds" in line]
    assert len(told) == 1
    assert "seeds 0 and 1 have the same initial weights" in told[0]
