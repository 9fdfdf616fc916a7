"""Trackers: listeners that distributions offer by the entry-point group `ltx.trackers`."""

import logging
from collections.abc import Sequence
from importlib.metadata import EntryPoint, entry_points

from ltx.core.errors import LtxError, UsageError, unknown
from ltx.study.definition import Study
from ltx.study.listener import ForwardingListener, StudyListener

GROUP = "ltx.trackers"

_log = logging.getLogger("ltx")


def open_trackers(study: Study, trackers: Sequence[str]) -> list[StudyListener]:
    """Construct the trackers given as NAME:LOCATION; raises UsageError before anything trains."""
    opened = []
    for text in trackers:
        name, location = _split(text)
        if not name or not location:
            raise UsageError(
                f"--tracker: expected NAME:LOCATION, as in --tracker=csv:trials.csv, got {text!r}"
            )
        opened.append(open_tracker(study, name, location, "--tracker"))
    return opened


def open_tracker(study: Study, name: str, location: str, flag: str) -> StudyListener:
    """Construct one tracker; `flag` is the one that errors name."""
    entry = _entry(name)
    origin = entry.dist.name if entry.dist else "an unknown distribution"
    try:
        cls = entry.load()
    except ModuleNotFoundError as error:
        raise UsageError(
            f"{flag}: {_library(error)} is not installed;"
            f" `pip install '{_requirement(entry)}'` brings it"
        ) from error
    except Exception as error:  # a broken plugin is reported like a mistyped name
        raise _broken(flag, name, origin, error) from error
    if not isinstance(cls, type) or not issubclass(cls, StudyListener):
        raise UsageError(
            f"{flag}: {name!r} of {origin} is not a class that derives from ltx.StudyListener"
        )
    try:
        return Guarded(cls(location, study), name)  # type: ignore[call-arg]
    except LtxError:
        raise
    except Exception as error:
        raise _broken(flag, name, origin, error) from error


def _broken(flag: str, name: str, origin: str, error: Exception) -> UsageError:
    text = " ".join(str(error).split())
    return UsageError(f"{flag}: {name!r} of {origin} is broken: {type(error).__name__}: {text}")


def _split(text: str) -> tuple[str, str]:
    """NAME and LOCATION; NAME may be `distribution:name` of an installed tracker."""
    name, _, location = text.partition(":")
    rest, _, end = location.partition(":")
    if any(f"{name}:{rest}" == _full_name(entry) for entry in entry_points(group=GROUP)):
        return f"{name}:{rest}", end
    return name, location


def _full_name(entry: EntryPoint) -> str:
    return f"{entry.dist.name if entry.dist else 'unknown'}:{entry.name}"


def _entry(name: str) -> EntryPoint:
    entries = entry_points(group=GROUP)
    found = {entry.value: entry for entry in entries if name in (entry.name, _full_name(entry))}
    if not found:
        raise unknown("tracker", name, {entry.name for entry in entries})
    if len(found) > 1:
        names = " or ".join(f"--tracker={_full_name(entry)}:LOCATION" for entry in found.values())
        raise UsageError(f"tracker {name!r} is claimed by {len(found)} distributions; use {names}")
    return next(iter(found.values()))


def _library(error: ModuleNotFoundError) -> str:
    return (error.name or str(error)).partition(".")[0]


def _requirement(entry: EntryPoint) -> str:
    """What to install for a tracker: its distribution, with the extra of the tracker's name."""
    if entry.dist is None:
        return entry.module.partition(".")[0]
    extras = entry.dist.metadata.get_all("Provides-Extra") or []
    return f"{entry.dist.name}[{entry.name}]" if entry.name in extras else entry.dist.name


class Guarded(ForwardingListener):
    """A tracker whose first error is logged; the study then goes on without it."""

    def __init__(self, tracker: StudyListener, name: str) -> None:
        self.tracker: StudyListener | None = tracker
        self.name = name

    def forward(self, method: str, *args: object) -> None:
        if self.tracker is None:
            return
        try:
            getattr(self.tracker, method)(*args)
        except Exception as error:  # a tracker must not stop a study
            _log.warning(
                "tracker %s failed: %s: %s; the study goes on without it",
                self.name,
                type(error).__name__,
                " ".join(str(error).split()),
            )
            _log.debug("tracker %s failed", self.name, exc_info=True)
            self.tracker = None
