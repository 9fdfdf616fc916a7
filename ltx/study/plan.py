"""Plan: what a study will ask for, known beforehand by running it on labs that pretend to train."""

import dataclasses
import math
from collections.abc import Iterable, Mapping

from ltx.core import identity
from ltx.core.cost import Cost
from ltx.core.finder import Finder
from ltx.core.lab import Lab
from ltx.core.state import State
from ltx.core.task import Task
from ltx.core.ticket import Ticket
from ltx.evaluation.instability import (
    Instability,
    Stability,
    rewind_points,
    start_state,
    train_copies,
)
from ltx.evaluation.trial import Trial
from ltx.store.folder import Kind
from ltx.store.memo import MemoLab
from ltx.store.store import Store
from ltx.study.definition import Study
from ltx.study.loop import OpenLab
from ltx.study.plan_lab import MADE_UP, CellPlan, DryRunLab, PlanState, cell_key

_TRIAL_BYTES = 4096


def estimate(
    study: Study, open_lab: OpenLab, store: Store
) -> tuple[list[CellPlan], list[CellPlan]]:
    """About the most and the least that each cell asks for, cell by cell in the study's order.

    They differ for finders that stop by what they see: these find no end where what they see never
    comes to rest, and stop at once where it does not move. `open_lab` gives MemoLabs over the
    store. That the memo forgets what exceeds its limit is not foreseen.
    """
    inits: dict[tuple, State] = {}
    most = cells(study, open_lab, store, inits=inits)
    if not any(cell.cost.steps for cell in most):
        return most, most  # nothing was made up
    return most, cells(study, open_lab, store, restless=False, inits=inits)


def cells(
    study: Study,
    open_lab: OpenLab,
    store: Store,
    restless: bool = True,
    inits: dict[tuple, State] | None = None,
) -> list[CellPlan]:
    """What every cell asks for, on labs whose made-up states are restless or not.

    `inits` keeps the initial states for the next plan.
    """
    book = PlanState(store, restless, {} if inits is None else inits)
    made = []
    for name, task in study.named.items():
        for seed in study.seeds:
            for label, finder in study.finders.items():
                made.append(CellPlan(name, label, seed))
                _fill(made[-1], book, open_lab, task, finder, study.stability)
    return made


def _fill(
    cell: CellPlan,
    book: PlanState,
    open_lab: OpenLab,
    task: Task,
    finder: Finder,
    stability: Stability | None,
) -> None:
    known = cell_key(identity.describe(task), cell.seed, identity.describe(finder))

    def lab(sealed: bool, real: bool) -> DryRunLab:
        inner = open_lab(task, cell.seed, sealed)
        assert isinstance(inner, MemoLab)
        return DryRunLab(inner, book, cell, [real])

    try:
        for ticket in finder.find(lab(True, known in book.begun)):
            cell.tickets += 1
            bench = lab(False, False)
            _count_ticket(cell, book, ticket)
            trial = book.store.trial(Trial.key(bench, ticket))
            if trial is None:
                cell.bytes += _TRIAL_BYTES
                Trial.run(bench, ticket)
            else:
                steps = bench.on(recipe=ticket.recipe).steps() if ticket.recipe else bench.steps()
                cell.asked += steps - ticket.state.step
                cell.stored += steps - ticket.state.step
            if stability:
                _count_copies(lab(False, False), ticket, stability)
    except Exception as error:  # as in a run, what a finder raises is its cell's alone
        cell.error = str(error) or type(error).__name__


def _count_copies(bench: DryRunLab, ticket: Ticket, asked: Stability) -> None:
    """Book what comparing the ticket's copies takes, or that the store holds it already."""
    cell = bench.cell
    for at in rewind_points(bench, ticket, asked):
        key = Instability.key(bench, ticket, asked, at)
        if ("stability", key) in bench.book.files or bench.book.store.instability(key):
            continue
        bench.book.files.add(("stability", key))
        cell.bytes += _TRIAL_BYTES
        on, start = start_state(bench, ticket, at)
        one, _, _ = train_copies(on, start, ticket.mask, asked)
        assert isinstance(on, DryRunLab)
        # A forward pass is a third of a step; what has no statistics takes none of them anew.
        again = asked.points * asked.batches // 3 if one.statistics else 0
        on.book_work(again, asked.points)


def _count_ticket(cell: CellPlan, book: PlanState, ticket: Ticket) -> None:
    """Add to the cell what the ticket will take on the disk, where it is not there already."""
    state_bytes = sum(array.nbytes for array in ticket.state.arrays().values())
    sizes: dict[tuple[Kind, str], int] = {
        ("tickets", ticket.id): math.ceil(ticket.mask.size / 8),
        ("states", ticket.state.id): state_bytes,
    }
    for (kind, id), size in sizes.items():
        if (kind, id) in book.files or book.store.exists(kind, id):
            continue
        book.files.add((kind, id))
        if MADE_UP in ticket.state.slots and kind == "states":
            cell.states += 1
        else:
            cell.bytes += size


@dataclasses.dataclass(frozen=True)
class PlanLine:
    """The cells of one finder on one task together; `least` is what it trains if all ends early.

    `seconds` and `bytes` are estimates, of the most; None where no speed could be measured.
    """

    task: str
    finder: str
    seeds: int
    tickets: int
    asked: int
    stored: int
    shared: int
    cost: Cost
    least: int
    seconds: float | None
    bytes: int


@dataclasses.dataclass(frozen=True)
class Throughput:
    """Seconds for a step and for an evaluation, and the bytes of a trained state."""

    step: float
    evaluation: float
    state: int


def labs_to_time(planned: Iterable[CellPlan]) -> dict[str, Lab]:
    """One lab for each speed of training that the plan asks for."""
    return {key: work.lab for cell in planned for key, work in cell.work.items()}


def lines(
    most: list[CellPlan], least: list[CellPlan], paces: Mapping[str, Throughput | None]
) -> list[PlanLine]:
    """One line for each task and finder, from both plans of the same study."""
    groups: dict[tuple[str, str], list[tuple[CellPlan, CellPlan]]] = {}
    for pair in zip(most, least, strict=True):
        groups.setdefault((pair[0].task, pair[0].finder), []).append(pair)
    return [_line(*names, pairs, paces) for names, pairs in groups.items()]


def _line(
    task: str,
    finder: str,
    pairs: list[tuple[CellPlan, CellPlan]],
    paces: Mapping[str, Throughput | None],
) -> PlanLine:
    found = [cell for cell, _ in pairs]
    # Where only the quieter pretence made a finder stumble, it says nothing of the least.
    least = [low if not low.error or cell.error else cell for cell, low in pairs]
    total = sum((cell.cost for cell in found), Cost())
    work = [(paces.get(key), work) for cell in found for key, work in cell.work.items()]
    seconds = [p.step * w.steps + p.evaluation * w.evaluations for p, w in work if p]
    size = max((p.state for p in paces.values() if p), default=0)
    return PlanLine(
        task=task,
        finder=finder,
        seeds=len(found),
        tickets=sum(cell.tickets for cell in found),
        asked=sum(cell.asked for cell in found),
        stored=sum(cell.stored for cell in found),
        shared=sum(cell.shared for cell in found),
        cost=total,
        least=min(total.steps, sum(cell.cost.steps for cell in least)),
        seconds=sum(seconds) if len(seconds) == len(work) else None,
        bytes=sum(cell.bytes + size * cell.states for cell in found),
    )
