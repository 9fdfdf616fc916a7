"""Which finders found a ticket: the manifest that each of them left."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from ltx.store import atomic_files, manifest, readers
from ltx.store.folder import StoreFolder

# What is different when other code finds the same ticket.
_REFRESHED = ("sources", "lab", "superseded")


class Provenance:
    """A file for each ticket and label of a finder that found it."""

    def __init__(self, folder: StoreFolder) -> None:
        self._folder = folder

    def put(self, ticket: Mapping) -> Path:
        """Write a finder's manifest, unless there is a valid one; return its path.

        One with the same settings is written again if it is superseded, or of other code.
        """
        settings, path = ticket["finder_settings"], Path()
        for path in self._candidates(ticket["id"], ticket["finder"], settings):
            present = self._folder.read_valid(path, _of(ticket))
            if present is None or present["finder_settings"] == settings:
                if present is None or any(present.get(k) != ticket.get(k) for k in _REFRESHED):
                    atomic_files.write_json(path, ticket)
                break
        return path

    def place(self, ticket: Mapping) -> Path:
        """Where the manifest of a finder is written if the ticket has no other."""
        return self._candidates(ticket["id"], ticket["finder"], ticket["finder_settings"])[0]

    def mark(self, path: Path, id: str, superseded: str | None) -> None:
        """Mark a finder's manifest as superseded, by what and why; None takes the mark off."""
        manifest = self._folder.read_valid(path, readers.found)
        if manifest is None:  # of an older store: in the ticket's own file only
            stored = self._folder.read_valid(self._folder.file("tickets", id), readers.ticket)
            manifest = stored and stored.manifest
        if manifest is not None:
            kept = {key: value for key, value in manifest.items() if key != "superseded"}
            marked = kept if superseded is None else {**kept, "superseded": superseded}
            atomic_files.write_json(path, marked)

    def manifest(self, ticket: Mapping, finder: str, settings: object = None) -> dict | None:
        """The manifest of a ticket from the finder with this label and, if given, these settings.

        `ticket` is the manifest in the ticket's own file.
        """
        for path in self._candidates(ticket["id"], finder, settings):
            present = self._folder.read_valid(path, _of(ticket))
            if present and settings in (None, present["finder_settings"]):
                return present
        return None

    def _candidates(self, id: str, finder: str, settings: object) -> list[Path]:
        """Where the manifest of a ticket from a finder may be."""
        named = {"id": id, "finder": finder, "finder_settings": settings}
        names = manifest.names(named)
        return [self._folder.file("found", name.removesuffix(".json")) for name in names]

    def paths(self, id: str) -> list[Path]:
        """The manifests of one ticket."""
        return [path for path in self._folder.files("found") if path.name.startswith(f"{id}.")]

    def paths_by_ticket(self) -> dict[str, list[Path]]:
        """The manifests of all tickets by id, from one listing of the folder."""
        paths: dict[str, list[Path]] = {}
        for path in self._folder.files("found"):
            paths.setdefault(path.name.partition(".")[0], []).append(path)
        return paths

    def by_label(self, ticket: dict, paths: Sequence[Path]) -> dict[str, dict]:
        """Read a ticket's manifests: by finder's label, with that in the ticket's own file."""
        manifests = {ticket["finder"]: ticket}
        # Shorter names first: of several manifests of a label, the one that was written first.
        ordered = sorted(paths, key=lambda path: len(path.name))
        for _, document in self._folder.read_all(ordered, _of(ticket)):
            first = manifests.setdefault(document["finder"], document)
            # The one in the ticket's own file is never written again; others are.
            same = document["finder_settings"] == first["finder_settings"]
            if same or (first.get("superseded") and not document.get("superseded")):
                manifests[document["finder"]] = document
        return manifests


def _of(ticket: Mapping) -> Callable[[Path], dict]:
    """A reader for the manifests of this ticket."""

    def read(path: Path) -> dict:
        document = readers.found(path)
        readers.same_ticket(ticket, document, path)
        return document

    return read
