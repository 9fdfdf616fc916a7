"""Prepared data sets: where TFDS stores them, and their metadata."""

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
    """The folder of all data sets: `data_dir`, else TFDS_DATA_DIR, else TFDS's default."""
    path = data_dir or os.environ.get("TFDS_DATA_DIR") or "~/tensorflow_datasets"
    return Path(path).expanduser().absolute()


def parse(name: str) -> tuple[str, str | None, str | None]:
    """Name, configuration and version of name/config:1.0.0; None for those left out."""
    match = NAME.fullmatch(str(name))
    if match is None:
        raise UsageError(f"data set: expected name, name/config or name:1.0.0, got {str(name)!r}")
    base, config, version = match.groups()
    return base, config, version


def folder(name: str, root: Path) -> Path | None:
    """The folder TFDS prepared for `name`, of the newest version if it names none; else None."""
    base, config, version = parse(name)
    parent = root / base
    default = parent / ".config" / "metadata.json"
    if config is None and default.exists():
        config = json.loads(default.read_text())["default_config_name"]
    parent = parent / config if config else parent
    folders = [info.parent for info in parent.glob("*/dataset_info.json")]
    folders = [f for f in folders if VERSION.fullmatch(f.name) and version in (None, f.name)]
    return max(folders, key=lambda f: tuple(map(int, f.name.split("."))), default=None)


def every(root: Path) -> Iterator[tuple[str, Path]]:
    """The name and newest folder of every data set that TFDS prepared in `root`."""
    names = {
        "/".join(info.parent.parent.relative_to(root).parts)
        for depth in ("*/*", "*/*/*")
        for info in root.glob(f"{depth}/dataset_info.json")
    }
    for name in sorted(names):
        newest = folder(name, root) if NAME.fullmatch(name) else None
        if newest is not None:
            yield name, newest


def status(name: str, folder: Path) -> str:
    """The version, image shape and classes of a data set, for a listing."""
    try:
        native, classes = shape_and_classes(name, features(folder))
    except UsageError:
        named = ", ".join(kinds(features(folder)))
        return f"{folder.name}, not an image-classification set" + (f": {named}" if named else "")
    except (OSError, ValueError):
        return f"{folder.name}, not an image-classification set"
    sides = "images of many sizes" if None in native else "x".join(map(str, native))
    return f"{folder.name}, {sides}, {classes} classes"


def features(folder: Path) -> dict[str, Any]:
    """TFDS's description of the features of a prepared data set."""
    description: dict[str, Any] = json.loads((folder / "features.json").read_text())
    return description


_COLUMNS = ("Text", "ClassLabel", "Scalar", "Tensor", "Audio", "Sequence")


def kinds(features: dict[str, Any]) -> list[str]:
    """Each feature with its kind, as in "text (Text)"."""
    parts = (features.get("featuresDict") or features.get("content") or {}).get("features", {})
    return [f"{k} ({v['pythonClassName'].split('.')[-1]})" for k, v in sorted(parts.items())]


def check_usable(name: str, features: dict[str, Any]) -> None:
    """UsageError unless a set has images and classes, or two features that can be columns."""
    found = [one for one in kinds(features) if one.rpartition("(")[2][:-1] in _COLUMNS]
    if len(found) < 2:
        shape_and_classes(name, features)


def shape_and_classes(name: str, features: dict[str, Any]) -> tuple[tuple[int | None, ...], int]:
    """Image shape (None: varies) and number of classes, from TFDS's features as JSON."""
    parts = (features.get("featuresDict") or features.get("content") or {}).get("features", {})
    image = parts.get("image", {}).get("image")
    classes = int(parts.get("label", {}).get("classLabel", {}).get("numClasses", 0))
    if image is None or classes < 2 or image.get("dtype", "uint8") != "uint8":
        raise UsageError(
            f"data set {name!r} is not image classification: expected features image (Image, "
            f"uint8) and label (ClassLabel), got {', '.join(kinds(features)) or 'none'}; name"
            " others in Task.data_args target and inputs"
        )
    sides = [int(side) for side in image["shape"]["dimensions"]]
    return tuple(None if side < 0 else side for side in sides), classes
