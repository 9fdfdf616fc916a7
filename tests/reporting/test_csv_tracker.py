"""CsvTracker: every trial of every study is one line, however often the study was stopped."""

import csv
import dataclasses
from pathlib import Path

import pytest
from ltx_plugins.imp import IMP

from ltx import Store, Study, Task, UsageError
from ltx.reporting.csv_tracker import COLUMNS, CsvTracker
from ltx.study import loop
from ltx.study.results import TrialResult
from ltx.testing import RECIPE, FakeLab

TASK = Task(data="fake", model="fake", recipe=RECIPE)
STUDY = Study({"imp": IMP(levels=1), "a, b": IMP(levels=2)}, tasks=(TASK,), seeds=2)


def run(made: Study, path: Path, store: Store, first: int | None = None) -> list[TrialResult]:
    tracker = CsvTracker(str(path), made)
    results = loop.run(made, lambda t, s, sealed: FakeLab(t, s, sealed=sealed), store, tracker)
    return list(results) if first is None else [next(results) for _ in range(first)]  # type: ignore[arg-type]


def read(path: Path) -> list[dict[str, str]]:
    with open(path, newline="") as file:
        return list(csv.DictReader(file))


def test_a_line_has_the_ids_and_the_numbers_of_its_trial(tmp_path: Path) -> None:
    path = tmp_path / "new" / "trials.csv"
    rows = run(STUDY, path, Store(tmp_path / "store"))
    lines = read(path)
    assert len(lines) == len(rows) == 10
    for line, row in zip(lines, rows, strict=True):
        trial = row.trial
        assert tuple(line) == COLUMNS
        assert line["study"] == STUDY.id
        assert (line["task"], line["finder"], int(line["seed"])) == (row.task, row.finder, row.seed)
        assert (int(line["level"]), float(line["density"])) == (trial.level, trial.density)
        assert float(line["test_accuracy"]) == trial.test.value
        assert line["early_stop"] == ("" if trial.early_stop is None else str(trial.early_stop))
        assert (line["trial"], line["ticket"]) == (trial.id, trial.ticket)


def test_a_study_run_again_repeats_no_line_and_others_add_theirs(tmp_path: Path) -> None:
    path, store = tmp_path / "trials.csv", Store(tmp_path / "store")
    run(STUDY, path, store, first=3)
    before = path.read_text()
    run(STUDY, path, store)
    whole = path.read_text()
    assert whole.startswith(before)
    run(STUDY, path, store)
    assert path.read_text() == whole
    other = dataclasses.replace(STUDY, seeds=1)
    run(other, path, store)
    assert [line["study"] for line in read(path)] == [STUDY.id] * 10 + [other.id] * 5


def test_a_trial_that_another_supersedes_is_said_to_be(tmp_path: Path) -> None:
    path, store = tmp_path / "trials.csv", Store(tmp_path / "store")
    [first, second, *_] = run(dataclasses.replace(STUDY, seeds=1), tmp_path / "other.csv", store)
    other = dataclasses.replace(first, trial=dataclasses.replace(first.trial, id="f" * 16))

    def measure(*rows: TrialResult) -> None:
        tracker = CsvTracker(path, STUDY)
        for row in rows:
            tracker.measured(row)

    measure(first, second)
    measure(other, second)
    old, new = first.trial.id, "f" * 16
    shown = [(line["trial"], line["test_accuracy"]) for line in read(path)]
    accuracy, rest = str(first.trial.test.value), str(second.trial.test.value)
    expected = [(old, accuracy), (second.trial.id, rest), (old, "superseded"), (new, accuracy)]
    assert shown == expected
    measure(other, second)
    assert len(read(path)) == len(expected)
    measure(first, second)  # the code is as before
    shown = [(line["trial"], line["test_accuracy"]) for line in read(path)]
    assert shown == [*expected, (new, "superseded"), (old, accuracy)]
    measure(first, second)
    assert len(read(path)) == len(expected) + 2


@pytest.mark.parametrize("cut", [1, 30])
def test_a_line_cut_short_is_written_again(tmp_path: Path, cut: int) -> None:
    path, store = tmp_path / "trials.csv", Store(tmp_path / "store")
    run(STUDY, path, store)
    whole = path.read_text()
    path.write_text(whole[:-cut])
    run(STUDY, path, store)
    assert path.read_text() == whole


def test_two_processes_on_one_study_write_one_line_a_trial(tmp_path: Path) -> None:
    path, store = tmp_path / "trials.csv", Store(tmp_path / "store")
    trackers = [CsvTracker(path, STUDY), CsvTracker(path, STUDY)]
    for row in run(STUDY, tmp_path / "alone.csv", store):
        for tracker in trackers:
            tracker.measured(row)
    assert path.read_text() == (tmp_path / "alone.csv").read_text()


def test_a_file_that_cannot_be_is_refused_at_once(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for path in (tmp_path / "file" / "trials.csv", tmp_path):
        with pytest.raises(UsageError, match=r"--tracker=csv: cannot write to .*; choose another"):
            CsvTracker(path, STUDY)
