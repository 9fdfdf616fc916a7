"""Store: the folder of tickets, states, trials and studies, addressed by content."""

import contextlib
import json
import logging
import math
import os
import platform
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TypeVar

import filelock
import numpy as np

from ltx import identity, manifest, sealed
from ltx.effective import Effective
from ltx.errors import CorruptError, UsageError
from ltx.state import State
from ltx.task import Task
from ltx.ticket import Ticket
from ltx.trial import Trial

FORMAT = 1
_log = logging.getLogger("ltx")
_T = TypeVar("_T")


class Store:
    """A folder of sealed files; every write is atomic, every read is verified."""

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
                    sealed.write_json(mark, {"format": FORMAT})
        found = self._format(mark)
        if found != FORMAT:
            raise UsageError(
                f"store {self.path}: has format {found}, this ltx reads {FORMAT}; upgrade ltx"
            )
        sealed.sweep(self.path)

    @staticmethod
    def occupied(path: str | os.PathLike[str]) -> bool:
        """Whether there is anything at the path, a store or what is none."""
        there = Path(path).expanduser()
        return there.exists() and (not there.is_dir() or any(there.iterdir()))

    def _is_new(self) -> bool:
        """Whether the folder holds at most what a process leaves that is just making it a store."""
        started = ("locks", "ltx-store.json")
        return all(p.name in started or p.suffix == ".tmp" for p in self.path.iterdir())

    def _format(self, mark: Path) -> object:
        try:
            return sealed.read_json(mark).get("format")
        except CorruptError:
            # It says nothing that is not known: all files of this format carry their own digests.
            self.discard(mark, "writing it anew")
            sealed.write_json(mark, {"format": FORMAT})
            return FORMAT

    # Tickets

    def put_ticket(
        self,
        ticket: Ticket,
        task: Task,
        finder: object,
        finder_name: str,
        effective: Effective | None = None,
    ) -> str:
        """Store a ticket, its state and who found it; what is there and sound is left alone.

        A ticket that finders of several labels find is stored once, with a manifest of each.
        """
        path = self._file("tickets", ticket.id)
        self._put_state(ticket.state)
        header = manifest.of(ticket, task, finder, finder_name, effective)
        if self._sound(path, sealed.read_header) is None:
            sealed.write_arrays(path, manifest.packed(ticket.mask), header)
        # Also of the first finder: at this moment another process may write the ticket as its own.
        # The ticket comes first, so that a crash in between leaves none that nobody found.
        for found in self._found(ticket.id, finder_name, header["finder_settings"]):
            known = self._sound(found, sealed.read_json)
            if known is None:
                sealed.write_json(found, header)
                break
            if known["finder_settings"] == header["finder_settings"]:
                break
        return ticket.id

    def _found(self, id: str, finder: str, settings: object) -> list[Path]:
        """Where the manifest may be that a finder left of a ticket.

        The second place is for other settings under a label that found the same ticket before.
        """
        name = f"{id}.{identity.identity(finder)}"
        return [
            self._file("found", name, "json"),
            self._file("found", f"{name}.{identity.identity(settings)}", "json"),
        ]

    def found(self, id: str, finder: str, settings: object = None) -> dict | None:
        """The manifest that the finder of that label left of exactly this ticket, if it is sound.

        With `settings`, as plain data, that of the finder which had these.
        """
        for path in self._found(id, finder, settings):
            known = self._sound(path, sealed.read_json)
            if known and settings in (None, known["finder_settings"]):
                return known
        # A ticket of an older store has its own manifest only.
        header = self._sound(self._file("tickets", id), sealed.read_header)
        if header is None or header["finder"] != finder:
            return None
        return header if settings in (None, header["finder_settings"]) else None

    def ticket(self, id: str, finder: str = "") -> Ticket:
        """The ticket whose id is, or alone begins with, `id`.

        With the cost and the note that it has from the finder of that label, or from the first.
        """
        bits, header = sealed.read_arrays(self._find("tickets", id))
        if finder:
            every = self._every_manifest(header, self._records(header["id"]))
            if finder not in every:
                raise UsageError(
                    f"ticket {header['id']}: {finder!r} did not find it; it is of"
                    f" {', '.join(sorted(every))}"
                )
            header = every[finder]
        return manifest.ticket(header, bits, self._state(header["state"]))

    def header(self, id: str) -> dict | None:
        """The first finder's manifest of the ticket of exactly this id, if that is sound."""
        return self._sound(self._file("tickets", id), sealed.read_header)

    def manifest(self, id: str) -> dict:
        """All that is known of a ticket but its arrays.

        Under "finders" the labels of all who found it, under "densities" that of each weight
        tensor.
        """
        path = self._find("tickets", id)
        return self._described(path, self._records(path.stem))

    def manifests_of(self, ids: Iterable[str]) -> dict[str, dict]:
        """What `manifest` tells of these tickets by their whole ids, of those that are sound.

        Damaged ones are named in the log.
        """
        records, found = self._every_record(), {}
        for id in dict.fromkeys(ids):
            try:
                found[id] = self._described(self._file("tickets", id), records.get(id, []))
            except CorruptError as error:
                _log.error("%s", error)
            except FileNotFoundError:
                continue
        return found

    def _described(self, path: Path, records: Sequence[Path]) -> dict:
        bits, header = sealed.read_arrays(path)
        finders = sorted(self._every_manifest(header, records))
        return {**header, "finders": finders, "densities": manifest.densities(header, bits)}

    def packed(self, id: str) -> tuple[dict[str, np.ndarray], dict[str, int]] | None:
        """The masks of the ticket of exactly this id, one bit a weight, and how many weights.

        None where it is not there, or damaged.
        """
        try:
            bits, header = sealed.read_arrays(self._file("tickets", id))
        except (FileNotFoundError, CorruptError):
            return None
        return bits, {name: math.prod(shape) for name, shape in header["shapes"].items()}

    def manifests(self) -> list[dict]:
        """Those of all sound tickets, one for each finder's label that found it, in a fixed order.

        Damaged ones are named in the log.
        """
        records = self._every_record()
        found: list[dict] = []
        for path in self._files("tickets"):
            try:
                header = sealed.read_header(path)
            except CorruptError as error:
                _log.error("%s", error)
            else:
                found += self._every_manifest(header, records.get(header["id"], [])).values()
        order = ("data", "model", "finder", "seed", "level", "id")
        return sorted(found, key=lambda one: tuple(one[key] for key in order))

    def _records(self, id: str) -> list[Path]:
        """The files that say who found a ticket."""
        folder = self.path / "found"
        return sorted(folder.glob(f"{id}.*")) if folder.is_dir() else []

    def _every_record(self) -> dict[str, list[Path]]:
        """Those of all tickets by their ids, from one look at the folder."""
        records: dict[str, list[Path]] = {}
        for path in self._files("found"):
            records.setdefault(path.name.partition(".")[0], []).append(path)
        return records

    def _every_manifest(self, header: dict, records: Sequence[Path]) -> dict[str, dict]:
        """A ticket's manifests by their finders' labels, the first finder's among them."""
        every = {header["finder"]: header}
        for path in sorted(records, key=lambda path: len(path.name)):  # whoever was first
            try:
                document = sealed.read_json(path)
            except CorruptError as error:
                _log.error("%s", error)
            else:
                every.setdefault(document["finder"], document)
        return every

    def tickets(self, **wanted: object) -> list[Ticket]:
        """The tickets whose manifest has these values, as in `tickets(data="digits", seed=0)`.

        Each once, however many finders found it.
        """
        chosen: dict[str, str] = {}
        for one in self.manifests():
            if all(one.get(key) == value for key, value in wanted.items()):
                chosen.setdefault(one["id"], one["finder"])
        return [self.ticket(id, finder) for id, finder in chosen.items()]

    def _put_state(self, state: State) -> None:
        path = self._file("states", state.id)
        if self._sound(path, sealed.read_header) is None:
            sealed.write_arrays(path, state.arrays(), {"kind": "state", "id": state.id})

    def _state(self, id: str) -> State:
        path = self._file("states", id)
        try:
            return State.from_arrays(sealed.read_arrays(path)[0])
        except FileNotFoundError:
            raise CorruptError(
                f"{path}: a ticket's state is missing; run its study again"
            ) from None

    # Trials and studies

    def put_trial(self, trial: Trial) -> None:
        sealed.write_json(self._file("trials", trial.id, "json"), trial.document())

    def trial(self, id: str) -> Trial | None:
        """The trial of exactly this id, if it is there and sound."""
        return self._sound(self._file("trials", id, "json"), _trial)

    def trials(self, ids: Iterable[str] | None = None) -> list[Trial]:
        """All sound trials, or those of these ids; damaged ones are named in the log."""
        names = None if ids is None else sorted(set(ids))
        paths = (
            self._files("trials")
            if names is None
            else [self._file("trials", name, "json") for name in names]
        )
        found = []
        for path in paths:
            try:
                found.append(_trial(path))
            except CorruptError as error:
                _log.error("%s", error)
            except FileNotFoundError:
                continue
        return found

    def put_study(self, id: str, document: Mapping[str, object]) -> Path:
        """Record a study's provenance and results; the newest record replaces the older."""
        path = self._file("studies", id, "json")
        sealed.write_json(path, document)
        return path

    def study(self, id: str = "") -> dict:
        """The record of the study whose id is, or alone begins with, `id`; the latest for ""."""
        paths = self._files("studies")
        if not paths:
            raise UsageError(
                f"store {self.path}: no study was run into it; `ltx run --store={self.path}`"
                " with --gin_file runs one"
            )
        if not id:
            return self._record(max(paths, key=lambda path: path.stat().st_mtime_ns))
        matches = [path for path in paths if path.stem.startswith(id)]
        if len(matches) != 1:
            what = "no study begins" if not matches else f"{len(matches)} studies begin"
            raise UsageError(
                f"study {id!r}: {what} so in {self.path};"
                f" there are {', '.join(path.stem for path in paths)}"
            )
        return self._record(matches[0])

    def _record(self, path: Path) -> dict:
        try:
            return sealed.read_json(path)
        except CorruptError as error:
            text = f"{error}; the study's command writes it anew and trains nothing again"
            raise CorruptError(text) from error

    def studies(self) -> list[dict]:
        """The sound records of studies, the newest first; damaged ones are named in the log."""
        found = []
        for path in self._files("studies"):
            try:
                found.append((path.stat().st_mtime, sealed.read_json(path)))
            except CorruptError as error:
                _log.error("%s", error)
        return [record for _, record in sorted(found, key=lambda pair: -pair[0])]

    # Other documents

    def put_document(self, kind: str, id: str, document: Mapping[str, object]) -> None:
        """Store what is known of `id` in the folder `kind`."""
        sealed.write_json(self._file(kind, id, "json"), document)

    def document(self, kind: str, id: str) -> dict | None:
        """What is known of exactly this id, if it is there and sound."""
        return self._sound(self._file(kind, id, "json"), sealed.read_json)

    # Files

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

    def record(self, event: Mapping[str, object]) -> None:
        """Append to the log of work done; it is for people and tests, no result depends on it."""
        stamp = {"time": round(time.time(), 3), "pid": os.getpid(), "host": platform.node()}
        line = json.dumps({**stamp, **event}) + "\n"
        with contextlib.suppress(OSError), open(self.path / "log.jsonl", "a") as file:
            file.write(line)

    def events(self) -> Iterator[dict]:
        """What `record` appended; lines that a crash cut short are passed over."""
        with contextlib.suppress(FileNotFoundError), open(self.path / "log.jsonl") as file:
            for line in file:
                with contextlib.suppress(json.JSONDecodeError):
                    yield json.loads(line)

    def _file(self, kind: str, id: str, suffix: str = "safetensors") -> Path:
        return self.path / kind / f"{id}.{suffix}"

    def _files(self, kind: str) -> list[Path]:
        folder = self.path / kind
        if not folder.is_dir():
            return []
        # Names are sorted and not paths, which compare by their parts and take ten times as long.
        return [folder / name for name in sorted(os.listdir(folder)) if not name.startswith(".")]

    def _find(self, kind: str, id: str) -> Path:
        if (whole := self._file(kind, id)).is_file():
            return whole
        matches = [path for path in self._files(kind) if id and path.stem.startswith(id)]
        if len(matches) != 1:
            what = "no" if not matches else f"{len(matches)}"
            raise UsageError(
                f"{kind[:-1]} {id!r}: {what} {kind} in {self.path} have an id that begins so; `ltx"
                f" {kind} list --store={self.path}` lists them"
            )
        return matches[0]

    def _sound(self, path: Path, read: Callable[[Path], _T]) -> _T | None:
        """What the file holds; None where there is none or it was damaged and put aside."""
        try:
            return read(path)
        except FileNotFoundError:
            return None
        except CorruptError:
            self.discard(path, "making it anew")
            return None


def _trial(path: Path) -> Trial:
    """The trial of a file; one without an accuracy is damaged, whatever its digest says."""
    document = sealed.read_json(path)
    try:
        trial = Trial.from_document(document)
    except (KeyError, TypeError) as error:
        raise CorruptError(f"{path}: holds no whole trial ({error!r})") from error
    if not math.isfinite(trial.test.accuracy):
        raise CorruptError(f"{path}: its test accuracy is {trial.test.accuracy}, which is none")
    return trial
