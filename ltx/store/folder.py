"""The layout of a store's folder: where every file lives, and the locks that processes share."""

import contextlib
import logging
import os
import re
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Literal, TypeVar

import filelock

from ltx.core.errors import CorruptError, UsageError
from ltx.store import atomic_files, readers

FORMAT = 1
Kind = Literal["tickets", "found", "states", "trials", "stability", "studies"]
_SUFFIXES: dict[Kind, str] = {
    "tickets": "safetensors",
    "found": "json",
    "states": "safetensors",
    "trials": "json",
    "stability": "json",
    "studies": "json",
}
_CHECKPOINT = ".checkpoint.safetensors"
_MEMO_RUN = re.compile(r"(0|[1-9]\d{0,17})(\.checkpoint)?\.safetensors")
_PLAIN = re.compile(r"\A[A-Za-z0-9_][A-Za-z0-9_. -]{0,127}\Z")
_log = logging.getLogger("ltx")
_T = TypeVar("_T")


class StoreFolder:
    """A folder marked as a store's, with a folder in it for the files of each kind.

    No other module builds a path in it.
    """

    def __init__(self, path: str | os.PathLike[str], create: bool = True) -> None:
        self.path = Path(path).expanduser()
        mark = self.path / "ltx-store.json"
        if self.path.exists() and not self.path.is_dir():
            raise UsageError(
                f"store {self.path}: expected a folder, got a file; choose another --store"
            )
        if not mark.exists():
            if not create:
                raise UsageError(
                    f"store {self.path}: no store there; `ltx run --store={self.path}` makes one"
                )
            if self.path.is_dir() and not self._is_new() and not mark.exists():
                raise UsageError(
                    f"store {self.path}: the folder holds other things; choose an empty one"
                )
            with self.lock("store"):
                if not mark.exists():
                    atomic_files.write_json(mark, {"format": FORMAT})
        version = self._format(mark)
        if version != FORMAT or isinstance(version, bool):
            shown = " ".join(str(version).split())[:40]
            raise UsageError(
                f"store {self.path}: has format {shown}, this ltx reads {FORMAT}; upgrade ltx"
            )
        atomic_files.sweep(self.path)

    def _is_new(self) -> bool:
        """Whether it holds no more than another process leaves while it creates the store."""
        initial = ("locks", "ltx-store.json")
        return all(p.name in initial or p.suffix == ".tmp" for p in self.path.iterdir())

    def _format(self, mark: Path) -> object:
        try:
            return readers.mark(mark)
        except CorruptError:
            # Nothing is lost with it: all files of this format carry their own digests.
            self.quarantine(mark, "writing it again")
            atomic_files.write_json(mark, {"format": FORMAT})
            return FORMAT

    # Files by kind and id

    def file(self, kind: Kind, id: str) -> Path:
        """The path of an id's file, which is always within the store."""
        if not _PLAIN.match(id):
            raise UsageError(
                f"{kind[:-1]} {id[:80]!r}: expected an id of letters and digits, which is a"
                " file's name"
            )
        return self.path / kind / f"{id}.{_SUFFIXES[kind]}"

    def exists(self, kind: Kind, id: str) -> bool:
        """Whether there is a file of exactly this id; it is not read."""
        return self.file(kind, id).exists()

    def files(self, kind: Kind) -> list[Path]:
        """All files of a kind, in the order of their names."""
        folder = self.path / kind
        if not folder.is_dir():
            return []
        # Names are sorted and not paths, which compare by their parts and take ten times as long.
        return [folder / name for name in sorted(os.listdir(folder)) if not name.startswith(".")]

    def find(self, kind: Kind, id: str) -> Path:
        """The file of an id or of the unique id that starts with `id`; UsageError without one."""
        if _PLAIN.match(id) and (exact := self.file(kind, id)).is_file():
            return exact
        matches = [path for path in self.files(kind) if id and path.stem.startswith(id)]
        if len(matches) != 1:
            what = "no" if not matches else f"{len(matches)}"
            raise UsageError(
                f"{kind[:-1]} {id!r}: {what} {kind} in {self.path} have an id that begins so; `ltx"
                f" {kind} list --store={self.path}` lists them"
            )
        return matches[0]

    def read_valid(self, path: Path, read: Callable[[Path], _T]) -> _T | None:
        """Read a file; None if it is missing or corrupt (a corrupt file is quarantined)."""
        try:
            return read(path)
        except FileNotFoundError:
            return None
        except CorruptError:
            self.quarantine(path, "it has to be made again")
            return None

    def read_all(
        self, paths: Iterable[Path], read: Callable[[Path], _T]
    ) -> Iterator[tuple[Path, _T]]:
        """Read each file that exists and is valid; errors of corrupt ones are logged."""
        for path in paths:
            try:
                content = read(path)
            except CorruptError as error:
                _log.error("%s", error)
            except FileNotFoundError:
                continue
            else:
                yield path, content

    def quarantine(self, path: Path, consequence: str) -> None:
        """Move a corrupt file to damaged/ and log a warning that names the consequence."""
        aside = self.path / "damaged"
        aside.mkdir(exist_ok=True)
        _log.warning("%s is damaged: put aside in %s, %s", path, aside, consequence)
        with contextlib.suppress(FileNotFoundError):
            os.replace(path, aside / f"{path.name}.{time.time_ns()}")

    # The event log

    @property
    def log(self) -> Path:
        return self.path / "log.jsonl"

    # The memo: a folder for each key

    def memo_run(self, key: str, step: int, checkpoint: bool = False) -> Path:
        """The state of a training at a step; a checkpoint's name is its own."""
        return self.path / "memo" / key / f"{step}{_CHECKPOINT if checkpoint else '.safetensors'}"

    def memo_runs(self, key: str, checkpoints: bool = False) -> dict[int, Path]:
        """All states of a training by step, or only its checkpoints."""
        runs = {}
        with contextlib.suppress(FileNotFoundError, NotADirectoryError):
            for name in os.listdir(folder := self.path / "memo" / key):
                match = _MEMO_RUN.fullmatch(name)
                if match and (match[2] or not checkpoints):
                    runs[int(match[1])] = folder / name
        return runs

    def memo_numbers(self, key: str) -> Path:
        """The numbers that were computed for a key."""
        return self.path / "memo" / key / "numbers.json"

    def memo_files(self) -> Iterator[Path]:
        """All files of the memo, in no order."""
        return (self.path / "memo").glob("*/[!.]*")

    # Locks

    def lock(self, key: str) -> filelock.BaseFileLock:
        """A lock between processes, freed by the system when its holder dies."""
        path = self._lock_file(key)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise UsageError(
                f"store {self.path}: {error.strerror}; choose another --store"
            ) from error
        return filelock.FileLock(path)

    def is_locked(self, key: str) -> bool:
        """Whether a process holds the lock; creates no lock file."""
        path = self._lock_file(key)
        if not path.exists():
            return False
        try:
            with filelock.FileLock(path, timeout=0):
                return False
        except filelock.Timeout:
            return True

    def _lock_file(self, key: str) -> Path:
        return self.path / "locks" / f"{key}.lock"
