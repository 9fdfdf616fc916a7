"""A study's tables and verdicts, for a terminal."""

import types
from collections.abc import Collection, Mapping, Sequence

import rich.console
import rich.table

from ltx.analysis import transfer, verdict
from ltx.analysis.grouping import group
from ltx.analysis.instability_curves import stability_curves
from ltx.analysis.paired_tests import Interval
from ltx.analysis.transfer import TransferResult
from ltx.analysis.verdict import LevelVerdict
from ltx.core.objectives.metric import Metric
from ltx.reporting.console import make_table
from ltx.reporting.format import (
    DASH,
    barrier_error,
    measure,
    more_seeds,
    number,
    p_value,
    share,
    steps,
)
from ltx.study.results import CellFailure, StabilityResult, TrialResult, failure_lines


def show(
    console: rich.console.Console,
    rows: Sequence[TrialResult],
    failures: Sequence[CellFailure],
    *,
    margin: float | None = None,
    seeds: Sequence[int] = (),
    controls: Mapping[str, Collection[str]] = types.MappingProxyType({}),
) -> None:
    """Print each finder's table and a sentence on its verdicts, then each failure once.

    `controls` has the finders that each control controls.
    """
    levels = verdict.levels(rows, margin=margin, seeds=seeds, controls=controls)
    groups = group(levels, lambda level: (level.task, level.finder))
    for (task, finder), own in groups.items():
        seeds_seen = max(level.seeds for level in own)
        what = f"test {own[0].metric.name} over {seeds_seen} seeds"
        console.print(f"\n{finder} on {task}, {what}\n", style="bold")
        console.print(_table(own))
        console.print("\n".join(["", *_reasons(own)]), soft_wrap=True)
        console.print(verdict.sentence(own), soft_wrap=True)
    for text in verdict.unused(controls):
        console.print(f"\n{text}", soft_wrap=True)
    for line in failure_lines(failures):
        console.print(f"\n{line}", soft_wrap=True)


def show_stability(
    console: rich.console.Console, compared: Sequence[StabilityResult], finders: Sequence[str]
) -> None:
    """Print the barrier between two copies of every ticket, where it was measured.

    Distances are relative to how far the copies moved, angles in degrees.
    """
    tasks = group(stability_curves(compared, finders), lambda curve: curve.task)
    columns = ["finder", "from", "level", "density", "barrier", "stable"]
    columns += ["distance", "angle", "to dense:\ndistance", "angle"]
    for task, curves in tasks.items():
        error = barrier_error(curves[0].split, curves[0].metric)
        console.print(f"\nstability on {task}, {error}\n", style="bold")
        rows = [
            [
                *(curve.finder, curve.origin, str(point.level), share(point.density)),
                _value(point.height, curve.metric),
                f"{point.stable} of {point.seeds}",
                *(number(point.distance.mean, ".2f"), number(point.angle.mean, ".0f")),
                number(point.pruned_distance.mean, ".2f"),
                number(point.pruned_angle.mean, ".0f"),
            ]
            for curve in curves
            for point in curve.points
        ]
        console.print(make_table(columns, rows, right=range(2, len(columns))))


def show_transfers(console: rich.console.Console, results: Sequence[TransferResult]) -> None:
    """Print a table of all carried tickets for each metric: the gap to native, with its verdict.

    A gap without a verdict is inconclusive, and a dash is missing.
    """
    if not results:
        return
    labels = transfer.carry_labels(results)
    for metric, own in group(results, lambda one: one.metric).items():
        _show_gaps(console, own, labels, metric)
    console.print(f"\n{transfer.sentence(results)}", soft_wrap=True)


def _show_gaps(
    console: rich.console.Console,
    results: Sequence[TransferResult],
    labels: Mapping[str, str],
    metric: Metric,
) -> None:
    """The table of the tasks of one metric."""
    carries = list(dict.fromkeys(labels[one.finder] for one in results))
    lines: dict[tuple[str, str, int], dict[str, TransferResult]] = {}
    for one in results:
        lines.setdefault((one.task, one.source, one.level), {})[labels[one.finder]] = one
    rows = []
    for (task, source, level), cells in lines.items():
        compared = [one for one in cells.values() if one.native_value] or [*cells.values()]
        natives = {_value(one.native_value, metric): None for one in compared}
        denses = {_value(one.dense_value, metric): None for one in cells.values()}
        gaps = [_gap(cells.get(carry)) for carry in carries]
        rows.append([task, source, str(level), " / ".join(denses), " / ".join(natives), *gaps])
    columns = ["target", "source", "level", "dense", "native", *carries]
    name = f"test {metric.name}"
    gap = f"{name} less native" if metric.higher_is_better else f"native {name} less its own"
    unit = metric.difference or metric.unit
    title = f"\nCarried to the target, {gap}{f', in {unit}' if unit else ''}\n"
    console.print(title, style="bold")
    console.print(make_table(columns, rows, right=range(2, len(columns))))


def _gap(one: TransferResult | None) -> str:
    if one is None or one.gap is None:
        return "-"
    shown = "" if one.verdict == transfer.INCONCLUSIVE else f"{one.verdict} "
    return shown + one.metric.change(one.gap.mean)


def _table(levels: Sequence[LevelVerdict]) -> rich.table.Table:
    """The levels of one finder on one task, with its controls.

    `p` is the corrected one of the verdict, or the smallest if nothing is shown; `seeds` is how
    many more may settle it.
    """
    controls = list(dict.fromkeys(name for level in levels for name in level.controls))
    columns = [
        "level",
        "density",
        levels[0].metric.name,
        "early stop",
        *(text for name in controls for text in (f"{name}\n(control)", "early stop")),
        "verdict",
        "p",
        "seeds",
    ]
    rows = [
        [
            str(level.level),
            share(level.density),
            _value(level.value, level.metric),
            steps(level.early_stop, DASH),
            *(text for name in controls for text in _control(level, name)),
            *_judged(level),
        ]
        for level in levels
    ]
    if any(level.missing for level in levels):
        columns.append("missing")
        for row, level in zip(rows, levels, strict=True):
            row.append(_missing(level))
    return make_table(columns, rows, right=range(len(columns)))


def _judged(level: LevelVerdict) -> tuple[str, str, str]:
    if level.level == 0:
        return "dense", "", ""
    p = level.decisive_p
    assert p is not None
    return level.verdict, p_value(p), more_seeds(level.more_seeds, "+", "+>")


def _reasons(levels: Sequence[LevelVerdict]) -> list[str]:
    """A line for each verdict and reason, with the levels that share them."""
    shared: dict[str, list[str]] = {}
    for level in levels:
        if level.level > 0:
            shared.setdefault(f"{level.verdict}: {level.reason}", []).append(str(level.level))
    return [
        f"level{'s' * (len(numbers) > 1)} {', '.join(numbers)}: {text}"
        for text, numbers in shared.items()
    ]


def _missing(level: LevelVerdict) -> str:
    return f"{len(level.missing)} of {len(level.missing) + level.seeds}" if level.missing else ""


def _control(level: LevelVerdict, name: str) -> tuple[str, str]:
    own = _value(level.controls.get(name), level.metric)
    return own, steps(level.control_stops.get(name), DASH)


def _value(interval: Interval | None, metric: Metric) -> str:
    return measure(interval, metric, unit=True, missing=DASH)
