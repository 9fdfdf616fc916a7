"""Columns of tables: their types, their values, and how they are written as CSV and Parquet."""

import math
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow
import pyarrow.csv
import pyarrow.parquet

from ltx.analysis.paired_tests import Interval
from ltx.core.errors import UsageError
from ltx.core.objectives.metric import ACCURACY, Metric

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


def named(metric: Metric, values: Mapping[str, object]) -> dict[str, object]:
    """Values by columns that are named after accuracy; of another metric, the "value" columns."""
    if metric == ACCURACY:
        return dict(values)
    columns = {name.replace(ACCURACY.key, metric.key): value for name, value in values.items()}
    return {"metric": metric.name, **columns}


def measured(lines: Lines, columns: Mapping) -> tuple[Lines, dict[str, Any]]:
    """A table with the columns that its metrics need.

    One of accuracy alone has the columns as given. Any other has the column `metric` and those of
    values instead of accuracy, or beside it. Further metrics are columns of numbers.
    """
    more = {name: NUMBER for line in lines for name in _further(line)}
    if not any("metric" in line for line in lines):
        return lines, {**columns, **more}
    named_accuracy = [name for name in columns if ACCURACY.key in name]
    lines = [
        {"metric": ACCURACY.name, **line} if line.keys() & set(named_accuracy) else line
        for line in lines
    ]
    keys = [ACCURACY.key] * any(line.get("metric") == ACCURACY.name for line in lines) + ["value"]
    made: dict[str, Any] = {}
    for name, kind in columns.items():
        if name in named_accuracy:
            made.setdefault("metric", TEXT)
            made.update({name.replace(ACCURACY.key, key): kind for key in keys})
        else:
            made[name] = kind
    made.setdefault("metric", TEXT)
    return lines, {**made, **more}


def _further(line: Mapping) -> Sequence[str]:
    return line.get("further", ())


def or_none(number: float) -> float | None:
    """None for NaN, which is an empty cell."""
    return None if math.isnan(number) else number


def write(
    folder: str | os.PathLike[str], name: str, lines: Sequence[Mapping], columns: Mapping
) -> list[Path]:
    """Write `name`.csv and `name`.parquet with these columns; return their paths."""
    shown, columns = measured(list(map(dict, lines)), columns)
    table = pyarrow.Table.from_pylist(shown, schema=pyarrow.schema(list(columns.items())))
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
