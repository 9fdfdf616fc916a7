"""Summary: a study's tables and verdicts, for a terminal."""

import math
from collections.abc import Sequence

import rich.console
import rich.table

from ltx import table, verdict
from ltx.study import Failure, Row
from ltx.verdict import Interval, Level


def show(console: rich.console.Console, rows: Sequence[Row], failures: Sequence[Failure]) -> None:
    """Print each finder's table with its verdict in a sentence, then what stopped early."""
    groups: dict[tuple[str, str], list[Level]] = {}
    for level in verdict.levels(rows):
        groups.setdefault((level.task, level.finder), []).append(level)
    for (task, finder), found in groups.items():
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
        *(text for name in controls for text in (f"{name} (control)", "early stop")),
    ]
    rows = [
        [
            str(level.level),
            f"{level.density:.2%}",
            _percent(level.accuracy),
            _steps(level.early_stop),
            *(text for name in controls for text in _control(level, name)),
            level.verdict if level.level > 0 else "dense",
        ]
        for level in levels
    ]
    return table.plain([*columns, "verdict"], rows, right=range(len(columns)))


def _control(level: Level, name: str) -> tuple[str, str]:
    return _percent(level.controls.get(name)), _steps(level.control_stops.get(name))


def _percent(interval: Interval | None) -> str:
    if interval is None:
        return "-"
    return f"{interval.mean:.2%}" + (
        "" if math.isnan(interval.low) else f" ± {interval.reach * 100:.2f}"
    )


def _steps(interval: Interval | None) -> str:
    if interval is None:
        return "-"
    return f"{interval.mean:.0f}" + ("" if math.isnan(interval.low) else f" ± {interval.reach:.0f}")
