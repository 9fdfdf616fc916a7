"""Reports of studies whose metric is not accuracy: pages, tables, exports and the terminal."""

import csv
import dataclasses
import re
from pathlib import Path

import numpy as np
import pytest
import studied
from ltx_plugins.imp import IMP
from ltx_plugins.random_reinit import RandomReinit

from ltx import Metrics, Results, Store, UsageError
from ltx.core.objectives.metric import ACCURACY, Metric
from ltx.core.objectives.regression import Regression
from ltx.reporting import console, page, study_table
from ltx.reporting.csv_tracker import COLUMNS, METRIC_COLUMNS, CsvTracker
from ltx.reporting.report import Report
from ltx.reporting.tables.columns import measured
from ltx.reporting.tensorboard import _points
from ltx.study.definition import Study
from ltx.study.record import StudyRecord
from ltx.study.results import TrialResult

RMSE = Regression.metric


def worse(level: int, control: bool, seed: int) -> float:
    """An RMSE that rises with the level, by far for the control."""
    return 0.03 + 0.0001 * level + 0.005 * control + 1e-6 * ((7 * seed + 3 * level) % 5)


def regressed(row: TrialResult) -> TrialResult:
    trial = row.trial
    value = worse(trial.level, row.control, row.seed)
    history = dataclasses.replace(trial.history, value=(value,) * len(trial.history.steps))
    measured = Metrics(value**2, value, {"R2": 1 - value, "MAE": value / 2})
    changed = dataclasses.replace(
        trial, metric=RMSE, history=history, test=measured, validation=measured
    )
    return dataclasses.replace(row, trial=changed)


def stored(path: Path, tasks: tuple[str, ...]) -> Store:
    """A study of two tasks; trials of those with these labels are made regressions."""
    store, imp = Store(path), IMP(levels=2)
    finders = {"imp": imp, "reinit": RandomReinit(of=imp)}
    studied.run(Study(finders, tasks=(studied.TASK, studied.OTHER), seeds=4), store)
    record = StudyRecord.read(store)
    rows = tuple(regressed(row) if row.task in tasks else row for row in record.rows)
    record = dataclasses.replace(record, rows=rows, margin=None)
    for row in rows:
        store.put_trial(row.trial)
    store.put_study(record.id, record.document())
    return store


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> Store:
    return stored(tmp_path_factory.mktemp("both"), ("fake/fake", "other/fake"))


@pytest.fixture(scope="module")
def mixed(tmp_path_factory: pytest.TempPathFactory) -> Store:
    return stored(tmp_path_factory.mktemp("mixed"), ("other/fake",))


def test_a_stored_study_keeps_its_metrics_and_margins(both: Store) -> None:
    record = StudyRecord.read(both)
    assert record.margin is None
    assert {row.trial.metric for row in record.rows} == {RMSE}


def test_the_page_of_a_regression_speaks_of_its_metric(both: Store) -> None:
    report = Report(StudyRecord.read(both), both)
    text = page.render(report)
    assert "RMSE against cost" in text
    assert "Down and to the left is better." in text
    assert "reach dense's RMSE, plus 1% of it at most" in text
    assert '<th scope="col">test RMSE</th>' in text
    assert '<th scope="col">better than dense, RMSE</th>' in text
    assert "ccuracy" not in re.sub(r"<(style|script)>.*?</\1>", "", text, flags=re.S).replace(
        'id="accuracy"', ""
    ).replace('href="#accuracy"', "")
    for name in ("test R2", "R2", "MAE"):
        assert f'<th scope="col">{name.removeprefix("test ")}</th>' in text
    dense = np.mean([worse(0, False, seed) for seed in range(4)])
    assert f"{RMSE.number(float(dense))} ±" in text
    level = next(one for one in report.levels if one.level == 1)
    assert level.gain is not None
    assert level.gain.mean == pytest.approx(-0.0001, abs=3e-6)
    assert level.margin == pytest.approx(0.01 * dense)
    assert level.leads["reinit"].mean == pytest.approx(0.005, abs=3e-6)


def test_the_terminal_speaks_of_the_metric(both: Store, capsys: pytest.CaptureFixture) -> None:
    record = StudyRecord.read(both)
    study_table.show(
        console.console(), record.rows, (), margin=record.margin, controls=record.controls
    )
    text = capsys.readouterr().out
    assert "imp on fake/fake, test RMSE over 4 seeds" in text
    assert "RMSE  early stop" in text
    assert "margin 0.0003 RMSE" in text
    assert "accuracy" not in text
    assert "%" not in "".join(re.findall(r"0\.03\d* ± [^ ]+", text))


def test_exports_have_the_value_and_the_further_metrics(both: Store, tmp_path: Path) -> None:
    Report(StudyRecord.read(both), both).write_data(tmp_path)
    with (tmp_path / "trials.csv").open() as file:
        lines = list(csv.DictReader(file))
    assert "test_accuracy" not in lines[0]
    assert {line["metric"] for line in lines} == {"RMSE"}
    for line in lines:
        control = line["finder"] == "reinit"
        value = worse(int(line["level"]), control, int(line["seed"]))
        assert float(line["test_value"]) == value
        assert float(line["test_R2"]) == 1 - value
    with (tmp_path / "levels.csv").open() as file:
        assert {"metric", "value", "value_low", "gain"} <= next(csv.DictReader(file)).keys()
    frame = Results.read(both).levels
    assert list(frame["metric"].unique()) == ["RMSE"]


def test_tasks_of_several_metrics_are_never_averaged(mixed: Store, tmp_path: Path) -> None:
    report = Report(StudyRecord.read(mixed), mixed)
    text = page.render(report)
    assert "Metric against cost" in text
    assert '<th scope="col">test accuracy, %</th>' in text
    assert '<th scope="col">test RMSE</th>' in text
    assert "dense's accuracy, less 0.3 points at most, or dense's RMSE, plus 1% of it" in text
    assert "0.03000 RMSE</td>" in text
    names = {plot.name for plot in report.plots["accuracy"]}
    assert names == {"accuracy-fake-fake", "RMSE-other-fake"}
    report.write_data(tmp_path)
    with (tmp_path / "trials.csv").open() as file:
        lines = list(csv.DictReader(file))
    for line in lines:
        accuracy = line["task"] == "fake/fake"
        assert line["metric"] == ("accuracy" if accuracy else "RMSE")
        assert bool(line["test_accuracy"]) == accuracy != bool(line["test_value"])


def test_tables_of_accuracy_keep_their_columns() -> None:
    lines = [{"task": "t", "test_accuracy": 0.5}]
    assert measured(lines, {"task": 1, "test_accuracy": 2}) == (
        lines,
        {"task": 1, "test_accuracy": 2},
    )


def test_tensorboard_tags_are_named_after_the_metric(both: Store) -> None:
    row = StudyRecord.read(both).rows[0]
    tags = {point[1].value[0].tag for point in _points(row.trial)}
    assert {"validation/RMSE", "test/RMSE", "test/R2", "test/MAE", "test/loss"} <= tags
    assert not any("accuracy" in tag for tag in tags)


def test_a_csv_file_of_accuracies_takes_no_other_metric(both: Store, tmp_path: Path) -> None:
    regression = dataclasses.replace(studied.OTHER, objective=Regression())
    plain = Study({"imp": IMP()}, tasks=(studied.TASK,))
    several = Study({"imp": IMP()}, tasks=(studied.TASK, regression))
    CsvTracker(tmp_path / "old.csv", plain)
    with pytest.raises(UsageError, match="has a column for accuracy, and the study has RMSE"):
        CsvTracker(tmp_path / "old.csv", several)
    tracker = CsvTracker(tmp_path / "new.csv", several)
    rows = StudyRecord.read(both).rows
    tracker.measured(rows[0])
    CsvTracker(tmp_path / "new.csv", plain).measured(rows[0])
    lines = list(csv.reader((tmp_path / "new.csv").open()))
    assert tuple(lines[0]) == METRIC_COLUMNS != COLUMNS
    assert len(lines) == 3
    assert lines[1][6:8] == ["RMSE", str(rows[0].trial.test.value)]


def test_metrics_without_a_unit_have_one_in_words() -> None:
    assert Metric("bits a token").label == "bits a token"
    assert ACCURACY.label == "accuracy, %"
