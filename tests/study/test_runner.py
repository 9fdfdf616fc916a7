"""Runner: the record of a study says at any time what is there so far."""

import dataclasses
from pathlib import Path

import pytest
import studied
from ltx_plugins.imp import IMP

from ltx import Store
from ltx.study import runner
from ltx.study.definition import Study
from ltx.study.record import StudyRecord
from ltx.study.results import CellFailure, TrialResult

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
    rows: list[TrialResult] = []
    failures: list[CellFailure] = []
    with runner._recorded(blank, store, rows, [], failures, seconds=0) as save:
        assert StudyRecord.read(store) == blank
        rows.append(done.rows[0])
        save()
        assert StudyRecord.read(store) == dataclasses.replace(blank, rows=done.rows[:1])
        rows.extend(done.rows[1:])
        failures.append(CellFailure("fake/fake", "imp", 1, "it broke"))
    assert StudyRecord.read(store) == dataclasses.replace(done, failures=tuple(failures))


def test_it_is_not_written_again_for_every_trial(store: Store, done: StudyRecord) -> None:
    blank = dataclasses.replace(done, rows=(), finished=False)
    rows: list[TrialResult] = []
    with runner._recorded(blank, store, rows, [], [], seconds=1000) as save:
        rows.extend(done.rows)
        save()
        assert StudyRecord.read(store) == blank


def test_what_stops_a_study_does_not_take_its_record(store: Store, done: StudyRecord) -> None:
    blank = dataclasses.replace(done, rows=(), finished=False)

    def interrupted() -> None:
        rows: list[TrialResult] = []
        with runner._recorded(blank, store, rows, [], [], seconds=1000):
            rows.append(done.rows[0])
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert StudyRecord.read(store) == dataclasses.replace(blank, rows=done.rows[:1])
