"""Arrow columns: those of Parquet and Hugging Face's files as arrays of NumPy."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from ltx.core.errors import UsageError
from ltx.data.files.table import Table


def table(data: str, table: Any, classes: Mapping[str, tuple[str, ...]] | None = None) -> Table:
    """The columns; `classes` names the classes of those that hold their numbers."""
    if not table.num_rows:
        raise UsageError(f"data set {data!r}: there are no examples")
    names = table.column_names
    if twice := [name for name in names if names.count(name) > 1]:
        raise UsageError(f"data set {data!r}: two columns are named {twice[0]!r}; rename one")
    known = classes or {}
    found = {name: _values(table.column(name), name in known) for name in names}
    columns = {name: array for name, array in found.items() if isinstance(array, np.ndarray)}
    unusable = {name: why for name, why in found.items() if isinstance(why, str)}
    return Table(columns, known, unusable=unusable)


def objects(column: Any) -> np.ndarray:
    """The texts of a chunked array as str, None where one is missing."""
    result: np.ndarray = column.to_numpy().astype(object)
    return result


def _values(column: Any, is_class: bool) -> np.ndarray | str:
    """One column as an array; what it holds where there is no array of it."""
    import pyarrow as pa

    if pa.types.is_dictionary(column.type):
        column = column.cast(column.type.value_type)
    kind = column.type
    if pa.types.is_string(kind) or pa.types.is_large_string(kind):
        return objects(column)
    if _is_list(kind):
        return _stacked(column)
    if is_class:
        return np.asarray(column.fill_null(-1).to_numpy().astype(np.int64))
    return _numbers(column)


def _numbers(column: Any) -> np.ndarray | str:
    import pyarrow as pa

    if pa.types.is_boolean(column.type):
        column = column.cast(pa.int8())
    elif pa.types.is_decimal(column.type) or pa.types.is_null(column.type):
        column = column.cast(pa.float64())
    elif not (pa.types.is_integer(column.type) or pa.types.is_floating(column.type)):
        return f"values of type {column.type}"
    array: np.ndarray = column.to_numpy()
    return array.astype(np.float64) if array.dtype.kind == "f" else array


def _is_list(kind: Any) -> bool:
    import pyarrow as pa

    return bool(
        pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind)
    )


def _stacked(column: Any) -> np.ndarray | str:
    """Lists of equal length as [n, length, ...]."""
    import pyarrow as pa
    import pyarrow.compute

    flat, shape = column.combine_chunks(), [len(column)]
    while _is_list(flat.type):
        lengths = pa.compute.unique(pa.compute.list_value_length(flat)).to_pylist()
        if flat.null_count or len(lengths) != 1:
            known = [n for n in lengths if n is not None]
            return f"lists of {min(known, default=0)} to {max(known, default=0)} entries"
        shape.append(lengths[0])
        flat = flat.flatten()
    if not (pa.types.is_integer(flat.type) or pa.types.is_floating(flat.type)):
        return f"values of type {column.type}"
    result: np.ndarray = flat.to_numpy(zero_copy_only=False).reshape(shape)
    return result
