"""CSV and Parquet files as data sets."""

import csv
import functools
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ltx.core.errors import UsageError
from ltx.core.validation import check_choice
from ltx.data.arrays import Arrays
from ltx.data.files import arrow_columns
from ltx.data.files.table import Choice, Table, arrays

_DELIMITERS = (",", ";", "\t", "|")


def load_csv(
    argument: str,
    target: str | Sequence[str],
    inputs: str | Sequence[str] | None = None,
    types: Mapping[str, str] | None = None,
    missing: str = "refuse",
    gaps: Sequence[str] = (),
    test_file: str | None = None,
    delimiter: str = ",",
    decimal: str = ".",
    encoding: str = "utf-8",
) -> Arrays:
    """`csv:FILE`, a table with a line of names; every cell is read as text.

    Types of columns are those of `types`, others are inferred and said.
    """
    choice = Choice(target, inputs, types or {}, missing, gaps)
    check_choice("Task.data_args: decimal", decimal, (".", ","))
    if not isinstance(delimiter, str) or len(delimiter) != 1 or delimiter in '"\r\n':
        raise UsageError(
            f"data set 'csv:{argument}': delimiter: expected one character, got {delimiter!r}"
        )
    read = functools.partial(_csv, delimiter=delimiter, encoding=encoding, decimal=decimal)
    test = None if test_file is None else read(test_file)
    return arrays(f"csv:{argument}", read(argument), test, choice)


def load_parquet(
    argument: str,
    target: str | Sequence[str],
    inputs: str | Sequence[str] | None = None,
    types: Mapping[str, str] | None = None,
    missing: str = "refuse",
    test_file: str | None = None,
) -> Arrays:
    """`parquet:FILE`, a table whose columns have the types of the file."""
    choice = Choice(target, inputs, types or {}, missing)
    test = None if test_file is None else _parquet(test_file)
    return arrays(f"parquet:{argument}", _parquet(argument), test, choice)


def _parquet(argument: str) -> Table:
    import pyarrow
    from pyarrow import parquet

    path = existing(f"parquet:{argument}", argument)
    try:
        table = parquet.read_table(path, partitioning=None)
    except (pyarrow.ArrowException, OSError, ValueError) as error:
        raise UsageError(
            f"data set 'parquet:{argument}': expected a Parquet file: {one_line(error)}"
        ) from error
    return arrow_columns.table(f"parquet:{argument}", table)


def existing(data: str, argument: str) -> Path:
    """The path of a file; UsageError unless there is one with content."""
    path = Path(argument).expanduser()
    if path.is_dir():
        raise UsageError(f"data set {data!r}: expected a file, {path} is a folder")
    if not path.exists():
        raise UsageError(f"data set {data!r}: there is no file {path}")
    if not path.stat().st_size:
        raise UsageError(f"data set {data!r}: the file {path} is empty")
    return path


def one_line(error: Exception) -> str:
    return " ".join(str(error).split())[:300]


def _csv(argument: str, delimiter: str, encoding: str, decimal: str) -> Table:
    data = f"csv:{argument}"
    path = existing(data, argument)
    names = _header(data, path, delimiter, encoding)
    table = _cells(data, path, names, delimiter, encoding)
    if not table.num_rows:
        raise UsageError(f"data set {data!r}: the file {path} has a line of names and no examples")
    columns = {name: table.column(name) for name in names}
    if decimal == ",":
        columns = {name: _with_points(column) for name, column in columns.items()}
    texts = {name: arrow_columns.objects(column) for name, column in columns.items()}
    return Table(texts, untyped=True)


def _header(data: str, path: Path, delimiter: str, encoding: str) -> list[str]:
    """The names of the columns; UsageError where they cannot be told apart."""
    try:
        exact = "utf-8-sig" if re.fullmatch(r"utf-?8", encoding, re.IGNORECASE) else encoding
        with path.open(encoding=exact, newline="") as file:
            names = next(csv.reader(file, delimiter=delimiter), [])
    except LookupError:
        raise UsageError(f"data set {data!r}: unknown encoding {encoding!r}") from None
    except UnicodeDecodeError as error:
        raise _undecodable(data, encoding, str(error.reason)) from error
    except csv.Error as error:
        raise UsageError(f"data set {data!r}: expected a CSV file: {error}") from error
    if len(names) == 1:
        other = next((d for d in _DELIMITERS if d != delimiter and d in names[0]), None)
        hint = f"set Task.data_args delimiter to {other!r}" if other else "a target is missing"
        raise UsageError(f"data set {data!r}: there is one column, {names[0]!r:.80}; {hint}")
    for name in names:
        if not name.strip():
            raise UsageError(
                f"data set {data!r}: column {names.index(name) + 1} of the first line has no name"
            )
        if names.count(name) > 1:
            raise UsageError(f"data set {data!r}: two columns are named {name!r}; rename one")
    return names


def _undecodable(data: str, encoding: str, why: str) -> UsageError:
    return UsageError(
        f"data set {data!r}: the file is not {encoding} ({why}); set Task.data_args encoding, as in"
        " 'latin-1'"
    )


def _cells(data: str, path: Path, names: list[str], delimiter: str, encoding: str) -> Any:
    """All cells as text, in a pyarrow table."""
    import pyarrow
    from pyarrow import csv as arrow_csv

    try:
        return arrow_csv.read_csv(
            path,
            # One thread, so that an error tells the row.
            arrow_csv.ReadOptions(
                use_threads=False, column_names=names, skip_rows=1, encoding=encoding
            ),
            arrow_csv.ParseOptions(delimiter=delimiter, newlines_in_values=True),
            arrow_csv.ConvertOptions(
                column_types=dict.fromkeys(names, pyarrow.string()), strings_can_be_null=False
            ),
        )
    except UnicodeDecodeError as error:
        raise _undecodable(data, encoding, str(error.reason)) from error
    except (pyarrow.ArrowException, OSError, ValueError) as error:
        text = one_line(error)
        if "UTF8" in text:
            raise _undecodable(data, encoding, "bytes that are no characters") from error
        raise UsageError(
            f"data set {data!r}: {text}; every line needs {len(names)} cells, with quotes around"
            f" those that contain {delimiter!r}"
        ) from error


def _with_points(column: Any) -> Any:
    """Decimal points in place of the commas of cells that are numbers."""
    import pyarrow.compute

    return pyarrow.compute.replace_substring_regex(
        column, r"^([ ]*[-+]?[0-9]*),([0-9]+([eE][-+]?[0-9]+)?[ ]*)$", r"\1.\2"
    )
