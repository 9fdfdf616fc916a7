"""TensorBoardListener: every trial of a study is shown once, live, however often it stopped."""

import dataclasses
import json
import logging
import os
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from full_disk import full_disk
from hypothesis import given
from hypothesis import strategies as st
from ltx_plugins.early_bird import EarlyBird
from ltx_plugins.imp import IMP
from ltx_plugins.random_reinit import RandomReinit
from ltx_plugins.transfer import Transfer
from tensorboard_reader import Curve, Reader

from ltx import Run, Store, UsageError
from ltx.analysis.curves import dense_steps
from ltx.core.lab import Lab
from ltx.core.task import Task
from ltx.reporting import tensorboard
from ltx.reporting.tensorboard import TensorBoardListener
from ltx.store import memo
from ltx.store.memo import MemoLab, Training
from ltx.study import loop
from ltx.study.definition import Study
from ltx.study.results import CellFailure, TrialResult
from ltx.testing import RECIPE, FakeLab

TASK = Task(data="fake", model="fake", recipe=dataclasses.replace(RECIPE, length="30it"))
IMPS = Study({"imp": IMP(levels=1), "reinit": RandomReinit(of=IMP(levels=1))}, (TASK,), seeds=2)
CELL = "fake-fake/imp/seed-0"


@pytest.fixture
def often(monkeypatch: pytest.MonkeyPatch) -> None:
    """Behind its first steps a stretch of training is one step long."""
    monkeypatch.setattr(memo, "CHECKPOINT_SECONDS", 1e-9)


def watched(
    made: Study,
    store: Store,
    logs: Path,
    heard: Callable[[Training, Run], None] = lambda training, run: None,
) -> Iterator[TrialResult | CellFailure]:
    """The study as the runner runs it; `heard` is called after the listener."""
    listener = TensorBoardListener(logs, made)

    def tell(training: Training, run: Run) -> None:
        listener.trained(training, run)
        heard(training, run)

    def open_lab(task: Task, seed: int, sealed: bool) -> Lab:
        return MemoLab(FakeLab(task, seed, sealed=sealed), store, on_progress=tell)

    yield from loop.run(made, open_lab, store, listener)


def undisturbed(made: Study, folder: Path) -> tuple[list[TrialResult], dict[str, dict[str, Curve]]]:
    rows = list(watched(made, Store(folder / "store"), folder / "logs"))
    assert all(isinstance(row, TrialResult) for row in rows)
    return rows, Reader(folder / "logs" / made.id).runs()  # type: ignore[return-value]


def test_every_trial_is_a_run_with_its_curve_and_its_measures(tmp_path: Path) -> None:
    rows, runs = undisturbed(IMPS, tmp_path)
    wanted = {}
    for row in rows:
        trial = row.trial
        ends = {
            "test/loss": trial.test.loss,
            "test/accuracy": trial.test.value,
            "early_stop": trial.early_stop,
            "dense_equivalent_steps": dense_steps(trial),
        }
        wanted[f"fake-fake/{row.finder}/seed-{row.seed}/level-{trial.level}"] = {
            "validation/loss": list(zip(trial.history.steps, trial.history.loss, strict=True)),
            "validation/accuracy": list(zip(trial.history.steps, trial.history.value, strict=True)),
            **{tag: [(30, value)] for tag, value in ends.items()},
        }
    assert runs.keys() == wanted.keys()
    for run, tags in wanted.items():
        assert runs[run].keys() == tags.keys()
        for tag, points in tags.items():
            np.testing.assert_array_equal(runs[run][tag], np.float32(points))


@pytest.mark.usefixtures("often")
def test_a_training_is_seen_while_it_is_under_way(tmp_path: Path) -> None:
    reader, seen = Reader(tmp_path / "logs" / IMPS.id), []

    def look(training: Training, run: Run) -> None:
        tags = reader.runs()[f"{CELL}/level-0"]
        assert [step for step, _ in tags.get("validation/loss", [])] == list(run.history.steps)
        assert "test/accuracy" not in tags
        seen.append(run.state.step)

    next(watched(IMPS, Store(tmp_path / "store"), tmp_path / "logs", look))
    assert len(seen) > 3
    assert seen[-1] == 30


@pytest.mark.usefixtures("often")
@pytest.mark.parametrize("stretches", [1, 5, 24])
def test_a_study_killed_again_and_again_ends_with_the_same_curves(
    tmp_path: Path, stretches: int
) -> None:
    made = dataclasses.replace(IMPS, seeds=1)
    left, kills = stretches, 0

    def kill(training: Training, run: Run) -> None:
        nonlocal left
        left -= 1
        if left == 0 and kills < 4:
            raise KeyboardInterrupt

    finished = False
    while not finished:
        left = stretches
        try:
            list(watched(made, Store(tmp_path / "store"), tmp_path / "logs", kill))
            finished = True
        except KeyboardInterrupt:
            kills += 1
    assert kills > 1
    _, runs = undisturbed(made, tmp_path / "calm")
    assert Reader(tmp_path / "logs" / made.id).runs() == runs


def test_a_finished_study_changes_nothing_and_fills_a_new_folder(tmp_path: Path) -> None:
    _, runs = undisturbed(IMPS, tmp_path)
    files = {path: path.read_bytes() for path in (tmp_path / "logs").rglob("*.ltx")}
    list(watched(IMPS, Store(tmp_path / "store"), tmp_path / "logs"))
    assert {path: path.read_bytes() for path in (tmp_path / "logs").rglob("*.ltx")} == files
    list(watched(IMPS, Store(tmp_path / "store"), tmp_path / "other"))
    assert Reader(tmp_path / "other" / IMPS.id).runs() == runs


def test_two_processes_on_one_study_write_one_set_of_curves(tmp_path: Path) -> None:
    _, runs = undisturbed(IMPS, tmp_path / "calm")
    both = [watched(IMPS, Store(tmp_path / "store"), tmp_path / "logs") for _ in range(2)]
    for _ in zip(*both, strict=True):
        pass
    assert Reader(tmp_path / "logs" / IMPS.id).runs() == runs


def test_what_a_finder_trains_for_itself_stands_beside_its_trials(tmp_path: Path) -> None:
    made = Study(
        {
            "imp": IMP(levels=1),
            "bird": EarlyBird(densities=(0.5, 0.3)),
            "from": Transfer(of=IMP(levels=1), source="third"),
        },
        (TASK,),
        seeds=1,
    )
    _, runs = undisturbed(made, tmp_path)
    found = {run.split("/", 1)[1]: tags for run, tags in runs.items() if "finding" in run}
    # IMP trains nothing but its tickets, early-bird one network; the other set's is an IMP's own.
    assert found.keys() == {"bird/seed-0/finding-1", "from/seed-0/finding-1"}
    for tags in found.values():
        steps = [step for step, _ in tags["validation/loss"]]
        assert steps == sorted(set(steps))
        assert steps
    again = tmp_path / "again"
    list(watched(made, Store(tmp_path / "store"), again))
    assert Reader(again / made.id).runs() == runs


def test_hyperparameters_sort_and_filter_the_trials(tmp_path: Path) -> None:
    rows, _ = undisturbed(IMPS, tmp_path)
    reader = Reader(tmp_path / "logs")
    columns = [
        {"metric": {"tag": "test/accuracy"}, "order": "ORDER_DESC"},
        {"hparam": "finder", "filterDiscrete": ["imp"]},
    ]
    groups = reader.groups(colParams=columns)
    accuracies = sorted((r.trial.test.value for r in rows if r.finder == "imp"), reverse=True)
    values = [{m["name"]["tag"]: m["value"] for m in group["metricValues"]} for group in groups]
    np.testing.assert_array_equal(
        [value["test/accuracy"] for value in values], np.float32(accuracies)
    )
    assert {session["status"] for g in groups for session in g["sessions"]} == {"STATUS_SUCCESS"}
    best = next(g for g in groups if g["name"] == f"{IMPS.id}/{CELL}/level-1")
    trial = next(r.trial for r in rows if (r.finder, r.seed, r.trial.level) == ("imp", 0, 1))
    wanted = {
        "study": IMPS.id,
        "task": "fake/fake",
        "task.data": "fake",
        "finder.is": "IMP",
        "finder.levels": 1,
        "finder.pruning.rate": 0.2,
        "finder.score.is": "Magnitude",
        "recipe.optimizer": "momentum",
        "recipe.learning_rate": 0.1,
        "seed": 0,
        "level": 1,
        "density": trial.density,
    }
    assert {name: best["hparams"].get(name) for name in wanted} == wanted
    assert not {"task.image", "recipe.is"} & best["hparams"].keys()


def test_a_trial_of_another_recipe_has_that_one(tmp_path: Path) -> None:
    short = dataclasses.replace(RECIPE, length="20it")

    @dataclasses.dataclass(frozen=True)
    class Short(IMP):
        def find(self, lab):  # type: ignore[no-untyped-def]
            for ticket in super().find(lab):
                yield dataclasses.replace(ticket, recipe=short)

    made = Study({"short": Short(levels=1)}, (TASK,), seeds=1)
    _, runs = undisturbed(made, tmp_path)
    steps = [step for step, _ in runs["fake-fake/short/seed-0/level-1"]["validation/loss"]]
    assert steps == [10, 20]
    groups = Reader(tmp_path / "logs").groups()
    assert {group["hparams"]["recipe.length"] for group in groups} == {"20it"}


def test_a_trial_that_fails_is_marked_until_it_succeeds(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = Study({"imp": IMP(levels=1)}, (TASK,), seeds=1)
    plain = FakeLab.run_evaluation

    def broken(self, state, mask, split):  # type: ignore[no-untyped-def]
        if split == "test":
            raise ValueError("not now")
        return plain(self, state, mask, split)

    with monkeypatch.context() as patch:
        patch.setattr(FakeLab, "run_evaluation", broken)
        assert isinstance(
            next(watched(made, Store(tmp_path / "s"), tmp_path / "logs")), CellFailure
        )
    (group,) = Reader(tmp_path / "logs").groups()
    assert group["sessions"][0]["status"] == "STATUS_FAILURE"
    list(watched(made, Store(tmp_path / "s"), tmp_path / "logs"))
    groups = Reader(tmp_path / "logs").groups()
    assert [g["sessions"][0]["status"] for g in groups] == ["STATUS_SUCCESS"] * 2


def test_another_result_of_the_same_study_takes_the_place_of_the_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    undisturbed(IMPS, tmp_path)
    monkeypatch.setattr(FakeLab, "init", lambda self, stream="init": _init(self, f"new {stream}"))
    list(watched(IMPS, Store(tmp_path / "new"), tmp_path / "logs"))
    _, runs = undisturbed(IMPS, tmp_path / "alone")
    assert Reader(tmp_path / "logs" / IMPS.id).runs() == runs


_init = FakeLab.init


@given(st.lists(st.text(max_size=100), unique=True, max_size=6))
def test_names_are_safe_and_tell_all_labels_apart(labels: list[str]) -> None:
    names = list(tensorboard._names(labels).values())
    assert len({name.casefold() for name in names}) == len(labels)
    for name in names:
        assert name
        assert len(name.encode()) < 100
        assert name[-1] != "."
        assert Path("a", name).parts == ("a", name)
        assert all(c.isascii() and (c.isalnum() or c in "_.+=-") for c in name)


@pytest.mark.parametrize(
    ("label", "name"), [("digits/lenet_300_100", "digits-lenet_300_100"), ("imp", "imp")]
)
def test_names_stay_readable(label: str, name: str) -> None:
    assert tensorboard._names([label]) == {label: name}


def test_a_folder_that_cannot_be_is_refused_at_once(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(UsageError, match=r"--tensorboard: cannot write to .*; choose another"):
        TensorBoardListener(tmp_path / "file", IMPS)


def test_a_full_disk_is_told_once_and_stops_no_study(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    rows, runs = undisturbed(IMPS, tmp_path / "calm")
    store, logs = Store(tmp_path / "store"), tmp_path / "logs"
    with caplog.at_level(logging.WARNING):

        class OnFullDisk(TensorBoardListener):
            def _put(self, *args: Any, **settings: Any) -> None:
                with full_disk(1000):
                    super()._put(*args, **settings)

        listener = OnFullDisk(logs, IMPS)

        def open_lab(task: Task, seed: int, sealed: bool) -> Lab:
            return MemoLab(FakeLab(task, seed, sealed=sealed), store, on_progress=listener.trained)

        found = list(loop.run(IMPS, open_lab, store, listener))
    assert found == rows
    assert [record.message.count("cannot write") for record in caplog.records] == [1]
    list(watched(IMPS, store, logs))
    assert Reader(logs / IMPS.id).runs() == runs


SERVER = """
import sys
sys.modules["tensorflow"] = None  # TensorBoard does without, and starts the sooner
from tensorboard.main import run_main
sys.argv = ["tensorboard", "--logdir", sys.argv[1], "--port=0", "--reload_interval=1"]
run_main()
"""


@pytest.mark.slow
def test_tensorboard_itself_serves_a_study_while_it_runs(tmp_path: Path) -> None:
    made = dataclasses.replace(IMPS, seeds=1)
    results = watched(made, Store(tmp_path / "store"), tmp_path / "logs")
    next(results)
    process = subprocess.Popen(
        [sys.executable, "-c", SERVER, str(tmp_path / "logs")],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
    )
    try:
        assert process.stderr is not None
        line = next(line for line in process.stderr if "http://" in line)
        address = line.partition("http://")[2].split()[0]

        def tags() -> dict:
            return _get(f"http://{address}data/plugin/scalars/tags")

        first = f"{made.id}/{CELL}/level-0"
        _until(lambda: "test/accuracy" in tags().get(first, {}))
        rows = [row for row in results if isinstance(row, TrialResult)]
        last = f"{made.id}/fake-fake/reinit/seed-0/level-1"
        _until(lambda: "test/accuracy" in tags().get(last, {}))
        curve = _get(f"http://{address}data/plugin/scalars/scalars?run={last}&tag=validation/loss")
        history = rows[-1].trial.history
        assert [step for _, step, _ in curve] == list(history.steps)
        np.testing.assert_array_equal([loss for *_, loss in curve], np.float32(history.loss))
        asked = {"startIndex": 0, "sliceSize": 10, "allowedStatuses": ["STATUS_SUCCESS"]}
        asked["colParams"] = [{"hparam": "density", "order": "ORDER_ASC"}]  # type: ignore[assignment]
        groups = _get(f"http://{address}data/plugin/hparams/session_groups", asked)
        densities = [group["hparams"]["density"] for group in groups["sessionGroups"]]
        assert len(densities) == 4
        assert densities == sorted(densities)
    finally:
        process.terminate()
        process.communicate(timeout=30)


def _get(address: str, asked: object = None) -> dict:
    content = None if asked is None else json.dumps(asked).encode()
    request = urllib.request.Request(address, content, {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=30) as answer:
        return json.load(answer)


def _until(true: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.2)
