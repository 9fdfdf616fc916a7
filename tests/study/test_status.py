"""Status: what it says of a study is so, while it runs, after it was killed and when it is done."""

import dataclasses
import io
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import rich.console
from ltx_plugins.imp import IMP

from ltx import Finder, Lab, Store, Task, Ticket
from ltx.cli.main import main
from ltx.core.engine import Engine
from ltx.reporting import status_table
from ltx.store import liveness
from ltx.store.memo import MemoLab
from ltx.study import loop, status
from ltx.study.definition import Study
from ltx.study.record import StudyRecord
from ltx.study.results import CellFailure, TrialResult
from ltx.testing import RECIPE, FakeLab

TASK = Task(data="fake", model="fake", recipe=RECIPE)


@dataclasses.dataclass(frozen=True)
class Sick(Finder):
    """Fails after its first ticket."""

    def find(self, lab: Lab) -> Iterator[Ticket]:
        yield Ticket.of(lab, lab.dense(), lab.init())
        raise ValueError("of its own")


STUDY = Study({"imp": IMP(levels=1), "sick": Sick()}, tasks=(TASK,), seeds=2)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "store")


def record(store: Store, made: Study = STUDY) -> None:
    begun = StudyRecord.of(made, Engine(), command="ltx run it", config="", plugins=[])
    store.put_study(made.id, begun.document())


def begin(store: Store, made: Study = STUDY) -> Iterator[TrialResult | CellFailure]:
    record(store, made)

    def open_lab(task: Task, seed: int, sealed: bool) -> Lab:
        return MemoLab(FakeLab(task, seed, sealed=sealed), store)

    return loop.run(made, open_lab, store)


def states(store: Store) -> dict[tuple[str, int], str]:
    (only,) = status.statuses(store)
    return {(cell.finder, cell.seed): cell.state for cell in only.cells}


def text(store: Store) -> str:
    console = rich.console.Console(file=io.StringIO(), width=160, highlight=False, markup=False)
    for one in status.statuses(store):
        status_table.show(console, one)
    return console.file.getvalue()  # type: ignore[attr-defined]


def test_every_cell_is_in_the_state_that_it_is_in(store: Store) -> None:
    with liveness.announce(store):
        results = begin(store)
        assert list(states(store).values()) == ["to do"] * 4
        next(results)
        assert states(store) == {
            ("imp", 0): "under way",
            ("imp", 1): "to do",
            ("sick", 0): "to do",
            ("sick", 1): "to do",
        }
        next(results), next(results)
        assert states(store)["imp", 0] == "done"
        assert states(store)["sick", 0] == "under way"
        next(results), next(results)
        assert states(store)["sick", 0] == "failed"
        assert "sick on fake/fake, seed 0 stopped early: ValueError: of its own (" in text(store)
        assert "running, 1 of 4 cells done" in text(store)
    assert states(store)["imp", 1] == "interrupted"
    assert "not running, 1 of 4 cells done; the same command goes on" in text(store)


def test_a_study_run_again_goes_on_from_what_was_done(store: Store) -> None:
    results = begin(store)
    for _ in range(4):
        next(results)
    with liveness.announce(store):
        again = begin(store)
        next(again)
        assert states(store)["imp", 0] == "done"
        assert states(store)["sick", 0] == "failed"
        list(again)
    assert list(states(store).values()) == ["done", "done", "failed", "failed"]


def test_a_finished_study_says_so_and_one_whose_trial_is_gone_is_missing(store: Store) -> None:
    rows = list(begin(store, Study({"imp": IMP(levels=1)}, tasks=(TASK,), seeds=1)))
    assert "finished, 1 of 1 cells done" in text(store)
    assert isinstance(rows[0], TrialResult)
    (store.path / "trials" / f"{rows[0].trial.id}.json").unlink()
    assert list(states(store).values()) == ["missing"]
    assert "no longer in the store" in text(store)


def test_the_steps_left_are_those_of_the_finished_cells(store: Store) -> None:
    made = Study({"imp": IMP(levels=1)}, tasks=(TASK,), seeds=3)
    results = begin(store, made)
    next(results)
    assert next(status.statuses(store)).left is None
    next(results), next(results)
    now = next(status.statuses(store))
    assert [cell.trained for cell in now.cells] == [120, 60, 0]
    assert now.left == 60 + 120
    list(results)
    assert next(status.statuses(store)).left == 0


def test_trainings_of_another_study_are_not_counted(store: Store) -> None:
    results = begin(store, Study({"imp": IMP(levels=1)}, tasks=(TASK,), seeds=1))
    next(results)
    other = Study({"imp": IMP(levels=2)}, tasks=(TASK,), seeds=(7,))
    list(begin(store, other))
    by_id = {one.id: one for one in status.statuses(store)}
    assert len(by_id) == 2
    assert next(iter(by_id)) == other.id
    assert by_id[other.id].cells[0].trained == 180
    assert sum(cell.trained for one in by_id.values() for cell in one.cells) == 240


def test_a_log_that_was_lost_or_cut_stops_nothing(store: Store) -> None:
    list(begin(store))
    log = store.path / "log.jsonl"
    content = log.read_text()
    log.write_text(content[: len(content) // 2])
    assert "of 4 cells done" in text(store)
    log.unlink()
    assert list(states(store).values()) == ["to do"] * 4


def test_a_record_of_before_there_were_cells_is_shown_without(store: Store) -> None:
    store.put_study("old", {"id": "old", "command": "ltx run old"})
    assert "its cells are not recorded" in text(store)


CODE = """
import sys, time
sys.path.insert(0, sys.argv[2])
import test_status
from ltx import Store
from ltx.store import liveness, memo
from ltx.testing import FakeLab
memo.CHECKPOINT_SECONDS = 0.01
class Slow(FakeLab):
    def run_training(self, state, mask, stop, stream):
        time.sleep(0.02 * (stop - state.step))
        return super().run_training(state, mask, stop, stream)
test_status.FakeLab = Slow
store = Store(sys.argv[1])
with liveness.announce(store):
    list(test_status.begin(store))
"""


def test_it_works_while_a_process_runs_and_after_it_was_killed(
    store: Store, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["status", f"--store={store.path}"]
    command = [sys.executable, "-c", CODE, str(store.path), str(Path(__file__).parent)]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    for _ in range(500):
        assert process.poll() is None, process.communicate()[1]
        assert main(words) == 0
        if "training, step" in (said := capsys.readouterr().out):
            break
        time.sleep(0.02)
    assert f"running, 0 of 4 cells done (process {process.pid} on " in said
    assert "now: imp on fake/fake, seed 0" in said
    assert "of 60; " in said
    assert "steps a second" in said
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert main(words) == 0
    said = capsys.readouterr().out
    assert "not running, 0 of 4 cells done; the same command goes on where it stopped" in said
    assert "now:" not in said
    assert states(store)["imp", 0] == "interrupted"
