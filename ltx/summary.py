"""Summary: a study's tables and verdicts, for a terminal."""

import itertools
import math
from collections.abc import Sequence

import rich.console
import rich.table

from ltx import table, verdict
from ltx.study import Failure, Row
from ltx.verdict import Interval, Level


def show(console: rich.console.Console, rows: Sequence[Row], failures: Sequence[Failure]) -> None:
    """Print each finder's table with its verdict in a sentence, then what stopped early."""
    levels = sorted(verdict.levels(rows), key=lambda level: (level.task, level.finder))
    for (task, finder), group in itertools.groupby(
        levels, lambda level: (level.task, level.finder)
    ):
        found = list(group)
        console.print(
            f"\n{finder} on {task}, test accuracy over {found[0].seeds} seeds\n", style="bold"
        )
        console.print(_table(found))
        console.print(f"\n{verdict.sentence(found)}", soft_wrap=True)
    for failure in failures:
        console.print(
            f"\n{failure.finder} on {failure.task}, seed {failure.seed} stopped early:"
            f" {failure.error}",
            soft_wrap=True,
        )


def _table(levels: Sequence[Level]) -> rich.table.Table:
    """The levels of one finder on one task, its controls beside it."""
    controls = list(dict.fromkeys(name for level in levels for name in level.controls))
    columns = [
        "level",
        "density",
        "accuracy",
        "early stop",
        *(f"{name} (control)" for name in controls),
    ]
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
    return table.plain([*columns, "verdict"], rows, right=range(len(columns)))


def _percent(interval: Interval | None) -> str:
    if interval is None:
        return "-"
    return f"{interval.mean:.2%}" + (
        "" if math.isnan(interval.low) else f" ± {interval.reach * 100:.2f}"
    )


def _steps(interval: Interval) -> str:
    return f"{interval.mean:.0f}" + ("" if math.isnan(interval.low) else f" ± {interval.reach:.0f}")
