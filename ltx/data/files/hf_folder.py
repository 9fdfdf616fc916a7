"""Hugging Face: folders that its library `datasets` saved on disk, read without it."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ltx.core.errors import UsageError, unknown
from ltx.data.arrays import Arrays
from ltx.data.files import arrow_columns
from ltx.data.files.table import Choice, Table, arrays


def load(
    argument: str,
    target: str | Sequence[str],
    inputs: str | Sequence[str] | None = None,
    types: Mapping[str, str] | None = None,
    missing: str = "refuse",
    split: str = "train",
    test_split: str = "test",
) -> Arrays:
    """`hf:DIR`, a folder of Hugging Face's `save_to_disk`, of one split or of several.

    Of several, `split` is trained on and `test_split`, if it is there, is the test.
    """
    data, folder = f"hf:{argument}", Path(argument).expanduser()
    choice = Choice(target, inputs, types or {}, missing)
    if (folder / "dataset_dict.json").exists():
        names = _json(data, folder / "dataset_dict.json").get("splits", [])
        if split not in names:
            raise unknown(f"split of {data!r} in Task.data_args", split, names)
        test = _table(data, folder / test_split) if test_split in names else None
        return arrays(data, _table(data, folder / split), test, choice)
    if not (folder / "state.json").exists():
        raise UsageError(
            f"data set {data!r}: expected a folder written by save_to_disk of `datasets`, with"
            f" state.json or dataset_dict.json; {folder} {_is(folder)}"
        )
    return arrays(data, _table(data, folder), None, choice)


def _is(folder: Path) -> str:
    return "has neither" if folder.is_dir() else "is no folder"


def _json(data: str, path: Path) -> dict[str, Any]:
    try:
        content: dict[str, Any] = json.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise UsageError(f"data set {data!r}: {path} cannot be read: {error}") from error
    return content


def _table(data: str, folder: Path) -> Table:
    """The rows of all Arrow files of a split."""
    import pyarrow as pa

    state = _json(data, folder / "state.json")
    if state.get("_indices_data_files"):
        raise UsageError(
            f"data set {data!r}: {folder.name} is a selection of rows; save it after"
            " flatten_indices()"
        )
    parts = []
    for file in state.get("_data_files", []):
        path = folder / Path(file["filename"]).name
        try:
            with pa.memory_map(str(path)) as source, pa.ipc.open_stream(source) as stream:
                parts.append(stream.read_all())
        except (pa.ArrowException, OSError) as error:
            raise UsageError(
                f"data set {data!r}: {path} is no Arrow stream: {' '.join(str(error).split())}"
            ) from error
    if not parts:
        raise UsageError(f"data set {data!r}: there are no examples in {folder}")
    joined = pa.concat_tables(parts)
    return arrow_columns.table(data, joined, _classes(joined.schema))


def _classes(schema: Any) -> dict[str, tuple[str, ...]]:
    """The names of classes by column, which `datasets` keeps in the metadata of the file."""
    text = (schema.metadata or {}).get(b"huggingface", b"{}")
    try:
        features = json.loads(text).get("info", {}).get("features", {})
    except ValueError:
        return {}
    return {
        name: tuple(feature["names"])
        for name, feature in features.items()
        if isinstance(feature, dict) and feature.get("_type") == "ClassLabel"
    }
