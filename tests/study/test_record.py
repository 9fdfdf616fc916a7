"""Record: what is kept of a study comes back whole, and what is missing is named."""

import dataclasses
from pathlib import Path

import pytest
import studied
from ltx_plugins.imp import IMP

from ltx import Store, Task, UsageError
from ltx.core.objectives.regression import Regression
from ltx.evaluation.instability import Stability
from ltx.study import loop
from ltx.study.definition import Study
from ltx.study.record import StudyRecord
from ltx.study.results import CellFailure, MissingResult, TrialResult
from ltx.testing import FakeLab

MADE = Study({"imp": IMP(levels=2)}, tasks=(studied.TASK,), seeds=(0, 4), margin=0.01)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "store")


def test_a_record_comes_back_whole(store: Store) -> None:
    record = studied.run(MADE, store)
    assert StudyRecord.read(store) == record
    assert StudyRecord.read(store, MADE.id[:4]) == record
    assert (record.margin, record.seeds, record.tasks) == (0.01, (0, 4), ("fake/fake",))
    assert list(record.gaps()) == []


def test_the_latest_study_is_read_where_none_is_named(store: Store) -> None:
    studied.run(MADE, store)
    later = studied.run(dataclasses.replace(MADE, seeds=1), store)
    assert StudyRecord.read(store).id == later.id


def test_a_study_is_known_by_its_id_or_refused_with_those_there_are(store: Store) -> None:
    with pytest.raises(UsageError, match="no study was run into it"):
        StudyRecord.read(store)
    record = studied.run(MADE, store)
    with pytest.raises(UsageError, match=f"'zz': no study begins so .* {record.id}"):
        StudyRecord.read(store, "zz")
    other = studied.run(dataclasses.replace(MADE, seeds=1), store)
    for id in (record.id, other.id):
        assert StudyRecord.read(store, id).id == id
    first = Path(store.path / "studies" / "same1.json")
    store.put_study(first.stem, record.document())
    store.put_study("same2", record.document())
    with pytest.raises(UsageError, match="2 studies begin"):
        StudyRecord.read(store, "same")


def test_lost_trials_are_gaps(store: Store) -> None:
    record = studied.run(MADE, store)
    for row in record.rows[:2]:
        path = store.path / "trials" / f"{row.trial.id}.json"
        if row.trial.level:
            path.write_bytes(path.read_bytes()[:-3])
        else:
            path.unlink()
    back = StudyRecord.read(store)
    assert back.rows == record.rows[2:]
    found = [(gap.seed, gap.level, "missing or damaged" in gap.reason) for gap in back.gaps()]
    assert found == [(0, 0, True), (0, 1, True)]


def test_every_cell_without_a_trial_is_a_gap_with_its_reason(store: Store) -> None:
    lab = FakeLab
    rows = [
        r
        for r in loop.run(MADE, lambda t, s, sealed: lab(t, s, sealed=sealed), store)
        if isinstance(r, TrialResult)
    ]
    begun = StudyRecord.of(MADE, None, command="", config="", plugins=[])
    assert list(begun.gaps()) == [
        MissingResult("fake/fake", "imp", False, seed, None, "not run yet") for seed in (0, 4)
    ]
    failed = (CellFailure("fake/fake", "imp", 4, "it broke"),)
    half = dataclasses.replace(begun, rows=tuple(rows[:4]), failures=failed)
    assert [(gap.seed, gap.level, gap.reason) for gap in half.gaps()] == [
        (4, 1, "stopped early: it broke"),
        (4, 2, "stopped early: it broke"),
    ]
    fewer = dataclasses.replace(begun, rows=tuple(rows[:5]), finished=True)
    assert [gap.reason for gap in fewer.gaps()] == ["not found with this seed"]


def test_records_of_the_first_days_are_read_too(store: Store) -> None:
    record = studied.run(MADE, store)
    document = record.document()
    for key in ("tasks", "finders", "seeds", "margin", "finished"):
        document.pop(key)
    store.put_study(record.id, document)
    back = StudyRecord.read(store)
    assert dataclasses.replace(back, margin=0.01) == record


def test_the_failure_of_a_stability_has_its_level_and_point_in_old_records_too(
    store: Store,
) -> None:
    settings = Stability(at=("ticket", "20it"))
    made = dataclasses.replace(MADE, stability=settings)
    error = "stability of level 1 at 20it: the loss is not finite"
    failure = CellFailure("fake/fake", "imp", 4, error, False, 1, "20it")
    ended = CellFailure("fake/fake", "imp", 0, "it broke")
    record = dataclasses.replace(
        StudyRecord.of(made, None, command="", config="", plugins=[]),
        rows=studied.run(MADE, store).rows,
        failures=(ended, failure),
        finished=True,
    )
    document = record.document()
    fields = ["task", "finder", "seed", "error", "ended"]
    assert [list(entry) for entry in document["failures"]] == [fields, [*fields, "level", "at"]]
    for old in (False, True):
        for entry in document["failures"]:
            if old:
                entry.pop("level", None), entry.pop("at", None)
        store.put_study(record.id, document)
        back = StudyRecord.read(store, record.id)
        assert back == record
        reasons = {(gap.seed, gap.level, gap.at): gap.reason for gap in back.uncompared()}
        assert reasons.pop((4, 1, "20it")) == error
        assert set(reasons.values()) == {"not measured"}


def test_the_margin_of_accuracies_is_stored_and_that_of_other_metrics_is_their_own() -> None:
    def margin(*tasks: Task, **more: float) -> object:
        study = Study({"imp": IMP()}, tasks=tasks, **more)  # type: ignore[arg-type]
        record = StudyRecord.of(study, None, command="", config="", plugins=[])
        return record.document()["margin"]

    regression = Task(data="waves", objective=Regression())
    assert margin(Task()) == 0.003
    assert margin(regression) is None
    assert margin(Task(), regression) is None
    assert margin(regression, margin=0.5) == 0.5
