"""Runner: the record of a study says at any time what is there so far."""

import dataclasses
from pathlib import Path

import pytest
import studied
from ltx_plugins.imp import IMP

from ltx import Lab, Run, Store, Task, Ticket
from ltx.store.memo import Training
from ltx.study import runner
from ltx.study.definition import Cell, Study
from ltx.study.listener import StudyListener
from ltx.study.record import StudyRecord
from ltx.study.results import CellFailure, TrialResult
from ltx.study.runner import RecordKeeper
from ltx.testing import FakeLab

MADE = Study({"imp": IMP(levels=1)}, tasks=(studied.TASK,), seeds=2)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "store")


@pytest.fixture
def done(store: Store) -> StudyRecord:
    """The record of a finished study, whose trials are in the store."""
    return studied.run(MADE, store)


def test_the_record_is_kept_from_before_the_beginning_to_the_end(
    store: Store, done: StudyRecord
) -> None:
    blank = dataclasses.replace(done, rows=(), finished=False)
    keeper = RecordKeeper(blank, store, seconds=0)
    keeper.started(MADE)
    assert StudyRecord.read(store) == blank
    keeper.measured(done.rows[0])
    assert StudyRecord.read(store) == dataclasses.replace(blank, rows=done.rows[:1])
    for row in done.rows[1:]:
        keeper.measured(row)
    failure = CellFailure("fake/fake", "imp", 1, "it broke")
    keeper.failed(failure)
    keeper.ended(complete=True)
    assert StudyRecord.read(store) == dataclasses.replace(done, failures=(failure,))
    assert keeper.record == StudyRecord.read(store)


def test_it_is_not_written_again_for_every_trial(store: Store, done: StudyRecord) -> None:
    blank = dataclasses.replace(done, rows=(), finished=False)
    keeper = RecordKeeper(blank, store, seconds=1000)
    keeper.started(MADE)
    for row in done.rows:
        keeper.measured(row)
    assert StudyRecord.read(store) == blank


class Interrupts(StudyListener):
    """Ctrl-C after the first trial."""

    complete: bool | None = None

    def measured(self, result: TrialResult) -> None:
        raise KeyboardInterrupt

    def ended(self, complete: bool) -> None:
        self.complete = complete


def open_lab(task: Task, seed: int, sealed: bool) -> Lab:
    return FakeLab(task, seed, sealed=sealed)


def test_what_stops_a_study_does_not_take_its_record(store: Store, done: StudyRecord) -> None:
    listener = Interrupts()
    with pytest.raises(KeyboardInterrupt):
        runner.run(MADE, open_lab, store, [listener], checkpoint_seconds=1000)
    record = StudyRecord.read(store)
    assert (record.rows, record.finished) == (done.rows[:1], False)
    assert listener.complete is False


class Counts(StudyListener):
    """Counts the calls, and keeps the last step of each training."""

    def __init__(self) -> None:
        self.calls: list[str] = []
        self.steps: dict[Training, int] = {}

    def started(self, study: Study) -> None:
        self.calls.append("started")

    def cell_started(self, cell: Cell) -> None:
        self.calls.append("cell")

    def ticket_found(self, cell: Cell, ticket: Ticket) -> None:
        self.calls.append("ticket")

    def trained(self, training: Training, run: Run) -> None:
        self.steps[training] = run.state.step

    def measured(self, result: TrialResult) -> None:
        self.calls.append("measured")

    def ended(self, complete: bool) -> None:
        assert complete
        self.calls.append("ended")


def test_a_run_gives_the_record_that_it_stores_and_calls_its_listeners(
    store: Store, done: StudyRecord
) -> None:
    listeners = [Counts(), Counts()]
    fresh = Store(store.path.parent / "fresh")
    config = "Study.seeds = 2"
    record = runner.run(
        MADE, open_lab, fresh, listeners, command=studied.COMMAND, config=config, plugins=[]
    )
    assert record == StudyRecord.read(fresh)
    assert record == dataclasses.replace(done, engine=record.engine)
    ticket = ["ticket", "measured"]
    for listener in listeners:
        assert listener.calls == ["started", *["cell", *ticket, *ticket] * 2, "ended"]
        assert set(listener.steps.values()) == {60}
        assert len(listener.steps) == 4
