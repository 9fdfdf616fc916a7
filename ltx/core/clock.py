"""Clock: wall-clock seconds, paused while data are read and programs compiled."""

import contextlib
import dataclasses
import time
from collections.abc import Iterator


@dataclasses.dataclass
class _Pauses:
    """Seconds that the clock was paused for, and how many blocks pause it now."""

    seconds: float = 0.0
    depth: int = 0


_pauses = _Pauses()


def now() -> float:
    """Seconds since an arbitrary moment; only differences have a meaning."""
    return time.perf_counter() - _pauses.seconds


@contextlib.contextmanager
def paused() -> Iterator[None]:
    """A block whose time is not counted; blocks may be nested.

    It is for work that a process does once for all seeds, which the first seed would pay for.
    """
    start = time.perf_counter()
    _pauses.depth += 1
    try:
        yield
    finally:
        _pauses.depth -= 1
        if not _pauses.depth:
            _pauses.seconds += time.perf_counter() - start
