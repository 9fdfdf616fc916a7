"""Log: lines that a crash cut short are passed over, and who wrote a line is known."""

import os
import platform
from pathlib import Path

from ltx.store.event_log import EventLog


def test_events_pass_over_lines_that_a_crash_cut_short(tmp_path: Path) -> None:
    log = EventLog(tmp_path / "log.jsonl")
    assert list(log.events()) == []
    log.record({"n": 1})
    with open(log.path, "a") as file:
        file.write('{"n": \n')
    log.record({"n": 2})
    assert [event["n"] for event in log.events()] == [1, 2]
    assert {(e["pid"], e["host"]) for e in log.events()} == {(os.getpid(), platform.node())}


def test_a_log_that_cannot_be_written_stops_no_work(tmp_path: Path) -> None:
    log = EventLog(tmp_path / "none" / "log.jsonl")
    log.record({"n": 1})
    assert list(log.events()) == []
