"""Which finders found a ticket: the manifest that each of them left."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from ltx.core import identity
from ltx.store import atomic_files
from ltx.store.folder import StoreFolder


class Provenance:
    """A file for each ticket and label of a finder that found it."""

    def __init__(self, folder: StoreFolder) -> None:
        self._folder = folder

    def put(self, manifest: Mapping) -> None:
        """Write a finder's manifest, unless there is a valid one with the same settings."""
        finder, settings = manifest["finder"], manifest["finder_settings"]
        for path in self._candidates(manifest["id"], finder, settings):
            present = self._folder.read_valid(path, atomic_files.read_json)
            if present is None:
                atomic_files.write_json(path, manifest)
                break
            if present["finder_settings"] == settings:
                break

    def manifest(self, id: str, finder: str, settings: object = None) -> dict | None:
        """The manifest from the finder with this label and, if given, these settings."""
        for path in self._candidates(id, finder, settings):
            present = self._folder.read_valid(path, atomic_files.read_json)
            if present and settings in (None, present["finder_settings"]):
                return present
        return None

    def _candidates(self, id: str, finder: str, settings: object) -> list[Path]:
        """Where the manifest of a ticket from a finder may be.

        The second path serves a label under which other settings found the same ticket before.
        """
        name = f"{id}.{identity.identity(finder)}"
        return [
            self._folder.file("found", name),
            self._folder.file("found", f"{name}.{identity.identity(settings)}"),
        ]

    def paths(self, id: str) -> list[Path]:
        """The manifests of one ticket."""
        return [path for path in self._folder.files("found") if path.name.startswith(f"{id}.")]

    def paths_by_ticket(self) -> dict[str, list[Path]]:
        """The manifests of all tickets by id, from one listing of the folder."""
        paths: dict[str, list[Path]] = {}
        for path in self._folder.files("found"):
            paths.setdefault(path.name.partition(".")[0], []).append(path)
        return paths

    def by_label(self, header: dict, paths: Sequence[Path]) -> dict[str, dict]:
        """Read a ticket's manifests: by finder's label, with that in the ticket's own header."""
        manifests = {header["finder"]: header}
        # Shorter names first: of several manifests of a label, the one that was written first.
        ordered = sorted(paths, key=lambda path: len(path.name))
        for _, document in self._folder.read_all(ordered, atomic_files.read_json):
            manifests.setdefault(document["finder"], document)
        return manifests
