"""The status of a study as text for a terminal."""

from collections import Counter
from collections.abc import Iterator

import rich.console

from ltx.reporting.console import make_table
from ltx.reporting.format import duration
from ltx.study.results import CellFailure, failure_lines
from ltx.study.status import STATES, StudyStatus


def show(console: rich.console.Console, status: StudyStatus) -> None:
    """Print the cells of a study by finder, what is trained now, and how much is left."""
    console.print(f"study {status.id}: {_head(status)}", style="bold", soft_wrap=True)
    console.print(status.command, soft_wrap=True)
    if not status.cells:
        console.print("its cells are not recorded; give its command again to have them")
        return
    groups: dict[tuple[str, str], Counter[str]] = {}
    for cell in status.cells:
        groups.setdefault((cell.task, cell.finder), Counter())[cell.state] += 1
    rows = [
        [*names, *(str(count[state]) if count[state] else "-" for state in STATES)]
        for names, count in groups.items()
    ]
    console.print()
    console.print(make_table(["task", "finder", *STATES], rows, right=range(2, 2 + len(STATES))))
    for text in _lines(status):
        console.print(f"\n{text}", soft_wrap=True)


def _head(status: StudyStatus) -> str:
    done = sum(cell.state == "done" for cell in status.cells)
    cells = f"{done} of {len(status.cells)} cells done"
    if status.processes:
        where = ", ".join(f"process {pid} on {host}" for host, pid in status.processes)
        return f"running, {cells} ({where})"
    if done == len(status.cells) and status.cells:
        return f"finished, {cells}"
    return f"not running, {cells}; the same command goes on where it stopped"


def _lines(status: StudyStatus) -> Iterator[str]:
    for training in status.current:
        cell = training.cell
        text = f"now: {cell.finder} on {cell.task}, seed {cell.seed}"
        text += "" if cell.level is None else f", level {cell.level} measured"
        if training.step is not None:
            text += f"; training, step {training.step:,} of {training.end:,}"
        yield text + (f"; {training.rate:,.3g} steps a second" if training.rate else "")
    if status.left and status.rate:
        time = duration(status.left / status.rate)
        yield f"left: about {status.left:,} steps, {time}, by what the finished cells took"
    elif status.processes and status.left is None:
        yield "left: not known before every finder has finished a seed"
    failed = [cell for cell in status.cells if cell.state in ("failed", "diverged")]
    yield from failure_lines(
        CellFailure(c.task, c.finder, c.seed, c.error, diverged=c.state == "diverged")
        for c in failed
    )
    if any(cell.state == "missing" for cell in status.cells):
        yield "missing: no longer in the store; the same command computes it again"
