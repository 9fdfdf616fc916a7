"""A study's plan as a table, with the time and the disk space it needs, for a terminal."""

from collections.abc import Sequence

import rich.console

from ltx.analysis.grouping import group
from ltx.reporting.console import make_table
from ltx.reporting.format import duration, si, size
from ltx.store.budget import Limit
from ltx.study.dry_run_lab import CellPlan
from ltx.study.plan import PlanLine
from ltx.study.results import cells_text

_COLUMNS = ("task", "finder", "seeds", "tickets", "steps", "stored", "shared", "to train")


def show(
    console: rich.console.Console,
    lines: Sequence[PlanLine],
    cells: Sequence[CellPlan],
    memo_bytes: int,
    limit: Limit | None = None,
) -> None:
    """Print a line for each finder on each task, the total, and remarks."""
    rows = [_row(line) for line in lines]
    total = _total(lines)
    console.print(
        make_table(
            [*_COLUMNS, "FLOPs", "time", "disk"],
            [*rows, ["total", "", "", *_row(total)[3:]]],
            right=range(2, len(_COLUMNS) + 3),
        )
    )
    for text in _remarks(lines, total, cells, memo_bytes, limit):
        console.print(f"\n{text}", soft_wrap=True)


def _row(line: PlanLine) -> list[str]:
    most = line.cost.steps
    train = f"{most:,}" if line.least == most else f"{line.least:,} to {most:,}"
    steps = [f"{count:,}" for count in (line.requested, line.stored, line.shared)]
    flops = si(line.cost.dense_flops)
    names = [line.task, line.finder, str(line.seeds), str(line.tickets)]
    return [*names, *steps, train, flops, duration(line.seconds), size(line.bytes)]


def _total(lines: Sequence[PlanLine]) -> PlanLine:
    cost = sum((line.cost for line in lines[1:]), lines[0].cost)
    seconds = [line.seconds for line in lines if line.seconds is not None]
    return PlanLine(
        task="",
        finder="",
        seeds=0,
        tickets=sum(line.tickets for line in lines),
        requested=sum(line.requested for line in lines),
        stored=sum(line.stored for line in lines),
        shared=sum(line.shared for line in lines),
        cost=cost,
        least=sum(line.least for line in lines),
        seconds=sum(seconds) if len(seconds) == len(lines) else None,
        bytes=sum(line.bytes for line in lines),
    )


def _remarks(
    lines: Sequence[PlanLine],
    total: PlanLine,
    cells: Sequence[CellPlan],
    memo_bytes: int,
    limit: Limit | None,
) -> list[str]:
    remarks = []
    if not total.cost.steps:
        remarks.append("Nothing is left to train: the store holds all of it.")
    else:
        remarks.append(
            "Time is an estimate from a short measurement on this machine, FLOPs are those of the"
            " dense network, disk is that of tickets and trials; beside them the memo takes up to"
            f" {size(memo_bytes)} (--memo_gb)."
        )
    if open_ended := [line.finder for line in lines if line.least < line.cost.steps]:
        names = ", ".join(dict.fromkeys(open_ended))
        remarks.append(
            f"What is left of {names} depends on what it sees; time is that of the most."
        )
    stops = group((c for c in cells if c.error), lambda cell: (cell.tickets, cell.error))
    for (tickets, error), own in stops.items():
        where = cells_text((cell.task, cell.finder, cell.seed) for cell in own)
        remarks.append(
            f"{where} stops after {tickets} tickets of this plan, where what it sees may be made"
            f" up: {error}"
        )
    if limit:
        remarks.append(_fit(total, limit))
    return remarks


def _fit(total: PlanLine, limit: Limit) -> str:
    need = total.cost.steps if limit.steps is not None else total.seconds
    have = limit.steps if limit.steps is not None else limit.seconds
    if need is None or have is None:
        return f"Whether it fits the budget of {limit.text} cannot be told: no time was measured."
    if need <= have:
        return f"It fits the budget of {limit.text}."
    least = total.least / max(1, total.cost.steps) * need
    sure = "would end" if least > have else "may end"
    return (
        f"The budget of {limit.text} {sure} it at {have / need:.0%} of what is to be trained;"
        f" the same command, given {-int(-need // have)} times in all, gets to the end."
    )
