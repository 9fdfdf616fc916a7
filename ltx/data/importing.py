"""Importing: data sets prepared without a network, from files that the user has."""

import dataclasses
from collections.abc import Callable

from ltx.core.errors import UsageError
from ltx.data import tfds
from ltx.data.sets import king_james, languages


@dataclasses.dataclass(frozen=True)
class Importer:
    """How one set is imported: from what, and whether a default is looked for without `--from`."""

    source: str
    optional: bool
    copy: Callable[[str | None, str | None], str]


def _fashion_mnist(source: str | None, data_dir: str | None) -> str:
    return tfds.import_fashion_mnist(str(source), data_dir)


IMPORTERS = {
    "fashion_mnist": Importer("DIR with the four .gz files", False, _fashion_mnist),
    languages.NAME: Importer("DIR with the five word lists", True, languages.copy),
    king_james.NAME: Importer("FILE with the text", True, king_james.copy),
}


def import_files(name: str, source: str | None, data_dir: str | None = None) -> str:
    """Import the data set `name` from `source`; returns a message."""
    if name not in IMPORTERS:
        raise UsageError(
            f"data import: expected {', '.join(IMPORTERS)}, got {name!r}; use `ltx data prepare"
            f" {name}`"
        )
    importer = IMPORTERS[name]
    if not source and not importer.optional:
        raise UsageError(f"data import {name}: expected --from={importer.source}")
    return importer.copy(source, data_dir)
