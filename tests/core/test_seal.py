"""The seal: a finder can read neither the test split nor results that were measured on it."""

import dataclasses
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import ltx
from ltx import Finder, Lab, Store, Task, Ticket, Trial, UsageError
from ltx.core import seal
from ltx.core.finder import search
from ltx.data.dataset import Dataset
from ltx.store.memo import MemoLab
from ltx.study import loop
from ltx.study.definition import Study
from ltx.study.results import CellFailure
from ltx.testing import FakeLab, FinderTestCase
from ltx.testing.conformance import run_check

OUTSIDE = FakeLab(sealed=False)
LOADED: list[Dataset] = []  # before any search


def _unseals(lab: Lab) -> None:
    lab.sealed = False


def _unseals_inner(lab: Lab) -> None:
    getattr(lab, "inner", lab).sealed = False


def _opens_another(lab: Lab) -> None:
    FakeLab(lab.task, lab.seed, sealed=False)


def _had_another(lab: Lab) -> None:
    OUTSIDE.evaluate(lab.init(), lab.dense(), "test")


def _evaluates(lab: Lab) -> None:
    lab.evaluate(lab.init(), lab.dense(), "test")


def _evaluates_by_backend(lab: Lab) -> None:
    lab.run_evaluation(lab.init(), lab.dense(), "test")


def _loads(lab: Lab) -> None:
    del lab
    assert ltx.load_data("digits").test.images is None


def _had_loaded(lab: Lab) -> None:
    del lab
    assert LOADED[0].test.images is None


def _tries(lab: Lab) -> None:
    Trial.run(lab, Ticket.of(lab, lab.dense(), lab.init()))


def _reads_trials(lab: Lab) -> None:
    assert isinstance(lab, MemoLab)
    assert lab.store.trials() == []


def _reads_studies(lab: Lab) -> None:
    assert isinstance(lab, MemoLab)
    assert lab.store.studies() == []


WAYS: dict[str, Callable[[Lab], None]] = {
    name: value
    for name, value in list(globals().items())
    if name.startswith("_") and not name.startswith("__") and callable(value)
}


@dataclasses.dataclass(frozen=True)
class Peeks(Finder):
    """Yields the dense network, then reaches for what is closed."""

    way: str = "_evaluates"

    def find(self, lab: Lab) -> Iterator[Ticket]:
        yield Ticket.of(lab, lab.dense(), lab.init())
        WAYS[self.way](lab)


@dataclasses.dataclass(frozen=True)
class PeeksInCheck(Finder):
    """Reads the test split before anything trains."""

    def check(self, lab: Lab) -> None:
        del lab
        assert len(LOADED[0].test)

    def find(self, lab: Lab) -> Iterator[Ticket]:
        yield Ticket.of(lab, lab.dense(), lab.init())


@pytest.fixture(autouse=True)
def _loaded() -> None:
    if not LOADED:
        LOADED.append(ltx.load_data("digits"))


def study(finder: Finder) -> Study:
    return Study({"peeks": finder}, FakeLab().task, seeds=1)


@pytest.mark.parametrize("way", WAYS)
def test_a_study_refuses_every_plain_way_and_measures_what_was_found_before(
    way: str, tmp_path: Path
) -> None:
    store = Store(tmp_path)

    def open_lab(task: Task, seed: int, sealed: bool) -> Lab:
        return MemoLab(FakeLab(task, seed, sealed=sealed), store)

    dense, failure = loop.run(study(Peeks(way)), open_lab, store)
    assert not isinstance(dense, CellFailure)
    assert isinstance(failure, CellFailure)
    assert "UsageError" not in failure.error
    assert any(word in failure.error for word in ("test data", "test split", "stays True"))
    assert len(store.trials()) == 1  # the seal ended with the search


def test_check_is_sealed_too() -> None:
    with pytest.raises(UsageError, match=r"test split of 'digits'.*validation"):
        loop.check(study(PeeksInCheck()), lambda t, s, sealed: FakeLab(t, s))
    assert len(LOADED[0].test) == 360


def test_ltx_check_names_the_way() -> None:
    class TestPeeks(FinderTestCase):
        FINDER = Peeks("_had_loaded")

    TestPeeks.setUpClass()
    result = run_check(TestPeeks._harness, "test_split")
    assert result.outcome == "failed"
    assert "test split of 'digits'" in result.text


def test_the_seal_is_open_between_tickets_and_after_an_abandoned_search() -> None:
    tickets = search(Peeks(), FakeLab())
    next(tickets)
    seal.require_open("a trial")
    tickets.close()  # type: ignore[attr-defined]
    seal.require_open("a trial")


def test_a_labs_seal_is_set_once() -> None:
    for sealed in (True, False):
        lab = FakeLab(sealed=sealed)
        lab.sealed = sealed
        with pytest.raises(UsageError, match=f"sealed: it stays {sealed}"):
            lab.sealed = not sealed


def test_a_sealed_fake_lab_has_no_test_data() -> None:
    assert FakeLab()._data.keys() == {"train", "validation"}
    lab, other = FakeLab(), FakeLab(sealed=False)
    for split in ("train", "validation"):
        assert (lab._data[split][0] == other._data[split][0]).all()
