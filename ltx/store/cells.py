"""Cells: which tickets a store has of each task, finder and seed, and what supersedes which.

A cell that is searched again should give the same tickets. Where it gives another one, because
code changed or the finder is not deterministic, the earlier one stays in the store, marked as
superseded.
"""

import dataclasses
import logging
from collections.abc import Iterator, Mapping
from pathlib import Path

from ltx.core import identity
from ltx.core.environment import UNKNOWN
from ltx.core.task import Task
from ltx.store import readers
from ltx.store.folder import StoreFolder
from ltx.store.provenance import Provenance

_log = logging.getLogger("ltx")


def key(task: Task, finder: object, seed: int) -> str:
    """The key of a cell; labels are no part of it."""
    return identity.identity([identity.describe(task), identity.describe(finder), seed])


# What is compared, and so held for each manifest of the store.
_COMPARED = ("id", "level", "lab", "sources", "versions", "superseded")


@dataclasses.dataclass
class StoredTicket:
    """A part of the manifest that a finder left of a ticket, and where that is."""

    path: Path
    manifest: dict

    @property
    def id(self) -> str:
        return self.manifest["id"]

    @property
    def level(self) -> int:
        return self.manifest["level"]

    def may_differ_from(self, other: Mapping) -> bool:
        """Whether data or engine, which are no part of a cell, are other ones."""
        one, two = self.manifest.get("lab", {}), other.get("lab", {})
        return any(one[name] != two[name] for name in one.keys() & two.keys() - {"model"})


class CellIndex:
    """The manifests of a store by cell, from one reading of them."""

    def __init__(self, folder: StoreFolder, provenance: Provenance) -> None:
        self._provenance = provenance
        self._cells: dict[str, dict[Path, StoredTicket]] = {}
        labelled = set()
        for path, one in folder.read_all(folder.files("found"), readers.found):
            labelled.add(one["id"])
            self.add(path, one)
        # Stores of older versions have manifests in the tickets' own files only.
        own = [path for path in folder.files("tickets") if path.stem not in labelled]
        for _, (one, _) in folder.read_all(own, readers.ticket):
            self.add(provenance.place(one), one)

    def add(self, path: Path, manifest: Mapping) -> None:
        parts = [manifest["task"], manifest["finder_settings"], manifest["seed"]]
        kept = {name: manifest[name] for name in _COMPARED if name in manifest}
        self._cells.setdefault(identity.identity(parts), {})[path] = StoredTicket(path, kept)

    def tickets(self, cell: str) -> list[StoredTicket]:
        """The tickets of a cell that are not superseded."""
        tickets = self._cells.get(cell, {}).values()
        return [one for one in tickets if not one.manifest.get("superseded")]

    def supersede(self, one: StoredTicket, text: str) -> None:
        self._provenance.mark(one.path, one.id, text)
        one.manifest["superseded"] = text

    def restore(self, cell: str, id: str) -> None:
        """Take the mark off a ticket that is found again, of whatever label."""
        for one in self._cells.get(cell, {}).values():
            if one.id == id and one.manifest.pop("superseded", None):
                self._provenance.mark(one.path, one.id, None)


class CellSearch:
    """One search of a cell: the tickets that it finds supersede others of their levels.

    A context that the search runs in. At its end, unless an error ended it, the tickets of levels
    that were not reached are superseded, too.
    """

    def __init__(self, index: CellIndex, cell: str) -> None:
        self._index, self._cell = index, cell
        self._found: set[str] = set()
        self._last: Mapping | None = None

    def __enter__(self) -> "CellSearch":
        return self

    def __exit__(self, error: type[BaseException] | None, *rest: object) -> None:
        if self._last is None:
            return
        self._close_level(self._last)
        if error is None:
            for one in self._others(self._last):
                self._supersede(one, "because no search finds it any more", self._last)

    def found(self, path: Path, manifest: Mapping) -> None:
        """Count a ticket that was stored as found by this search."""
        # Of one level there may be several, so all are compared when it is complete.
        if self._last is not None and self._last["level"] != manifest["level"]:
            self._close_level(self._last)
        self._index.add(path, manifest)
        self._index.restore(self._cell, manifest["id"])
        self._found.add(manifest["id"])
        self._last = manifest

    def _close_level(self, last: Mapping) -> None:
        for one in self._others(last):
            if one.level == last["level"]:
                self._supersede(one, f"by {last['id']}", last)

    def _others(self, last: Mapping) -> Iterator[StoredTicket]:
        for one in self._index.tickets(self._cell):
            if one.id not in self._found and not one.may_differ_from(last):
                yield one

    def _supersede(self, one: StoredTicket, text: str, last: Mapping) -> None:
        text = f"{text}: {reason(one.manifest, last)}"
        self._index.supersede(one, text)
        _log.warning(
            "%s on %s/%s, seed %d, level %d: ticket %s is superseded %s",
            *(last[name] for name in ("finder", "data", "model", "seed")),
            *(one.level, one.id, text),
        )


def reason(old: Mapping, new: Mapping) -> str:
    """Why a cell gave another ticket than before, as far as two manifests say."""
    if "sources" not in old:
        return "unknown, as the ltx that found it kept no hashes of code"
    models = [one.get("lab", {}).get("model") for one in (old, new)]
    if models[0] != models[1]:
        return f"the code of the model changed from {models[0]} to {models[1]}"
    for what, group in (("the code of ", "sources"), ("", "versions")):
        for name in sorted(old[group].keys() | new[group].keys()):
            one, two = old[group].get(name), new[group].get(name)
            if one != two:
                return f"{what}{name} changed from {one} to {two}"
    if unread := [name for name, text in new["sources"].items() if text == UNKNOWN]:
        return f"unknown, as the code of {unread[0]} cannot be read"
    if new.get("lab", {}).get("deterministic") == "no":
        return "Engine.deterministic is False"
    return (
        "same code: the finder is not deterministic, it draws from something outside lab, or"
        " another machine trained it"
    )
