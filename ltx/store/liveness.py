"""Which processes are at work on a store, on all machines that share its folder."""

import contextlib
import os
import platform
import re
from collections.abc import Iterator

from ltx.store.store import Store


@contextlib.contextmanager
def announce(store: Store) -> Iterator[None]:
    """Hold a lock in this process's name, so that `is_alive` is true of it within the context."""
    lock = store.lock(_name(platform.node(), os.getpid()))
    with lock:
        try:
            yield
        finally:
            with contextlib.suppress(OSError):
                os.unlink(lock.lock_file)  # by its owner alone, while it holds the lock


def is_alive(store: Store, host: str, pid: int) -> bool:
    """Whether the process is within `announce`; host and pid are those of its log entries."""
    return store.is_locked(_name(host, pid))


def _name(host: str, pid: int) -> str:
    return f"run-{re.sub('[^A-Za-z0-9.-]', '_', host)}-{pid}"
