"""Store: the folder of tickets, states, trials and studies, addressed by content."""

import math
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

import filelock
import numpy as np

from ltx.core.errors import CorruptError, UsageError
from ltx.core.state import State
from ltx.core.task import Task
from ltx.core.ticket import Ticket
from ltx.evaluation.effective_sparsity import EffectiveSparsity
from ltx.evaluation.instability import Instability
from ltx.evaluation.trial import Trial
from ltx.store import atomic_files, manifest
from ltx.store.event_log import Event, EventLog
from ltx.store.folder import Kind, StoreFolder
from ltx.store.memo_cache import MemoCache
from ltx.store.provenance import Provenance


class Store:
    """A folder of sealed files; every write is atomic, every read is verified."""

    def __init__(self, path: str | os.PathLike[str], create: bool = True) -> None:
        self._folder = StoreFolder(path, create)
        self._found = Provenance(self._folder)
        self._log = EventLog(self._folder.log)
        self.memo = MemoCache(self._folder)

    @property
    def path(self) -> Path:
        return self._folder.path

    @staticmethod
    def occupied(path: str | os.PathLike[str]) -> bool:
        """Whether there is anything at the path, a store or what is none."""
        there = Path(path).expanduser()
        return there.exists() and (not there.is_dir() or any(there.iterdir()))

    # Tickets

    def put_ticket(
        self,
        ticket: Ticket,
        task: Task,
        finder: object,
        finder_name: str,
        effective: EffectiveSparsity | None = None,
    ) -> str:
        """Store a ticket, its state and who found it; what is there and sound is left alone.

        A ticket that finders of several labels find is stored once, with a manifest of each.
        """
        path = self._folder.file("tickets", ticket.id)
        self._put_state(ticket.state)
        header = manifest.of(ticket, task, finder, finder_name, effective)
        if self._folder.sound(path, atomic_files.read_header) is None:
            atomic_files.write_arrays(path, manifest.packed(ticket.mask), header)
        # Also of the first finder: at this moment another process may write the ticket as its own.
        # The ticket comes first, so that a crash in between leaves none that nobody found.
        self._found.put(header)
        return ticket.id

    def found(self, id: str, finder: str, settings: object = None) -> dict | None:
        """The manifest that the finder of that label left of exactly this ticket, if it is sound.

        With `settings`, as plain data, that of the finder which had these.
        """
        if known := self._found.manifest(id, finder, settings):
            return known
        # A ticket of an older store has its own manifest only.
        header = self._folder.sound(self._folder.file("tickets", id), atomic_files.read_header)
        if header is None or header["finder"] != finder:
            return None
        return header if settings in (None, header["finder_settings"]) else None

    def ticket(self, id: str, finder: str = "") -> Ticket:
        """The ticket whose id is, or alone begins with, `id`.

        With the cost and the note that it has from the finder of that label, or from the first.
        """
        bits, header = atomic_files.read_arrays(self._folder.find("tickets", id))
        if finder:
            every = self._found.by_label(header, self._found.paths(header["id"]))
            if finder not in every:
                raise UsageError(
                    f"ticket {header['id']}: {finder!r} did not find it; it is of"
                    f" {', '.join(sorted(every))}"
                )
            header = every[finder]
        return manifest.ticket(header, bits, self._state(header["state"]))

    def header(self, id: str) -> dict | None:
        """The first finder's manifest of the ticket of exactly this id, if that is sound."""
        return self._folder.sound(self._folder.file("tickets", id), atomic_files.read_header)

    def manifest(self, id: str) -> dict:
        """All that is known of a ticket but its arrays.

        Under "finders" the labels of all who found it, under "densities" that of each weight
        tensor.
        """
        path = self._folder.find("tickets", id)
        return self._described(path, self._found.paths(path.stem))

    def manifests_of(self, ids: Iterable[str]) -> dict[str, dict]:
        """What `manifest` tells of these tickets by their whole ids, of those that are sound.

        Damaged ones are named in the log.
        """
        records = self._found.all_paths()
        paths = [self._folder.file("tickets", id) for id in dict.fromkeys(ids)]
        found = self._folder.read(
            paths, lambda path: self._described(path, records.get(path.stem, []))
        )
        return {path.stem: manifest for path, manifest in found}

    def _described(self, path: Path, records: Sequence[Path]) -> dict:
        bits, header = atomic_files.read_arrays(path)
        finders = sorted(self._found.by_label(header, records))
        return {**header, "finders": finders, "densities": manifest.densities(header, bits)}

    def packed(self, id: str) -> tuple[dict[str, np.ndarray], dict[str, int]] | None:
        """The masks of the ticket of exactly this id, one bit a weight, and how many weights.

        None where it is not there, or damaged.
        """
        try:
            bits, header = atomic_files.read_arrays(self._folder.file("tickets", id))
        except (FileNotFoundError, CorruptError):
            return None
        return bits, {name: math.prod(shape) for name, shape in header["shapes"].items()}

    def manifests(self) -> list[dict]:
        """Those of all sound tickets, one for each finder's label that found it, in a fixed order.

        Damaged ones are named in the log.
        """
        records = self._found.all_paths()
        found: list[dict] = []
        for _, header in self._folder.read(self._folder.files("tickets"), atomic_files.read_header):
            found += self._found.by_label(header, records.get(header["id"], [])).values()
        order = ("data", "model", "finder", "seed", "level", "id")
        return sorted(found, key=lambda one: tuple(one[key] for key in order))

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
        path = self._folder.file("states", state.id)
        if self._folder.sound(path, atomic_files.read_header) is None:
            atomic_files.write_arrays(path, state.arrays(), {"kind": "state", "id": state.id})

    def _state(self, id: str) -> State:
        path = self._folder.file("states", id)
        try:
            return State.from_arrays(atomic_files.read_arrays(path)[0])
        except FileNotFoundError:
            raise CorruptError(
                f"{path}: a ticket's state is missing; run its study again"
            ) from None

    # Trials

    def put_trial(self, trial: Trial) -> None:
        atomic_files.write_json(self._folder.file("trials", trial.id), trial.document())

    def trial(self, id: str) -> Trial | None:
        """The trial of exactly this id, if it is there and sound."""
        return self._folder.sound(self._folder.file("trials", id), _trial)

    def trials(self, ids: Iterable[str] | None = None) -> list[Trial]:
        """All sound trials, or those of these ids; damaged ones are named in the log."""
        if ids is None:
            paths = self._folder.files("trials")
        else:
            paths = [self._folder.file("trials", id) for id in sorted(set(ids))]
        return [trial for _, trial in self._folder.read(paths, _trial)]

    # Instability

    def put_instability(self, instability: Instability) -> None:
        path = self._folder.file("stability", instability.id)
        atomic_files.write_json(path, instability.document())

    def instability(self, id: str) -> Instability | None:
        """The measured instability of exactly this id; None if it is missing or corrupt."""
        return self._folder.sound(self._folder.file("stability", id), _instability)

    # Studies

    def put_study(self, id: str, document: Mapping[str, object]) -> Path:
        """Record a study's provenance and results; the newest record replaces the older."""
        path = self._folder.file("studies", id)
        atomic_files.write_json(path, document)
        return path

    def study(self, id: str = "") -> dict:
        """The record of the study whose id is, or alone begins with, `id`; the latest for ""."""
        paths = self._folder.files("studies")
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
            return atomic_files.read_json(path)
        except CorruptError as error:
            text = f"{error}; the study's command writes it anew and trains nothing again"
            raise CorruptError(text) from error

    def studies(self) -> list[dict]:
        """The sound records of studies, the newest first; damaged ones are named in the log."""
        found = self._folder.read(self._folder.files("studies"), atomic_files.read_json)
        dated = [(path.stat().st_mtime, record) for path, record in found]
        return [record for _, record in sorted(dated, key=lambda pair: -pair[0])]

    # Work

    def exists(self, kind: Kind, id: str) -> bool:
        """Whether there is a file of this kind and of exactly this id; it is not read."""
        return self._folder.exists(kind, id)

    def lock(self, key: str) -> filelock.BaseFileLock:
        """A lock between processes, freed by the system when its holder dies."""
        return self._folder.lock(key)

    def is_locked(self, key: str) -> bool:
        """Whether a process holds the lock; creates no lock file."""
        return self._folder.is_locked(key)

    def log_event(self, event: Event) -> None:
        """Append an event to the log, with the time and this process."""
        self._log.log(event)

    def events(self) -> Iterator[Event]:
        """All events of the log in their order; truncated lines are skipped."""
        return self._log.events()


def _trial(path: Path) -> Trial:
    """Read a trial; CorruptError for one without an accuracy, even if its digest is right."""
    document = atomic_files.read_json(path)
    try:
        trial = Trial.from_document(document)
    except (KeyError, TypeError) as error:
        raise CorruptError(f"{path}: holds no whole trial ({error!r})") from error
    if not math.isfinite(trial.test.accuracy):
        raise CorruptError(f"{path}: its test accuracy is {trial.test.accuracy}, which is none")
    return trial


def _instability(path: Path) -> Instability:
    document = atomic_files.read_json(path)
    try:
        return Instability.from_document(document)
    except (KeyError, TypeError) as error:
        raise CorruptError(f"{path}: holds no whole instability ({error!r})") from error
