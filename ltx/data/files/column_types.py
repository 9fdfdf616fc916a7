"""Column types: what the cells of a column are, declared or inferred, and their values."""

import functools
from collections.abc import Sequence
from typing import Any

import numpy as np

from ltx.core.errors import UsageError

NUMBER = r"^[ ]*[-+]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][-+]?[0-9]+)?[ ]*$"
_COMMA = r"^[ ]*[-+]?[0-9]+,[0-9]+[ ]*$"
_CODE = r"^[ ]*0[0-9]"
_FEW = 20  # whole numbers with at most so many values are classes, as a target
_MOST = 100  # a category that is inferred has at most so many values


@functools.cache
def _arrow() -> Any:
    import pyarrow
    import pyarrow.compute

    return pyarrow


def without(array: np.ndarray, gaps: Sequence[str]) -> np.ndarray:
    """The texts, with None in place of empty cells and of `gaps`."""
    pa = _arrow()
    cells = pa.array(array, pa.string())
    missing = pa.compute.is_in(cells, value_set=pa.array(["", *gaps], pa.string()))
    cells = pa.compute.if_else(missing, pa.scalar(None, pa.string()), cells)
    result: np.ndarray = cells.to_numpy(zero_copy_only=False).astype(object)
    return result


def kind(
    data: str, name: str, array: np.ndarray, declared: str | None, untyped: bool, is_target: bool
) -> tuple[str, str]:
    """The type of a column, and a note on it where it was inferred.

    It is "number", "category", "text", "array" of [n, ...], or "classes" of numbered targets.
    """
    if array.ndim > 1:
        if declared:
            raise UsageError(
                f"data set {data!r}: column {name!r} holds arrays, which are not {declared}"
            )
        return "array", ""
    if declared:
        return declared, ""
    if array.dtype.kind != "O":
        return ("classes" if is_target and array.dtype.kind in "iub" else "number"), ""
    if not untyped:
        return ("category" if is_target else _repeated(array)), ""
    found = _inferred(data, name, array, is_target)
    return found, f"column {name!r} is read as {found}; Task.data_args types declare it otherwise"


def _repeated(array: np.ndarray) -> str:
    present = [value for value in array if value is not None]
    different = len(set(present))
    return "category" if different <= min(_MOST, len(present) // 2) else "text"


def _inferred(data: str, name: str, array: np.ndarray, is_target: bool) -> str:
    pa = _arrow()
    cells = pa.array(array, pa.string()).drop_null()
    if not len(cells):
        raise UsageError(
            f"data set {data!r}: column {name!r} is empty; name the others in Task.data_args inputs"
        )
    numbers = pa.compute.match_substring_regex(cells, NUMBER)
    count = pa.compute.sum(numbers).as_py()
    if count == len(cells):
        if pa.compute.any(pa.compute.match_substring_regex(cells, _CODE)).as_py():
            return "category"  # a code, as 01067: numbers have no such zeros
        whole = pa.compute.all(pa.compute.match_substring_regex(cells, r"^-?[0-9]+$")).as_py()
        few = len(cells.unique()) <= min(_FEW, max(2, len(cells) // 2))
        return "category" if is_target and whole and few else "number"
    if pa.compute.sum(pa.compute.match_substring_regex(cells, _COMMA)).as_py() * 2 > len(cells):
        raise UsageError(
            f"data set {data!r}: column {name!r} has decimal commas; set Task.data_args decimal to"
            " ','"
        )
    if count * 2 >= len(cells):
        wrong = cells.filter(pa.compute.invert(numbers))
        first = wrong[0].as_py()
        raise UsageError(
            f"data set {data!r}: column {name!r} holds numbers but for {len(wrong)} of {len(array)}"
            f" cells, the first {first!r} in row {_row(array == first)}; declare it in"
            f" Task.data_args: types {{{name!r}: 'category'}}, or gaps ({first!r},)"
        )
    return "category" if is_target else _repeated(array)


def _row(where: np.ndarray) -> int:
    """The number of the first row for which this holds, from 1."""
    return int(np.argmax(where)) + 1


def values(
    data: str, name: str, array: np.ndarray, kind: str, classes: tuple[str, ...] | None
) -> np.ndarray:
    """The column as floats with NaN for gaps, as texts, or as it is if it holds arrays.

    The gaps of categories and texts are empty texts.
    """
    if kind == "array":
        return array
    if kind == "number":
        return _numbers(data, name, array)
    if classes is not None:
        return np.array([classes[n] if 0 <= n < len(classes) else "" for n in array], object)
    if array.dtype.kind == "O":
        return np.array(["" if value is None else str(value) for value in array], object)
    if array.dtype.kind == "f":
        return np.array(["" if np.isnan(value) else f"{value:.15g}" for value in array], object)
    return np.array([str(value) for value in array.tolist()], object)


def _numbers(data: str, name: str, array: np.ndarray) -> np.ndarray:
    if array.dtype.kind != "O":
        return array.astype(np.float64)
    pa = _arrow()
    try:
        cells = pa.array(array, pa.string())
    except (pa.ArrowInvalid, pa.ArrowTypeError, TypeError) as error:
        raise UsageError(
            f"data set {data!r}: column {name!r} does not hold numbers: {error}"
        ) from error
    good = pa.compute.fill_null(pa.compute.match_substring_regex(cells, NUMBER), True)
    bad = ~good.to_numpy(zero_copy_only=False).astype(bool)
    if bad.any():
        raise UsageError(
            f"data set {data!r}: column {name!r} is declared a number, but {int(bad.sum())} of"
            f" {len(array)} cells are none, the first {array[bad.argmax()]!r} in row {_row(bad)};"
            f" list what stands for a gap in Task.data_args gaps, or declare a category"
        )
    trimmed = pa.compute.replace_substring_regex(pa.compute.utf8_trim_whitespace(cells), r"^\+", "")
    result: np.ndarray = pa.compute.cast(trimmed, pa.float64()).to_numpy(zero_copy_only=False)
    return result.astype(np.float64)


def refuse_gaps(data: str, name: str, array: np.ndarray) -> None:
    """Raise UsageError for class numbers below 0, which stand for a missing label."""
    if (array < 0).any():
        raise UsageError(
            f"data set {data!r}: the target {name!r} is missing in {int((array < 0).sum())} of"
            f" {len(array)} rows, the first in row {_row(array < 0)}; drop such rows"
        )


def refuse_missing(data: str, name: str, numbers: np.ndarray) -> None:
    """Raise UsageError for a number column with gaps, counted."""
    gaps = np.isnan(numbers)
    if gaps.any():
        raise UsageError(
            f"data set {data!r}: column {name!r} has {int(gaps.sum())} missing cells of"
            f" {len(numbers)}, the first in row {_row(gaps)}; set Task.data_args missing to 'mean'"
            " or leave the column out by inputs"
        )
