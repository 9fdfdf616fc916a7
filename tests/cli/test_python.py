"""ltx.run and ltx.Results: a study from Python is the same as from the command line."""

import dataclasses
import re
from pathlib import Path

import pytest
from ltx_plugins.imp import IMP
from ltx_plugins.random_reinit import RandomReinit

import ltx
from ltx.cli.main import main
from ltx.core.engine import Engine

RECIPE = ltx.Recipe(length="6it", eval_every="2it")
TASK = ltx.Task(data="digits", recipe=RECIPE)
IMPS = IMP(levels=1)
STUDY = ltx.Study({"imp": IMPS, "reinit": RandomReinit(of=IMPS)}, tasks=[TASK], seeds=2)
FIRST = "studies/first_ticket.gin"
PARAMS = ("Recipe.length = '6it'", "Recipe.eval_every = '2it'", "imp.levels = 1")


class Calls(ltx.StudyListener):
    def __init__(self) -> None:
        self.levels: list[int] = []

    def measured(self, result) -> None:  # type: ignore[no-untyped-def]
        self.levels.append(result.trial.level)


@pytest.mark.slow
def test_a_study_runs_and_its_results_are_those_of_the_store(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    listener = Calls()
    path = tmp_path / "store"
    results = ltx.run(STUDY, path, trackers=[listener, f"csv:{tmp_path / 'trials.csv'}"])
    assert capfd.readouterr().out == ""
    assert listener.levels == [0, 1] * 4
    assert results.finished
    assert len((tmp_path / "trials.csv").read_text().splitlines()) == 1 + 8
    trials = results.trials
    assert list(trials.groupby("finder").size().items()) == [("imp", 4), ("reinit", 4)]
    assert trials["test_accuracy"].between(0, 1).all()
    assert trials["seconds"].notna().all()
    assert set(trials["ticket"]) == set(results.tickets)
    again = ltx.Results.read(path, STUDY.id[:6])
    assert again.record == results.record
    assert again.trials.equals(trials)
    assert main(["status", f"--store={path}"]) == 0
    assert "finished, 4 of 4 cells done\nltx.run(study)\n" in capfd.readouterr().out


@pytest.mark.slow
def test_a_gin_file_by_name_is_the_study_of_the_command_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    params = [*PARAMS, "Study.seeds = 2"]
    results = ltx.run(FIRST, params=params, progress=True)
    words = ["run", f"--gin_file={FIRST}", *(f"--gin_param={p}" for p in params), "--store=other"]
    assert main(words) == 0
    printed = capsys.readouterr().out
    (sentence,) = results.verdicts["sentence"]
    assert sentence in printed
    other = ltx.Results.read("other")
    assert other.record.rows == results.record.rows
    assert other.record.config == results.record.config


@pytest.mark.slow
def test_a_budget_that_ends_leaves_results_that_say_so(tmp_path: Path) -> None:
    results = ltx.run(STUDY, tmp_path / "store", budget="13it")
    assert not results.finished
    assert len(results.record.rows) == 2
    assert "not run yet" in set(results.trials["missing"])
    assert "2 trials, not finished" in repr(results)
    assert ltx.run(STUDY, tmp_path / "store").finished


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"study": 3}, "expected a Study or a gin file, got 3"),
        ({"study": "studies/first_tickt.gin"}, "did you mean studies/first_ticket.gin"),
        ({"params": ["imp.levels = 1"]}, "change the Study itself"),
        ({"engine": "cpu"}, "engine: expected Engine"),
        ({"budget": "much"}, "30m"),
        ({"trackers": ["nope:x"]}, "unknown tracker 'nope'. Known: csv, tensorboard"),
        ({"trackers": ["csv"]}, "expected NAME:LOCATION"),
        ({"trackers": [Calls]}, "ltx.run trackers: expected StudyListener"),
    ],
)
def test_mistakes_are_refused_before_a_store_is_made(
    tmp_path: Path, settings: dict, words: str
) -> None:
    with pytest.raises(ltx.UsageError, match=re.escape(words)):
        ltx.run(**{"study": STUDY, "store": tmp_path / "store", **settings})
    assert not list(tmp_path.iterdir())


@pytest.mark.slow
def test_the_engine_given_is_the_one_used(tmp_path: Path) -> None:
    made = dataclasses.replace(STUDY, finders={"imp": IMPS}, seeds=1)
    results = ltx.run(made, tmp_path / "store", Engine(compile="graph", device="cpu"))
    assert results.record.engine["compile"] == "graph"  # type: ignore[index]
