"""Summary: what a terminal shows of a study, in one place and without losing anything."""

import dataclasses
from collections.abc import Callable
from pathlib import Path

import pytest
import rich.console
import studied
from figure_inputs import CELLS
from ltx_plugins.imp import IMP
from ltx_plugins.random_reinit import RandomReinit
from ltx_plugins.supermask import Supermask
from verdict_rows import CONTROL, CONTROLS, DENSE, shifted
from verdict_rows import rows as planted

from ltx import Store, Task
from ltx.analysis import verdict
from ltx.reporting import console, study_table
from ltx.store.memo import MemoLab
from ltx.study import loop
from ltx.study.definition import Study
from ltx.study.record import StudyRecord
from ltx.study.results import CellFailure, TrialResult
from ltx.testing import RECIPE, FakeLab

TASK = Task(data="fake", model="fake", recipe=RECIPE)


Shown = Callable[[list[TrialResult], list[CellFailure]], str]


@pytest.fixture
def shown(capsys: pytest.CaptureFixture[str]) -> Shown:
    """What the command line's own console prints."""

    def show(rows: list[TrialResult], failures: list[CellFailure]) -> str:
        study_table.show(console.console(), rows, failures, controls=CONTROLS)
        return capsys.readouterr().out

    return show


@pytest.fixture
def rows(tmp_path: Path) -> list[TrialResult]:
    imp = IMP(levels=2)
    made = Study({"imp": imp, "reinit": RandomReinit(of=imp)}, tasks=(TASK,), seeds=2)
    store = Store(tmp_path)
    results = loop.run(
        made, lambda t, s, sealed: MemoLab(FakeLab(t, s, sealed=sealed), store), store
    )
    return [row for row in results if isinstance(row, TrialResult)]


def test_every_level_is_a_line_with_its_control_beside(
    shown: Shown, rows: list[TrialResult]
) -> None:
    text = shown(rows, [])
    assert "imp on fake/fake" in text
    assert "(control)" in text
    for density in {f"{row.trial.density:.2%}" for row in rows}:
        assert density in text
    assert "reinit on fake/fake" not in text
    assert "Paired over 2 seeds" in text


def test_what_was_not_trained_needs_no_step(shown: Shown, tmp_path: Path) -> None:
    imp = IMP(levels=1)
    made = Study({"supermask": Supermask(of=imp)}, tasks=(TASK,), seeds=2)
    results = loop.run(made, lambda t, s, sealed: FakeLab(t, s, sealed=sealed), Store(tmp_path))
    rows = [row for row in results if isinstance(row, TrialResult)]
    level = verdict.levels(rows)[1]
    assert level.early_stop.mean == 0
    assert level.dense_early_stop > 0
    line = next(line for line in shown(rows, []).splitlines() if line.split()[:1] == ["1"])
    assert "0 ± 0" in line


def test_a_failure_is_named_whole(shown: Shown, rows: list[TrialResult]) -> None:
    reason = "the loss is not finite [at step 30] [/data/x] " + "and more " * 30
    text = shown(rows, [CellFailure("fake/fake", "imp", 1, reason)])
    assert f"imp on fake/fake, seed 1 stopped early: {reason}".strip() in text


def test_nothing_but_failures_is_shown_too(shown: Shown) -> None:
    assert "seed 0 stopped early: no" in shown([], [CellFailure("t", "imp", 0, "no")])


PLANTED = [
    *planted("imp", DENSE, level=0, stop=1250),
    *planted("imp", DENSE, stop=1200),
    *planted("imp", shifted(DENSE, -0.05), level=2, stop=1300),
    *planted("imp", dict(enumerate(CONTROL[:3])), level=3, stop=1300),
    *planted("reinit", CONTROL, control=True, stop=1250),
]


def test_the_table_fits_a_terminal_and_says_what_is_missing(
    capsys: pytest.CaptureFixture[str],
) -> None:
    def shown(rows: list[TrialResult], width: int) -> list[str]:
        narrow = rich.console.Console(width=width, highlight=False, markup=False)
        study_table.show(narrow, rows, [], controls=CONTROLS)
        return capsys.readouterr().out.splitlines()

    whole = shown(PLANTED[:18] + PLANTED[-6:], 100)
    assert whole[4].split()[-3:] == ["verdict", "p", "seeds"]
    assert [line.split()[0] for line in whole[5:8]] == ["0", "1", "2"]
    assert whole[5].split()[-1] == "dense"
    assert whole[6].split()[-2:] == ["winning", "0.032"]  # 2 / 2^6, rounded up
    assert whole[7].split()[-3:-1] == ["not", "winning"]
    lines = shown(PLANTED, 112)
    assert lines[4].split()[-1] == "missing"
    assert [line.split()[0] for line in lines[5:9]] == ["0", "1", "2", "3"]
    assert lines[8].rstrip().endswith("3 of 6")
    assert "Trials are missing at 1 of 3 levels." in lines[-1]


def test_each_reason_is_a_line(shown: Shown) -> None:
    lines = shown(PLANTED, []).splitlines()
    assert "level 1: winning: dense's accuracy, in dense's time, ahead of reinit" in lines
    assert "levels 2, 3: not winning: loses more than 0.3%" in lines


def test_one_seed_needs_an_unknown_number_more(shown: Shown) -> None:
    text = shown([row for row in PLANTED if row.seed == 0], [])
    assert text.count("?") == 3
    assert "levels 1, 2, 3: inconclusive: one seed in common with dense" in text


def test_stability_is_a_line_for_each_level_and_place(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    record = StudyRecord.read(studied.stable(tmp_path / "store"))
    study_table.show_stability(console.console(), record.compared, list(record.finders))
    text = capsys.readouterr().out
    assert "stability on fake/fake, test error" in text
    rows = [line.split() for line in text.splitlines() if line.startswith(("imp", "reinit"))]
    assert [row[:3] for row in rows] == [
        [finder, at, level]
        for finder in ("imp", "reinit")
        for at in ("ticket", "20it")
        for level in ("0", "1")
    ]
    assert [row[-2:] for row in rows if row[2] == "0"] == [["-", "-"]] * 4
    assert "nan" not in text
    study_table.show_stability(console.console(), [], ["imp"])
    assert capsys.readouterr().out == ""


def test_copies_that_could_not_be_compared_are_told_and_the_cell_did_not_stop(
    shown: Shown, rows: list[TrialResult]
) -> None:
    text = shown(
        rows, [CellFailure("t", "imp", 0, "stability of level 1 at ticket: no", ended=False)]
    )
    assert "imp on t, seed 0: stability of level 1 at ticket: no" in text


def test_what_was_carried_is_one_table(capsys: pytest.CaptureFixture[str]) -> None:
    worse = dataclasses.replace(CELLS[4], verdict="worse")
    study_table.show_transfers(console.console(), [*CELLS[:4], worse, CELLS[5]])
    title, header, *lines, sentence = filter(None, capsys.readouterr().out.splitlines())
    assert title == "Carried to the target, test accuracy less native, in points"
    assert header.split() == ["target", "source", "level", "dense", "native", "mask", "sign"]
    assert [line.split() for line in lines] == [
        ["a", "a", "1", "98.00%", "95.00%", "+0.00", "-"],
        ["a", "a", "2", "98.00%", "95.00%", "+10.00", "-"],
        ["a", "b", "1", "98.00%", "95.00%", "-3.00", "worse", "-1.00"],
        ["c", "b", "1", "98.00%", "95.00%", "+5.00", "-"],
        ["a", "b", "2", "98.00%", "95.00%", "-", "-20.00"],
    ]
    assert sentence.startswith("Carried tickets are worse in 1 of 6 cells; inconclusive in 5 of 6")


def test_a_study_that_carries_nothing_shows_no_table(capsys: pytest.CaptureFixture[str]) -> None:
    study_table.show_transfers(console.console(), [])
    assert capsys.readouterr().out == ""


def test_one_failure_is_shown_once(shown: Shown) -> None:
    cells = [("t", "imp"), ("t", "reinit"), ("u", "imp")]
    failures = [CellFailure(*cell, seed, "KeyError") for seed in (0, 1, 4) for cell in cells]
    text = shown([], [*failures, CellFailure("t", "imp", 5, "another")])
    where = "imp on t, seeds 0, 1, 4 and reinit on t, seeds 0, 1, 4 and imp on u, seeds 0, 1, 4"
    assert f"{where} stopped early: KeyError" in text
    assert "imp on t, seed 5 stopped early: another" in text
    assert text.count("stopped early") == 2
