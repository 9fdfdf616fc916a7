"""Folder: the sealed files of a store, in one place that processes share."""

import contextlib
import logging
import os
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import TypeVar

import filelock

from ltx.core.errors import CorruptError, UsageError
from ltx.store import atomic_files

FORMAT = 1
_log = logging.getLogger("ltx")
_T = TypeVar("_T")


class StoreFolder:
    """A folder marked as a store's, with one below it for the files of each kind."""

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
        found = self._format(mark)
        if found != FORMAT:
            raise UsageError(
                f"store {self.path}: has format {found}, this ltx reads {FORMAT}; upgrade ltx"
            )
        atomic_files.sweep(self.path)

    def _is_new(self) -> bool:
        """Whether the folder holds at most what a process leaves that is just making it a store."""
        started = ("locks", "ltx-store.json")
        return all(p.name in started or p.suffix == ".tmp" for p in self.path.iterdir())

    def _format(self, mark: Path) -> object:
        try:
            return atomic_files.read_json(mark).get("format")
        except CorruptError:
            # It says nothing that is not known: all files of this format carry their own digests.
            self.discard(mark, "writing it anew")
            atomic_files.write_json(mark, {"format": FORMAT})
            return FORMAT

    # Files

    def file(self, kind: str, id: str, suffix: str = "safetensors") -> Path:
        return self.path / kind / f"{id}.{suffix}"

    def files(self, kind: str) -> list[Path]:
        """All files of a kind, in the order of their names."""
        folder = self.path / kind
        if not folder.is_dir():
            return []
        # Names are sorted and not paths, which compare by their parts and take ten times as long.
        return [folder / name for name in sorted(os.listdir(folder)) if not name.startswith(".")]

    def find(self, kind: str, id: str) -> Path:
        """The file whose id is, or alone begins with, `id`."""
        if (whole := self.file(kind, id)).is_file():
            return whole
        matches = [path for path in self.files(kind) if id and path.stem.startswith(id)]
        if len(matches) != 1:
            what = "no" if not matches else f"{len(matches)}"
            raise UsageError(
                f"{kind[:-1]} {id!r}: {what} {kind} in {self.path} have an id that begins so; `ltx"
                f" {kind} list --store={self.path}` lists them"
            )
        return matches[0]

    def sound(self, path: Path, read: Callable[[Path], _T]) -> _T | None:
        """What the file holds; None where there is none or it was damaged and put aside."""
        try:
            return read(path)
        except FileNotFoundError:
            return None
        except CorruptError:
            self.discard(path, "making it anew")
            return None

    def read(self, paths: Iterable[Path], read: Callable[[Path], _T]) -> Iterator[tuple[Path, _T]]:
        """What each file holds that is there and sound; damaged ones are named in the log."""
        for path in paths:
            try:
                content = read(path)
            except CorruptError as error:
                _log.error("%s", error)
            except FileNotFoundError:
                continue
            else:
                yield path, content

    # Between processes

    def lock(self, key: str) -> filelock.BaseFileLock:
        """A lock between processes, freed by the system when its holder dies."""
        folder = self.path / "locks"
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise UsageError(
                f"store {self.path}: {error.strerror}; choose another --store"
            ) from error
        return filelock.FileLock(folder / f"{key}.lock")

    def discard(self, path: Path, consequence: str) -> None:
        """Put a damaged file aside, say so, and say what follows."""
        aside = self.path / "damaged"
        aside.mkdir(exist_ok=True)
        _log.warning("%s is damaged: put aside in %s, %s", path, aside, consequence)
        with contextlib.suppress(FileNotFoundError):
            os.replace(path, aside / f"{path.name}.{time.time_ns()}")
