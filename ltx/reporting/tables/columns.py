"""Columns of tables: their types, their values, and how they are written as CSV and Parquet."""

import math
import os
from collections.abc import Mapping, Sequence
from pathlib import Path

import pyarrow
import pyarrow.csv
import pyarrow.parquet

from ltx.analysis.paired_tests import Interval
from ltx.core.errors import UsageError

Lines = list[dict[str, object]]

TEXT, COUNT, NUMBER, FLAG = pyarrow.string(), pyarrow.int64(), pyarrow.float64(), pyarrow.bool_()


def fields(one: object, *names: str) -> dict[str, object]:
    """The columns that are attributes of the same names."""
    return {name: getattr(one, name) for name in names}


def ends(name: str, interval: Interval | None) -> dict[str, object]:
    """The columns `name`, `name`_low and `name`_high; none for None."""
    if interval is None:
        return {}
    values = {"": interval.mean, "_low": interval.low, "_high": interval.high}
    return {f"{name}{end}": or_none(value) for end, value in values.items()}


def or_none(number: float) -> float | None:
    """None for NaN, which is an empty cell."""
    return None if math.isnan(number) else number


def write(
    folder: str | os.PathLike[str], name: str, lines: Sequence[Mapping], columns: Mapping
) -> list[Path]:
    """Write `name`.csv and `name`.parquet with these columns; return their paths."""
    table = pyarrow.Table.from_pylist(list(lines), schema=pyarrow.schema(list(columns.items())))
    csv, parquet = (Path(folder) / f"{name}.{suffix}" for suffix in ("csv", "parquet"))
    try:
        csv.parent.mkdir(parents=True, exist_ok=True)
        pyarrow.csv.write_csv(table, csv)
        pyarrow.parquet.write_table(table, parquet)
    except OSError as error:
        raise UsageError(
            f"cannot write {csv}: {error.strerror or error}; choose another --data"
        ) from error
    return [csv, parquet]
