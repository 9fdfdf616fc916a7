"""Seal: while a finder searches, test data and results are closed to the whole process.

It stops the plain ways to them, not a plugin that reads files or private attributes by itself.
"""

import contextlib
from collections.abc import Iterator

from ltx.core.errors import UsageError

_searches = 0


@contextlib.contextmanager
def closed() -> Iterator[None]:
    """Close test data and results within the block."""
    global _searches  # noqa: PLW0603 (of the process, so that a finder's threads meet it too)
    _searches += 1
    try:
        yield
    finally:
        _searches -= 1


def require_open(what: str) -> None:
    """Raise UsageError, which names `what` was asked for, while a finder searches."""
    if _searches:
        raise UsageError(
            f"{what}: a finder may not read test data or results; use its lab's split='validation'"
        )
