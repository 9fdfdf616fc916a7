"""Studies of every kind of data and objective: kill, replay, verdict, page and exports."""

import dataclasses
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from array_tasks import OBJECTIVES, array_task, changed
from ltx_plugins.imp import IMP
from ltx_plugins.random_reinit import RandomReinit

import ltx
from ltx import Pruning, Results, Store, Study
from ltx.core.objectives.metric import ACCURACY
from ltx.reporting import page
from ltx.reporting.report import Report
from ltx.store.event_log import Trained

pytestmark = pytest.mark.slow


def study(kind: str, folder: Path) -> Study:
    imp = IMP(levels=1, pruning=Pruning(0.5))
    task = changed(array_task(kind, folder), length="30it")
    return Study({"imp": imp, "reinit": RandomReinit(of=imp)}, tasks=(task,), seeds=2)


KILLED = """
import os, signal, sys
from pathlib import Path
sys.path[:0] = [sys.argv[3]]
import ltx
from test_kinds_of_studies import study

class Killer(ltx.StudyListener):
    def measured(self, result):
        if result.trial.level == 1:
            os.kill(os.getpid(), signal.SIGKILL)

made = study(sys.argv[1], Path(sys.argv[2]))
ltx.run(made, store=sys.argv[4], trackers=[Killer()])
"""


def trained(store: Path) -> int:
    events = (event for event in Store(store).events() if isinstance(event, Trained))
    return sum(event.stop - event.start for event in events)


def kept(store: Path) -> dict[str, bytes]:
    """Everything that a study leaves but its log and seconds."""
    folders = ("tickets", "states", "trials")
    files = (path for name in folders for path in (store / name).rglob("*") if path.is_file())
    return {str(path.relative_to(store)): path.read_bytes() for path in files}


@pytest.fixture(scope="module", params=["numbers", "two_inputs", "multi_label", "next_token"])
def finished(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Study, Path, Results]:
    """A study of a kind that was killed after its first sparse trial and then run to its end."""
    folder = tmp_path_factory.mktemp(request.param)
    made, store = study(request.param, folder), folder / "killed"
    here = str(Path(__file__).parent)
    done = subprocess.run(
        [sys.executable, "-c", KILLED, request.param, str(folder), here, str(store)],
        env=os.environ,
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert done.returncode == -signal.SIGKILL, done.stderr
    return made, store, ltx.run(made, store=store)


def test_a_killed_study_ends_in_the_same_bytes_and_then_trains_nothing(
    finished: tuple[Study, Path, Results], tmp_path: Path
) -> None:
    made, store, _ = finished
    ltx.run(made, store=tmp_path / "whole")
    assert kept(store) == kept(tmp_path / "whole")
    steps = trained(store)
    assert steps == trained(tmp_path / "whole") == 2 * 30 * 4  # two networks, dense and pruned
    assert ltx.run(made, store=store).finished
    assert trained(store) == steps


def test_verdict_page_and_exports_speak_of_the_metric(
    finished: tuple[Study, Path, Results], tmp_path: Path
) -> None:
    made, _store, results = finished
    metric = made.tasks[0].objective.metric
    assert results.finished
    assert not results.failures
    rows = [row.trial for row in results.record.rows]
    assert len(rows) == 2 * 2 * 2
    assert {trial.metric for trial in rows} == {metric}
    [level] = [one for one in Report(results.record, results.store).levels if one.level]
    assert level.verdict in ("winning", "matching", "inconclusive", "not winning")
    ours = [t.test.value for t in rows if t.level == 1 and t.id in imp_trials(results)]
    assert level.value.mean == pytest.approx(sum(ours) / len(ours))
    text = page.render(Report(results.record, results.store))
    assert metric.name in text
    if metric != ACCURACY:
        assert not re.search(r"test accuracy", text)
    frame = results.trials
    column = "test_accuracy" if metric == ACCURACY else "test_value"
    assert sorted(frame[column]) == pytest.approx(sorted(trial.test.value for trial in rows))
    written = Report(results.record, results.store).write_data(tmp_path)
    assert (tmp_path / "trials.csv") in written
    assert metric.name in str(results) or metric.name in results._repr_html_()


def imp_trials(results: Results) -> set[str]:
    return {row.trial.id for row in results.record.rows if row.finder == "imp"}


def test_a_different_kind_is_another_study(tmp_path: Path) -> None:
    ids = {dataclasses.replace(study(kind, tmp_path)).tasks[0].id for kind in OBJECTIVES}
    assert len(ids) == len(OBJECTIVES)
