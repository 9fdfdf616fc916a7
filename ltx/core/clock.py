"""Clock: the seconds of a process, which stand still while data are read and programs made."""

import contextlib
import dataclasses
import time
from collections.abc import Iterator


@dataclasses.dataclass
class _Stops:
    """How long the clock stood still, and how many blocks hold it now."""

    seconds: float = 0.0
    depth: int = 0


_stops = _Stops()


def now() -> float:
    """Seconds since some moment; a difference of two is what the work between them took."""
    return time.perf_counter() - _stops.seconds


@contextlib.contextmanager
def paused() -> Iterator[None]:
    """What is done inside takes no time; such blocks may stand in one another.

    It is for what a process does once, whoever comes first: else the first seed would pay for all.
    """
    begun = time.perf_counter()
    _stops.depth += 1
    try:
        yield
    finally:
        _stops.depth -= 1
        if not _stops.depth:
            _stops.seconds += time.perf_counter() - begun
