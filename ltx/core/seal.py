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


class SealedError(UsageError):
    """A finder reached for test data or results."""


def require_open(what: str) -> None:
    """Raise SealedError, which names `what` was asked for, while a finder searches."""
    if _searches:
        raise SealedError(
            f"{what}: a finder may not read test data or results; use its lab's split='validation'"
        )


class Sealable:
    """What can be opened with its test split closed; whether it is stays as it was opened."""

    _sealed: bool | None = None

    @property
    def sealed(self) -> bool:
        """Whether the test split is closed to this lab; set once, when it is opened."""
        return self._sealed is not False

    @sealed.setter
    def sealed(self, sealed: bool) -> None:
        if self._sealed not in (None, sealed):
            raise UsageError(
                f"{type(self).__name__}.sealed: it stays {self._sealed}; use split='validation'"
            )
        if not sealed:
            require_open(f"{type(self).__name__}(sealed=False)")
        self._sealed = sealed

    def check_split(self, split: str) -> None:
        """Raise UsageError where there is no such split, or this lab may not see it."""
        if split not in ("train", "validation", "test"):
            raise UsageError(f"evaluate: expected split train, validation or test, got {split!r}")
        if split != "test":
            return
        if self.sealed:
            raise UsageError(
                "evaluate: a finder may not read the test split; use split='validation'"
            )
        require_open("evaluate on the test split")
