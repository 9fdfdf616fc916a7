"""Event log: typed events come back, truncated and unknown lines are skipped."""

import json
import math
import os
import platform
import time
from pathlib import Path

import pytest

from ltx import Store
from ltx.store.event_log import (
    CellProgress,
    Event,
    EventLog,
    StudyStarted,
    Timing,
    Trained,
    TrialTimed,
    timings,
)

CELL = ("digits", "imp", 0)
# Each event and the keys it has on disk, which older and newer versions read.
EVENTS: list[tuple[Event, dict]] = [
    (StudyStarted("s"), {"study": "s", "is": "started"}),
    (CellProgress("s", CELL, "begun"), {"study": "s", "cell": [*CELL], "is": "begun"}),
    (
        CellProgress(
            "s", CELL, "failed", error="E: no (f.py, line 1: x)", traceback="T\n  E: no\n"
        ),
        {
            **{"study": "s", "cell": [*CELL], "is": "failed"},
            **{"error": "E: no (f.py, line 1: x)", "traceback": "T\n  E: no\n"},
        },
    ),
    (
        CellProgress("s", CELL, "measured", level=0, trial="t"),
        {"study": "s", "cell": [*CELL], "is": "measured", "level": 0, "trial": "t"},
    ),
    (
        CellProgress("s", CELL, "compared", level=2, at="ticket", stability="i"),
        {
            **{"study": "s", "cell": [*CELL], "is": "compared"},
            **{"level": 2, "at": "ticket", "stability": "i"},
        },
    ),
    (
        CellProgress("s", CELL, "failed", error="why"),
        {"study": "s", "cell": [*CELL], "is": "failed", "error": "why"},
    ),
    (
        Trained("k", 20, 40, 60, 1.5),
        {"trained": "k", "from": 20, "to": 40, "end": 60, "seconds": 1.5},
    ),
    (
        TrialTimed("t", Timing(1.5, 2.0)),
        {"timed": "t", "found_seconds": 1.5, "trained_seconds": 2.0},
    ),
]


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path)


@pytest.mark.parametrize(("event", "keys"), EVENTS)
def test_an_event_comes_back_with_its_time_and_process(
    tmp_path: Path, event: Event, keys: dict
) -> None:
    log = EventLog(tmp_path / "log.jsonl")
    assert list(log.events()) == []
    log.log(event)
    line = json.loads(log.path.read_text())
    stamp = {name: line.pop(name) for name in ("time", "pid", "host")}
    assert list(line.items()) == list(keys.items())
    assert stamp["time"] == pytest.approx(time.time(), abs=60)
    (back,) = log.events()
    assert back == type(event)(**{**vars(event), **stamp})
    assert back.process == (platform.node(), os.getpid())


def test_truncated_and_unknown_lines_are_skipped(tmp_path: Path) -> None:
    log = EventLog(tmp_path / "log.jsonl")
    log.log(StudyStarted("a"))
    stamp = '"time": 1.0, "pid": 7'
    with open(log.path, "a") as file:
        file.write('{"study": \n')
        file.write("12\n")
        file.write('{"study": "no time or process"}\n')
        file.write(f'{{{stamp}, "new kind": 1}}\n')
        file.write(f'{{{stamp}, "trained": "k", "from": 0}}\n')
    log.log(StudyStarted("b"))
    assert [event.study for event in log.events() if isinstance(event, StudyStarted)] == ["a", "b"]
    assert len(list(log.events())) == 2


def test_lines_of_older_versions_are_read(tmp_path: Path) -> None:
    log = EventLog(tmp_path / "log.jsonl")
    log.path.write_text(
        '{"time": 1.0, "pid": 7, "trained": "k", "from": 0, "to": 5, "seconds": 2.0}\n'
    )
    assert list(log.events()) == [Trained("k", 0, 5, 0, 2.0, time=1.0, pid=7)]


def test_a_log_that_cannot_be_written_stops_no_work(tmp_path: Path) -> None:
    log = EventLog(tmp_path / "none" / "log.jsonl")
    log.log(StudyStarted("a"))
    assert list(log.events()) == []


def test_of_several_timings_of_a_trial_the_last_counts(store: Store) -> None:
    store.log_event(TrialTimed("a", Timing(1.5, 2.0)))
    store.log_event(TrialTimed("b", Timing(3.0, 4.0)))
    store.log_event(StudyStarted("s"))
    store.log_event(TrialTimed("a", Timing(1.0, 2.0)))
    store.log_event(TrialTimed("other", Timing(9.0, 9.0)))
    seconds = timings(store.events(), {"a", "b", "c"})
    assert seconds == {"a": Timing(1.0, 2.0), "b": Timing(3.0, 4.0)}
    assert timings(store.events(), {"a"})["a"].total == 3.0


def test_unknown_seconds_are_nan(store: Store) -> None:
    store.log_event(TrialTimed("a", Timing(math.nan, 2.0)))
    assert "NaN" not in (store.path / "log.jsonl").read_text()  # which is not valid JSON
    seconds = timings(store.events(), {"a"})["a"]
    assert math.isnan(seconds.found)
    assert seconds.trained == 2.0
    assert math.isnan(seconds.total)


def test_without_a_log_there_are_no_timings(store: Store) -> None:
    assert timings(store.events(), {"a"}) == {}
