"""Store: the folder of tickets, states, trials and studies, addressed by content."""

import json
import math
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

import filelock
import numpy as np

from ltx.core import seal
from ltx.core.errors import CorruptError, UsageError
from ltx.core.state import State
from ltx.core.task import Task
from ltx.core.ticket import Ticket
from ltx.evaluation.effective_sparsity import EffectiveSparsity
from ltx.evaluation.instability import Instability
from ltx.evaluation.trial import Trial
from ltx.store import atomic_files, cells, manifest, readers
from ltx.store.cells import CellIndex, CellSearch
from ltx.store.event_log import Event, EventLog
from ltx.store.folder import Kind, StoreFolder
from ltx.store.memo_cache import MemoCache
from ltx.store.provenance import Provenance


class Store:
    """A folder of files with digests; every write is atomic, every read is verified.

    `memo` is its cache of trainings.
    """

    def __init__(self, path: str | os.PathLike[str], create: bool = True) -> None:
        self._folder = StoreFolder(path, create)
        self._provenance = Provenance(self._folder)
        self._log = EventLog(self._folder.log)
        self.memo = MemoCache(self._folder)
        self._index: CellIndex | None = None  # of all manifests, read by the first search

    @property
    def path(self) -> Path:
        return self._folder.path

    @staticmethod
    def occupied(path: str | os.PathLike[str]) -> bool:
        """Whether the path is a file or a folder that is not empty, a store or not."""
        path = Path(path).expanduser()
        return path.exists() and (not path.is_dir() or any(path.iterdir()))

    # Tickets

    def put_ticket(
        self,
        ticket: Ticket,
        task: Task,
        finder: object,
        finder_name: str,
        effective: EffectiveSparsity | None = None,
        lab: Mapping[str, str] | None = None,
        search: CellSearch | None = None,
    ) -> str:
        """Store a ticket, its state and its finder's manifest; valid files are not rewritten.

        A ticket that finders of several labels find is stored once, with a manifest of each. `lab`
        is the lab's origin. With `search`, other tickets of the cell and level are superseded.
        """
        path = self._folder.file("tickets", ticket.id)
        self._put_state(ticket.state)
        header = manifest.of(ticket, task, finder, finder_name, effective, lab or {})
        if self._folder.read_valid(path, readers.ticket) is None:
            atomic_files.write_arrays(path, manifest.packed(ticket.mask), header)
        # Also of the first finder: at this moment another process may write the ticket as its own.
        # The ticket comes first, so that a crash in between leaves no provenance without a ticket.
        # Its JSON form is compared with what is there: with lists for tuples.
        header = json.loads(json.dumps(header))
        place = self._provenance.put(header)
        if search:
            search.found(place, header)
        return ticket.id

    def search(self, task: Task, finder: object, seed: int) -> CellSearch:
        """Begin a search of a cell, which compares its tickets with those that are stored."""
        index = self._index = self._index or CellIndex(self._folder, self._provenance)
        return CellSearch(index, cells.key(task, finder, seed))

    def ticket(self, id: str, finder: str = "") -> Ticket:
        """Look up a ticket by id or unique id prefix.

        Its cost and note are those from the finder of that label, or from the first finder.
        """
        header, bits = readers.ticket(self._folder.find("tickets", id))
        if finder:
            by_label = self._provenance.by_label(header, self._provenance.paths(header["id"]))
            if finder not in by_label:
                raise UsageError(
                    f"ticket {header['id']}: {finder!r} did not find it; it is of"
                    f" {', '.join(sorted(by_label))}"
                )
            header = by_label[finder]
        state = self._state(header["state"])
        if state.step != header["step"]:
            raise CorruptError(
                f"ticket {header['id']}: expected step {state.step}, that of its state, got"
                f" {header['step']}; delete it and run its study again"
            )
        return manifest.ticket(header, bits, state)

    def tickets(self, **wanted: object) -> list[Ticket]:
        """The tickets whose manifest has these values, as in `tickets(data="digits", seed=0)`.

        Each once, however many finders found it.
        """
        chosen: dict[str, str] = {}
        for one in self.manifests():
            if all(one.get(key) == value for key, value in wanted.items()):
                chosen.setdefault(one["id"], one["finder"])
        return [self.ticket(id, finder) for id, finder in chosen.items()]

    def packed(self, id: str) -> tuple[dict[str, np.ndarray], dict[str, int]] | None:
        """A ticket's masks, one bit per weight, and the number of weights in each.

        None if the ticket of exactly this id is missing or corrupt.
        """
        try:
            header, bits = readers.ticket(self._folder.file("tickets", id))
        except (FileNotFoundError, CorruptError):
            return None
        return bits, {name: math.prod(shape) for name, shape in header["shapes"].items()}

    def _put_state(self, state: State) -> None:
        path = self._folder.file("states", state.id)
        if self._folder.read_valid(path, readers.state) is None:
            atomic_files.write_arrays(path, state.arrays(), {"kind": "state", "id": state.id})

    def _state(self, id: str) -> State:
        path = self._folder.file("states", id)
        try:
            return readers.state(path)
        except FileNotFoundError:
            raise CorruptError(
                f"{path}: a ticket's state is missing; run its study again"
            ) from None

    # Manifests: all of a ticket but its arrays

    def manifest(self, id: str) -> dict:
        """The first finder's manifest of the ticket with this id or unique id prefix.

        It also has "finders", the labels of all who found the ticket, "densities", the density of
        each weight tensor, and "found", by label, with what lab, and by what it is superseded.
        """
        path = self._folder.find("tickets", id)
        return self._described(path, self._provenance.paths(path.stem))

    def manifests_by_id(self, ids: Iterable[str]) -> dict[str, dict]:
        """`manifest` of each of these whole ids; missing and corrupt tickets are left out."""
        provenance = self._provenance.paths_by_ticket()
        paths = [self._folder.file("tickets", id) for id in dict.fromkeys(ids)]
        described = self._folder.read_all(
            paths, lambda path: self._described(path, provenance.get(path.stem, []))
        )
        return {path.stem: manifest for path, manifest in described}

    def manifests(self) -> list[dict]:
        """One manifest for each ticket and finder's label, in a fixed order.

        Corrupt tickets are logged and left out.
        """
        provenance = self._provenance.paths_by_ticket()
        manifests: list[dict] = []
        paths = self._folder.files("tickets")
        for _, (header, _) in self._folder.read_all(paths, readers.ticket):
            by_label = self._provenance.by_label(header, provenance.get(header["id"], []))
            manifests += by_label.values()
        order = ("data", "model", "finder", "seed", "level", "id")
        return sorted(manifests, key=lambda one: tuple(one[key] for key in order))

    def find_manifest(
        self, id: str, finder: str | None = None, settings: object = None
    ) -> dict | None:
        """A manifest of the ticket of exactly this id; None if it is missing or corrupt.

        That of the first finder, or of the finder with this label and, if given, these settings
        (as plain data).
        """
        path = self._folder.file("tickets", id)
        stored = self._folder.read_valid(path, readers.ticket)
        if stored is None:
            return None
        header = stored.manifest
        if finder is not None and (one := self._provenance.manifest(header, finder, settings)):
            return one
        # A ticket of an older store has its own manifest only.
        if finder not in (None, header["finder"]):
            return None
        return header if settings in (None, header["finder_settings"]) else None

    def _described(self, path: Path, provenance: Sequence[Path]) -> dict:
        header, bits = readers.ticket(path)
        by_label = self._provenance.by_label(header, provenance)
        return {
            **by_label[header["finder"]],
            "finders": sorted(by_label),
            "densities": manifest.densities(header, bits),
            "found": manifest.marks(by_label),
        }

    # Trials

    def put_trial(self, trial: Trial) -> None:
        atomic_files.write_json(self._folder.file("trials", trial.id), trial.document())

    def trial(self, id: str) -> Trial | None:
        """The trial of exactly this id; None if it is missing or corrupt."""
        return self._folder.read_valid(self._folder.file("trials", id), readers.trial)

    def trials(self, ids: Iterable[str] | None = None) -> list[Trial]:
        """All trials, or those of these ids; corrupt ones are logged and left out."""
        if ids is None:
            paths = self._folder.files("trials")
        else:
            paths = [self._folder.file("trials", id) for id in sorted(set(ids))]
        return [trial for _, trial in self._folder.read_all(paths, readers.trial)]

    # Instability

    def put_instability(self, instability: Instability) -> None:
        path = self._folder.file("stability", instability.id)
        atomic_files.write_json(path, instability.document())

    def instability(self, id: str) -> Instability | None:
        """The measured instability of exactly this id; None if it is missing or corrupt."""
        return self._folder.read_valid(self._folder.file("stability", id), readers.instability)

    # Studies

    def put_study(self, id: str, document: Mapping[str, object]) -> Path:
        """Write a study's record; it replaces the older one."""
        path = self._folder.file("studies", id)
        atomic_files.write_json(path, document)
        return path

    def study(self, id: str = "") -> dict:
        """Look up a study's record by id or unique id prefix; the latest for ""."""
        seal.require_open("Store.study")
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
            return readers.study(path)
        except CorruptError as error:
            text = f"{error}; the study's command writes it anew and trains nothing again"
            raise CorruptError(text) from error

    def studies(self) -> list[dict]:
        """The records of all studies, newest first; corrupt ones are logged and left out."""
        seal.require_open("Store.studies")
        records = self._folder.read_all(self._folder.files("studies"), readers.study)
        dated = [(path.stat().st_mtime, record) for path, record in records]
        return [record for _, record in sorted(dated, key=lambda pair: -pair[0])]

    def exists(self, kind: Kind, id: str) -> bool:
        """Whether there is a file of this kind and of exactly this id; it is not read."""
        return self._folder.exists(kind, id)

    # Locks and the event log

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
