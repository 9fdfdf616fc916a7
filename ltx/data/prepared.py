"""Prepared: where TFDS keeps a data set that it has prepared, and what that says of itself."""

import json
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ltx.core.errors import UsageError

NAME = re.compile(r"([a-z]\w*)(?:/([\w+-][\w.+-]*))?(?::(\d+\.\d+\.\d+))?")
VERSION = re.compile(r"\d+\.\d+\.\d+")


def root(data_dir: str | None) -> Path:
    """The folder of all data sets: the one named, else TFDS_DATA_DIR, else TFDS's own."""
    chosen = data_dir or os.environ.get("TFDS_DATA_DIR") or "~/tensorflow_datasets"
    return Path(chosen).expanduser().absolute()


def parse(name: str) -> tuple[str, str | None, str | None]:
    """Name, configuration and version, as in name/config:1.0.0; the latter two None if unsaid."""
    match = NAME.fullmatch(str(name))
    if match is None:
        raise UsageError(f"data set: expected name, name/config or name:1.0.0, got {str(name)!r}")
    base, config, version = match.groups()
    return base, config, version


def folder(name: str, root: Path) -> Path | None:
    """The folder TFDS prepared for `name`: the version asked for, else the newest."""
    base, config, version = parse(name)
    place = root / base
    default = place / ".config" / "metadata.json"
    if config is None and default.exists():
        config = json.loads(default.read_text())["default_config_name"]
    place = place / config if config else place
    found = [info.parent for info in place.glob("*/dataset_info.json")]
    found = [f for f in found if VERSION.fullmatch(f.name) and version in (None, f.name)]
    return max(found, key=lambda f: tuple(map(int, f.name.split("."))), default=None)


def every(root: Path) -> Iterator[tuple[str, Path]]:
    """Name and newest folder of every set that TFDS prepared in `root`."""
    found = {
        "/".join(info.parent.parent.relative_to(root).parts)
        for depth in ("*/*", "*/*/*")
        for info in root.glob(f"{depth}/dataset_info.json")
    }
    for name in sorted(found):
        newest = folder(name, root) if NAME.fullmatch(name) else None
        if newest is not None:
            yield name, newest


def status(name: str, folder: Path) -> str:
    """What a list of data sets says of the one in `folder`."""
    try:
        native, classes = shape_and_classes(name, features(folder))
    except (UsageError, OSError, ValueError):
        return f"{folder.name}, not an image-classification set"
    sides = "images of many sizes" if None in native else "x".join(map(str, native))
    return f"{folder.name}, {sides}, {classes} classes"


def features(folder: Path) -> dict[str, Any]:
    """TFDS's description of a prepared set's features."""
    made: dict[str, Any] = json.loads((folder / "features.json").read_text())
    return made


def shape_and_classes(name: str, features: dict[str, Any]) -> tuple[tuple[int | None, ...], int]:
    """Image shape (None: varies) and number of classes, from TFDS's features as JSON."""
    parts = (features.get("featuresDict") or features.get("content") or {}).get("features", {})
    image = parts.get("image", {}).get("image")
    classes = int(parts.get("label", {}).get("classLabel", {}).get("numClasses", 0))
    if image is None or classes < 2 or image.get("dtype", "uint8") != "uint8":
        kinds = [f"{k} ({v['pythonClassName'].split('.')[-1]})" for k, v in sorted(parts.items())]
        raise UsageError(
            f"data set {name!r} is not image classification: expected features image (Image, "
            f"uint8) and label (ClassLabel), got {', '.join(kinds) or 'none'}"
        )
    sides = [int(side) for side in image["shape"]["dimensions"]]
    return tuple(None if side < 0 else side for side in sides), classes
