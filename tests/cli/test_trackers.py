"""Trackers: found by entry point, refused in one line, and never the end of a study."""

import logging
from importlib import metadata
from pathlib import Path

import pytest
from ltx_plugins.imp import IMP

from ltx import Store, Study, StudyListener, Task, UsageError
from ltx.cli import trackers
from ltx.cli.main import main
from ltx.cli.trackers import Guarded, open_tracker, open_trackers
from ltx.study import runner
from ltx.testing import RECIPE, FakeLab

TASK = Task(data="fake", model="fake", recipe=RECIPE)
STUDY = Study({"imp": IMP(levels=1)}, tasks=(TASK,), seeds=1)
ROOT = Path(__file__).parents[2]


class Fails(StudyListener):
    """Raises at its first trial."""

    calls = 0

    def measured(self, result: object) -> None:
        self.calls += 1
        raise ValueError("of its own")


def offer(monkeypatch: pytest.MonkeyPatch, **targets: str) -> None:
    """Install these trackers beside those of ltx."""
    offered = [metadata.EntryPoint(name, t, trackers.GROUP) for name, t in targets.items()]
    real = metadata.entry_points(group=trackers.GROUP)
    monkeypatch.setattr(trackers, "entry_points", lambda group: [*real, *offered])


def test_the_installed_trackers_are_those_of_setup_cfg() -> None:
    """Entry points are frozen at installation: after editing setup.cfg, install again."""
    text = (ROOT / "setup.cfg").read_text().partition("ltx.trackers =\n")[2]
    wanted = {}
    for line in text.splitlines():
        if not line.startswith(" "):
            break
        name, _, target = line.strip().partition(" = ")
        wanted[name] = target
    found = {entry.name: entry.value for entry in metadata.entry_points(group=trackers.GROUP)}
    assert found == wanted
    assert wanted.keys() == {"csv", "tensorboard"}


def test_a_tracker_is_constructed_with_its_location_and_the_study(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "recorder.py").write_text(
        "import ltx\nclass Recorder(ltx.StudyListener):\n"
        "    def __init__(self, *given): self.given = given\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    offer(monkeypatch, mine="recorder:Recorder")
    (guarded,) = open_trackers(STUDY, ["mine:http://host:80/x"])
    assert isinstance(guarded, Guarded)
    assert guarded.tracker.given == ("http://host:80/x", STUDY)  # type: ignore[union-attr]


def test_an_error_in_a_tracker_is_logged_once_and_stops_nothing(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    tracker = Fails()

    def open_lab(task: Task, seed: int, sealed: bool) -> FakeLab:
        return FakeLab(task, seed, sealed=sealed)

    with caplog.at_level(logging.WARNING, "ltx"):
        record = runner.run(STUDY, open_lab, Store(tmp_path), [Guarded(tracker, "mine")])
    assert (len(record.rows), record.failures, record.finished) == (2, (), True)
    assert tracker.calls == 1
    assert caplog.messages == [
        "tracker mine failed: ValueError: of its own; the study goes on without it"
    ]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--tracker=csvv:x"], "unknown tracker 'csvv': did you mean csv?"),
        (["--tracker=csv"], "--tracker: expected NAME:LOCATION"),
        (["--tracker=csv:"], "--tracker: expected NAME:LOCATION"),
        (["--tracker=csv:/dev/null/x"], "--tracker=csv: cannot write to /dev/null/x"),
        (["--tracker=other:x"], "'other' of an unknown distribution is not a class that derives"),
        (["--tracker=broken:x"], "'broken' of an unknown distribution is broken: KeyError"),
        (["--tracker=gone:x"], "no_such_library is not installed; `pip install 'no_such_library'`"),
    ],
)
def test_a_tracker_that_cannot_be_is_one_line_before_any_training(
    words: list[str],
    said: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "my_trackers.py").write_text(
        "import ltx\nclass Other: pass\nclass Unbuildable(ltx.StudyListener):\n"
        "    def __init__(self, location, study): raise KeyError('no server')\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    offer(
        monkeypatch,
        other="my_trackers:Other",
        broken="my_trackers:Unbuildable",
        gone="no_such_library:Tracker",
    )
    assert main(["run", "--gin_file=studies/first_ticket.gin", *words]) == 2
    error = capfd.readouterr().err
    assert said in error
    assert error.count("\n") == 1
    assert not (tmp_path / "ltx-store").exists()


def test_of_a_tracker_offered_twice_either_can_be_named(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    offer(monkeypatch, csv="elsewhere:Csv")
    ours = "--tracker=ltx-lottery:csv:LOCATION"
    with pytest.raises(UsageError, match=f"tracker 'csv' is claimed by 2 distributions.*{ours}"):
        open_tracker(STUDY, "csv", "x", "--tracker")
    (guarded,) = open_trackers(STUDY, [f"ltx-lottery:csv:{tmp_path}/a:b.csv"])
    assert isinstance(guarded, Guarded)
    assert type(guarded.tracker).__name__ == "CsvTracker"
    assert guarded.tracker.path.name == "a:b.csv"  # type: ignore[union-attr]
