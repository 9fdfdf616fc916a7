"""Summary: what a terminal shows of a study, in one place and without losing anything."""

from collections.abc import Callable
from pathlib import Path

import pytest
from ltx_plugins.imp import IMP
from ltx_plugins.random_reinit import RandomReinit

from ltx import Store, Task, study, summary, table
from ltx.memo import MemoLab
from ltx.study import Failure, Row, Study
from ltx.testing import RECIPE, FakeLab

TASK = Task(data="fake", model="fake", recipe=RECIPE)


Shown = Callable[[list[Row], list[Failure]], str]


@pytest.fixture
def shown(capsys: pytest.CaptureFixture[str]) -> Shown:
    """What the command line's own console prints."""

    def show(rows: list[Row], failures: list[Failure]) -> str:
        summary.show(table.console(), rows, failures)
        return capsys.readouterr().out

    return show


@pytest.fixture
def rows(tmp_path: Path) -> list[Row]:
    imp = IMP(levels=2)
    made = Study({"imp": imp, "reinit": RandomReinit(of=imp)}, tasks=(TASK,), seeds=2)
    store = Store(tmp_path)
    results = study.run(
        made, lambda t, s, sealed: MemoLab(FakeLab(t, s, sealed=sealed), store), store
    )
    return [row for row in results if isinstance(row, Row)]


def test_every_level_is_a_line_with_its_control_beside(shown: Shown, rows: list[Row]) -> None:
    text = shown(rows, [])
    assert "imp on fake/fake" in text
    assert "(control)" in text
    for density in {f"{row.trial.density:.2%}" for row in rows}:
        assert density in text
    assert "reinit on fake/fake" not in text
    assert "Paired over 2 seeds" in text


def test_a_failure_is_named_whole(shown: Shown, rows: list[Row]) -> None:
    reason = "the loss is not finite [at step 30] [/data/x] " + "and more " * 30
    text = shown(rows, [Failure("fake/fake", "imp", 1, reason)])
    assert f"imp on fake/fake, seed 1 stopped early: {reason}".strip() in text


def test_nothing_but_failures_is_shown_too(shown: Shown) -> None:
    assert "seed 0 stopped early: no" in shown([], [Failure("t", "imp", 0, "no")])
