"""TFDS columns: text, numbers and sounds of a data set of TFDS."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ltx.core.errors import UsageError, unknown
from ltx.core.validation import check_count
from ltx.data import tfds
from ltx.data.arrays import Arrays
from ltx.data.files.table import Choice, Table, arrays


def load(
    argument: str,
    data_dir: str | None,
    target: str | Sequence[str],
    inputs: str | Sequence[str] | None = None,
    types: Mapping[str, str] | None = None,
    missing: str = "refuse",
    length: int = 0,
    split: str = "train",
    test_split: str = "test",
) -> Arrays:
    """`tfds:NAME`, a prepared data set of TFDS whose features are columns, as text or sounds.

    Sequences of many lengths are padded with zeros, or cut, to `length`.
    """
    data, folder = f"tfds:{argument}", tfds.folder_of(argument, data_dir)
    check_count("Task.data_args: length", length, least=0)
    choice, classes = Choice(target, inputs, types or {}, missing), tfds.features_of(folder)
    wanted = [target] if isinstance(target, str) else list(target)
    wanted += [inputs] if isinstance(inputs, str) else list(inputs or classes)
    for name in wanted:
        if name not in classes:
            raise unknown(f"feature of {data!r} in Task.data_args", name, classes)
    names = list(dict.fromkeys(wanted))
    tables = []
    for part in (split, test_split):
        found = tfds.examples(folder, part, names)
        if found is None and part == split:
            raise UsageError(f"data set {data!r}: there is no split {split!r}")
        tables.append(found and _table(found, names, classes, length))
    train, test = tables
    assert train
    return arrays(data, train, test or None, choice)


def _table(
    found: list[dict[str, Any]],
    names: list[str],
    classes: Mapping[str, tuple[str, ...]],
    length: int,
) -> Table:
    read = {name: _column([example[name] for example in found], length) for name in names}
    return Table(
        {name: column for name, column in read.items() if isinstance(column, np.ndarray)},
        {name: classes[name] for name in names if classes[name]},
        unusable={name: why for name, why in read.items() if isinstance(why, str)},
    )


def _column(values: list[Any], length: int) -> np.ndarray | str:
    """One feature as an array, texts as objects; what it holds where there is no array of it."""
    first = values[0]
    if isinstance(first, bytes):
        texts = np.empty(len(values), object)
        texts[:] = [value.decode("utf-8", "replace") for value in values]
        return texts
    if not isinstance(first, np.ndarray | np.generic) or np.asarray(first).dtype.kind not in "biuf":
        return f"values of type {type(first).__name__}"
    if first.ndim and length:
        values = [_of_length(value, length) for value in values]
    shapes = {value.shape for value in values}
    if len(shapes) > 1:
        sizes = sorted(shape[0] for shape in shapes)
        return f"sequences of {sizes[0]} to {sizes[-1]} entries (Task.data_args length cuts them)"
    result = np.stack(values)
    # Whole numbers in an array are sounds or other signals, and tokens only as texts are.
    return result.astype(np.float32) if result.ndim > 1 and result.dtype.kind in "iu" else result


def _of_length(value: np.ndarray, length: int) -> np.ndarray:
    cut = value[:length]
    return np.pad(cut, [(0, length - len(cut)), *[(0, 0)] * (value.ndim - 1)])
