"""The memo of a store: trained states and lists of numbers, cached by the key of their inputs."""

import contextlib
import functools
import math
import os
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from ltx.core.errors import CorruptError
from ltx.core.objectives.metric import ACCURACY, Metric
from ltx.core.run import Run
from ltx.core.state import State
from ltx.store import atomic_files, readers
from ltx.store.folder import StoreFolder
from ltx.store.readers import Numbers

_T = TypeVar("_T")


class MemoCache:
    """Files that are always safe to delete.

    A read marks its file as used last and quarantines a corrupt one; with `read_only` it does
    neither.
    """

    def __init__(self, folder: StoreFolder) -> None:
        self._folder = folder

    def run(
        self, key: str, stop: int, read_only: bool = False, start: State | None = None
    ) -> Run | None:
        """The longest training of this key, from `start`, that ends at or before the step `stop`.

        An entry that cannot have begun with `start` is corrupt.
        """
        read = functools.partial(readers.memo_run, start=start)
        paths = self._folder.memo_runs(key)
        for step in sorted((step for step in paths if step <= stop), reverse=True):
            run = self._read(paths[step], read, "training that part again", read_only)
            if run is not None:
                return run
        return None

    def put_run(
        self, key: str, run: Run, checkpoint: bool = False, metric: Metric = ACCURACY
    ) -> None:
        """Store the run's end; checkpoints of this key at earlier steps are deleted.

        A run that diverged is not stored.
        """
        if not readers.can_cache(run):
            return
        step = run.state.step
        path = self._folder.memo_run(key, step, checkpoint)
        older = [
            other
            for at, other in self._folder.memo_runs(key, checkpoints=True).items()
            if at <= step
        ]
        seconds = None if math.isnan(run.seconds) else run.seconds
        history = run.history.document(metric)
        header = {"kind": "memo", "key": key, "history": history, "seconds": seconds}
        atomic_files.write_arrays(path, run.state.arrays(), header)
        for other in older:
            if other != path:
                other.unlink(missing_ok=True)

    def numbers(self, key: str, read_only: bool = False) -> Numbers | None:
        path = self._folder.memo_numbers(key)
        return self._read(path, readers.memo_numbers, "computing it again", read_only)

    def put_numbers(self, key: str, numbers: Numbers) -> None:
        document = {
            "kind": "memo",
            "key": key,
            "numbers": numbers.values,
            "cost": vars(numbers.cost),
            "seconds": numbers.seconds,
        }
        atomic_files.write_json(self._folder.memo_numbers(key), document)

    def shrink(self, limit: int) -> None:
        """Delete the least recently used files until all together have at most `limit` bytes."""
        entries = []
        for path in self._folder.memo_files():
            with contextlib.suppress(FileNotFoundError):
                stat = path.stat()
                entries.append((stat.st_mtime_ns, stat.st_size, path))
        total = sum(size for _, size, _ in entries)
        for _, size, path in sorted(entries):
            if total <= limit:
                return
            path.unlink(missing_ok=True)
            total -= size

    def _read(
        self, path: Path, read: Callable[[Path], _T], consequence: str, read_only: bool
    ) -> _T | None:
        """The content of a file; None if it is missing or corrupt."""
        try:
            content = read(path)
        except FileNotFoundError:
            return None
        except CorruptError:
            if not read_only:
                self._folder.quarantine(path, consequence)
            return None
        if not read_only:
            with contextlib.suppress(FileNotFoundError):
                os.utime(path)
        return content
