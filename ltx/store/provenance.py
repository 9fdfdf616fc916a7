"""Found: the manifest that each finder left of a ticket which it found."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from ltx.core import identity
from ltx.store import atomic_files
from ltx.store.folder import StoreFolder


class Provenance:
    """Who found which ticket; a ticket that finders of several labels find has a file of each."""

    def __init__(self, folder: StoreFolder) -> None:
        self._folder = folder

    def put(self, manifest: Mapping) -> None:
        """Add a finder's manifest, unless a sound one with its settings is there."""
        finder, settings = manifest["finder"], manifest["finder_settings"]
        for path in self._places(manifest["id"], finder, settings):
            known = self._folder.sound(path, atomic_files.read_json)
            if known is None:
                atomic_files.write_json(path, manifest)
                break
            if known["finder_settings"] == settings:
                break

    def manifest(self, id: str, finder: str, settings: object = None) -> dict | None:
        """What the finder of that label, and of these settings if given, left of this ticket."""
        for path in self._places(id, finder, settings):
            known = self._folder.sound(path, atomic_files.read_json)
            if known and settings in (None, known["finder_settings"]):
                return known
        return None

    def _places(self, id: str, finder: str, settings: object) -> list[Path]:
        """Where the manifest may be that a finder left of a ticket.

        The second place is for other settings under a label that found the same ticket before.
        """
        name = f"{id}.{identity.identity(finder)}"
        return [
            self._folder.file("found", name),
            self._folder.file("found", f"{name}.{identity.identity(settings)}"),
        ]

    def paths(self, id: str) -> list[Path]:
        """The files that say who found a ticket."""
        return [path for path in self._folder.files("found") if path.name.startswith(f"{id}.")]

    def all_paths(self) -> dict[str, list[Path]]:
        """Those of all tickets by their ids, from one look at the folder."""
        paths: dict[str, list[Path]] = {}
        for path in self._folder.files("found"):
            paths.setdefault(path.name.partition(".")[0], []).append(path)
        return paths

    def by_label(self, header: dict, paths: Sequence[Path]) -> dict[str, dict]:
        """A ticket's manifests by their finders' labels, the first finder's among them."""
        every = {header["finder"]: header}
        in_turn = sorted(paths, key=lambda path: len(path.name))  # of a label, whoever was first
        for _, document in self._folder.read(in_turn, atomic_files.read_json):
            every.setdefault(document["finder"], document)
        return every
