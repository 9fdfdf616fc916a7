"""The event log of a store: typed events, one line of JSON each.

It serves people, tests and `ltx status`; no result depends on it.
"""

import contextlib
import dataclasses
import json
import math
import os
import platform
import time
from collections.abc import Collection, Iterable, Iterator, Mapping
from pathlib import Path

from ltx.store import schema

_OPTIONAL = ("level", "trial", "at", "stability", "error", "traceback")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Event:
    """What happened, when (seconds since the epoch), and in which process.

    `log` fills in the time and the process.
    """

    time: float = math.nan
    pid: int = 0
    host: str = ""

    @property
    def process(self) -> tuple[str, int]:
        return self.host, self.pid

    def document(self) -> dict[str, object]:
        """The event as plain JSON data, without time and process."""
        raise NotImplementedError


@dataclasses.dataclass(frozen=True)
class StudyStarted(Event):
    """A process started to run the study of this id."""

    study: str

    def document(self) -> dict[str, object]:
        return {"study": self.study, "is": "started"}


@dataclasses.dataclass(frozen=True)
class CellProgress(Event):
    """A cell (task, finder, seed) of a study reached a state.

    `state` is "begun"; "measured", with the level and the id of the trial; "compared", with the
    level, the rewind point `at` and the id of the instability; "failed" or, if something is not
    finite, "diverged", with the error and, where ltx did not foresee it, the traceback; or "done".
    """

    study: str
    cell: tuple[str, str, int]
    state: str
    level: int | None = None
    trial: str | None = None
    at: str | None = None
    stability: str | None = None
    error: str | None = None
    traceback: str | None = None

    def document(self) -> dict[str, object]:
        optional = {name: getattr(self, name) for name in _OPTIONAL}
        return {
            "study": self.study,
            "cell": list(self.cell),
            "is": self.state,
            **{name: value for name, value in optional.items() if value is not None},
        }


@dataclasses.dataclass(frozen=True)
class Trained(Event):
    """Steps `start` to `stop` of the training with this memo key, which ends at step `end`.

    `end` is 0 in logs of older versions.
    """

    key: str
    start: int
    stop: int
    end: int
    seconds: float

    @property
    def steps(self) -> int:
        return self.stop - self.start

    def document(self) -> dict[str, object]:
        return {
            "trained": self.key,
            "from": self.start,
            "to": self.stop,
            "end": self.end,
            "seconds": round(self.seconds, 3),
        }


@dataclasses.dataclass(frozen=True)
class Timing:
    """Seconds of finding a ticket and of training it, on the machine that did it; or NaN."""

    found: float = math.nan
    trained: float = math.nan

    @property
    def total(self) -> float:
        return self.found + self.trained


@dataclasses.dataclass(frozen=True)
class TrialTimed(Event):
    """How long the trial of this id took; in the log, so that no byte of a trial depends on it."""

    trial: str
    timing: Timing

    def document(self) -> dict[str, object]:
        seconds = {
            "found_seconds": self.timing.found,
            "trained_seconds": self.timing.trained,
        }
        plain = {name: None if math.isnan(s) else round(s, 6) for name, s in seconds.items()}
        return {"timed": self.trial, **plain}


def from_document(document: Mapping) -> Event | None:
    """The event of a log line; None for a kind that this version does not have."""
    stamp = {"time": document["time"], "pid": document["pid"], "host": document.get("host", "")}
    if "cell" in document:
        optional = {name: document[name] for name in _OPTIONAL if name in document}
        cell = tuple(document["cell"])
        return CellProgress(document["study"], cell, document["is"], **optional, **stamp)
    if "study" in document:
        return StudyStarted(document["study"], **stamp)
    if "trained" in document:
        start, stop, end = document["from"], document["to"], document.get("end", 0)
        return Trained(document["trained"], start, stop, end, document["seconds"], **stamp)
    if "timed" in document:
        seconds = (document.get("found_seconds"), document.get("trained_seconds"))
        timing = Timing(*(math.nan if s is None else s for s in seconds))
        return TrialTimed(document["timed"], timing, **stamp)
    return None


def timings(events: Iterable[Event], trials: Collection[str]) -> dict[str, Timing]:
    """The timing of each of these trials by id; of several of one trial the last counts."""
    return {
        event.trial: event.timing
        for event in events
        if isinstance(event, TrialTimed) and event.trial in trials
    }


class EventLog:
    """The file, which all processes append to."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def log(self, event: Event) -> None:
        """Append an event, with the time and this process; errors of the disk are ignored."""
        stamp = {"time": round(time.time(), 3), "pid": os.getpid(), "host": platform.node()}
        line = json.dumps({**stamp, **event.document()}) + "\n"
        with contextlib.suppress(OSError), open(self.path, "a") as file:
            file.write(line)

    def events(self) -> Iterator[Event]:
        """All events in their order; invalid lines and unknown events are skipped."""
        with contextlib.suppress(FileNotFoundError), open(self.path, "rb") as file:
            for line in file:
                with contextlib.suppress(ValueError, KeyError, TypeError, RecursionError):
                    document = json.loads(line)
                    schema.check(document, schema.LogLine)
                    if event := from_document(document):
                        yield event
