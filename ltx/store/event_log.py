"""Log: what was done in a store, a line of JSON for each event."""

import contextlib
import json
import os
import platform
import time
from collections.abc import Iterator, Mapping
from pathlib import Path


class EventLog:
    """A file that all processes append to; for people and tests, no result depends on it."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def record(self, event: Mapping[str, object]) -> None:
        stamp = {"time": round(time.time(), 3), "pid": os.getpid(), "host": platform.node()}
        line = json.dumps({**stamp, **event}) + "\n"
        with contextlib.suppress(OSError), open(self.path, "a") as file:
            file.write(line)

    def events(self) -> Iterator[dict]:
        """What `record` appended; lines that a crash cut short are passed over."""
        with contextlib.suppress(FileNotFoundError), open(self.path) as file:
            for line in file:
                with contextlib.suppress(json.JSONDecodeError):
                    yield json.loads(line)
