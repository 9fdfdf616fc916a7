"""Absent: a module that nobody finds for a while."""

import contextlib
import sys
from collections.abc import Iterator


@contextlib.contextmanager
def hide_module(name: str) -> Iterator[None]:
    """Within it the import of `name` fails at once, unless it was imported before.

    Python would load the packages that `name` is in, before it knows that they lack it.
    """
    before = name in sys.modules
    sys.modules.setdefault(name, None)  # type: ignore[arg-type]
    try:
        yield
    finally:
        if not before:
            del sys.modules[name]
