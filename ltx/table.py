"""Table: a study's results and other lists, for a terminal or, in plain columns, for a file."""

import math
import sys
from collections.abc import Sequence

import rich.console
import rich.table

from ltx.verdict import Interval, Level


def console() -> rich.console.Console:
    """Wide enough that nothing is cut where the output is not a terminal."""
    return rich.console.Console(width=None if sys.stdout.isatty() else 160, highlight=False)


def plain(columns: Sequence[str], rows: Sequence[Sequence[str]], right: Sequence[int] = ()) -> rich.table.Table:
    """A table with a header; the columns numbered in `right` are aligned there."""
    table = rich.table.Table(box=None, pad_edge=False, header_style="bold")
    for number, column in enumerate(columns):
        table.add_column(column, justify="right" if number in right else "left", overflow="fold")
    for row in rows:
        table.add_row(*row)
    return table


def results(levels: Sequence[Level]) -> rich.table.Table:
    """The levels of one finder on one task, its controls beside it."""
    controls = list(dict.fromkeys(name for level in levels for name in level.controls))
    columns = ["level", "density", "accuracy", "early stop", *(f"{name} (control)" for name in controls)]
    rows = [
        [
            str(level.level),
            f"{level.density:.2%}",
            _percent(level.accuracy),
            _steps(level.early_stop),
            *(_percent(level.controls.get(name)) for name in controls),
            level.verdict if level.level > 0 else "dense",
        ]
        for level in levels
    ]
    return plain([*columns, "verdict"], rows, right=range(len(columns)))


def _percent(interval: Interval | None) -> str:
    if interval is None:
        return "-"
    return f"{interval.mean:.2%}" + ("" if math.isnan(interval.low) else f" ± {interval.reach * 100:.2f}")


def _steps(interval: Interval) -> str:
    return f"{interval.mean:.0f}" + ("" if math.isnan(interval.low) else f" ± {interval.reach:.0f}")
