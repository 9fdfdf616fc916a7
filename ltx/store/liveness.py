"""Presence: which processes are at work on a store, seen from all machines that see it."""

import contextlib
import os
import platform
import re
from collections.abc import Iterator

import filelock

from ltx.store.store import Store


@contextlib.contextmanager
def announce(store: Store) -> Iterator[None]:
    """Within it `alive` says of this process that it is."""
    lock = store.lock(_name(platform.node(), os.getpid()))
    with lock:
        try:
            yield
        finally:
            with contextlib.suppress(OSError):
                os.unlink(lock.lock_file)  # by its owner alone, while it holds the lock


def is_alive(store: Store, host: str, pid: int) -> bool:
    """Whether the process that wrote a line of the store's log is within `running`."""
    path = store.path / "locks" / f"{_name(host, pid)}.lock"
    if not path.exists():
        return False
    try:
        with filelock.FileLock(path, timeout=0):
            return False
    except filelock.Timeout:
        return True


def _name(host: str, pid: int) -> str:
    return f"run-{re.sub('[^A-Za-z0-9.-]', '_', host)}-{pid}"
