"""Imported files: where `ltx data import` keeps copies of texts that ltx does not ship."""

import os
from collections.abc import Mapping
from pathlib import Path

from ltx.core.errors import UsageError
from ltx.data import prepared


def folder(name: str, data_dir: str | None) -> Path:
    """The folder of a set's files; it need not exist."""
    return prepared.root(data_dir) / "imported" / name


def read(name: str, path: Path) -> str:
    """The text of a file; UsageError for one that cannot be read or is not UTF-8."""
    try:
        return path.read_text(encoding="utf-8")
    except OSError as error:
        reason = error.strerror or type(error).__name__
        raise UsageError(f"data set {name!r}: {path} cannot be read ({reason})") from error
    except UnicodeDecodeError as error:
        raise UsageError(
            f"data set {name!r}: {path} is not UTF-8 ({error.reason} at byte {error.start});"
            " convert it first, as by iconv -f latin1 -t utf-8"
        ) from error


def write(name: str, contents: Mapping[str, str], data_dir: str | None) -> str:
    """Write a set's files, each replaced in one step; returns a message."""
    target = folder(name, data_dir)
    target.mkdir(parents=True, exist_ok=True)
    for file, content in contents.items():
        building = target / f".{file}.{os.getpid()}"
        try:
            building.write_text(content, encoding="utf-8")
            building.replace(target / file)
        finally:
            building.unlink(missing_ok=True)
    return f"{name} is imported into {target}."
