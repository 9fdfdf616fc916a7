"""The plan of a study: the work that it would do, counted by a dry run of its finders."""

import dataclasses
import math
from collections.abc import Iterable, Mapping

from ltx.core import identity
from ltx.core.cost import Cost
from ltx.core.errors import describe, packages_of
from ltx.core.finder import search
from ltx.core.lab import Lab
from ltx.core.state import State
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
from ltx.study.definition import Cell, Study
from ltx.study.dry_run_lab import SIMULATED, CellPlan, DryRunLab, PlanState, Replay, cell_key
from ltx.study.loop import OpenLab
from ltx.study.throughput import Throughput

_TRIAL_BYTES = 4096


def estimate(
    study: Study, open_lab: OpenLab, store: Store
) -> tuple[list[CellPlan], list[CellPlan]]:
    """About the most and the least work of each cell, in the order in which they run.

    They differ for finders that decide when to stop by what they measure: simulated results that
    never converge give the most, those that do at once the least. `open_lab` gives MemoLabs over
    the store. Memo entries that would be deleted for the memo's limit are not foreseen.
    """
    inits: dict[tuple, State] = {}
    most = cells(study, open_lab, store, inits=inits)
    if not any(cell.cost.steps for cell in most):
        return most, most  # nothing was simulated
    return most, cells(study, open_lab, store, convergent=True, inits=inits)


def cells(
    study: Study,
    open_lab: OpenLab,
    store: Store,
    convergent: bool = False,
    inits: dict[tuple, State] | None = None,
) -> list[CellPlan]:
    """The work of every cell; simulated trainings converge at once or never.

    `inits` keeps the initial states for the next plan.
    """
    plan = PlanState(store, convergent, {} if inits is None else inits)
    plans = []
    for cell in study.cells():
        plans.append(CellPlan(*cell.key))
        _fill(plans[-1], plan, open_lab, cell, study.stability)
    return plans


def _fill(
    counts: CellPlan, plan: PlanState, open_lab: OpenLab, cell: Cell, stability: Stability | None
) -> None:
    key = cell_key(identity.describe(cell.task), cell.seed, identity.describe(cell.finder))

    def lab(sealed: bool, replays: bool) -> DryRunLab:
        inner = open_lab(cell.task, cell.seed, sealed)
        assert isinstance(inner, MemoLab)
        return DryRunLab(inner, plan, counts, Replay(replays))

    try:
        for ticket in search(cell.finder, lab(True, key in plan.started)):
            counts.tickets += 1
            _count_ticket(counts, plan, ticket)
            _count_trial(lab(False, False), ticket)
            if stability:
                _count_stability(lab(False, False), ticket, stability)
    except Exception as error:  # as in a run, an error in a finder ends its cell only
        counts.error = describe(error, packages_of(cell.finder))


def _count_trial(lab: DryRunLab, ticket: Ticket) -> None:
    """Count the training of the ticket's trial, or that the store has it."""
    cell = lab.cell
    if lab.plan.store.trial(Trial.key(lab, ticket)) is None:
        cell.bytes += _TRIAL_BYTES
        Trial.run(lab, ticket)
    else:
        steps = lab.on(recipe=ticket.recipe).steps() if ticket.recipe else lab.steps()
        cell.requested += steps - ticket.state.step
        cell.stored += steps - ticket.state.step


def _count_stability(lab: DryRunLab, ticket: Ticket, settings: Stability) -> None:
    """Count the work of measuring the ticket's stability, unless the store has the result."""
    cell = lab.cell
    for point in rewind_points(lab, ticket, settings):
        key = Instability.key(lab, ticket, settings, point)
        if ("stability", key) in lab.plan.files or lab.plan.store.instability(key):
            continue
        lab.plan.files.add(("stability", key))
        cell.bytes += _TRIAL_BYTES
        on, start = start_state(lab, ticket, point)
        one, _, _ = train_copies(on, start, ticket.mask, settings)
        assert isinstance(on, DryRunLab)
        # A forward pass is a third of a step; without BatchNorm no statistics are taken again.
        recalibration = settings.points * settings.batches // 3 if one.statistics else 0
        on.count_work(recalibration, settings.points)


def _count_ticket(cell: CellPlan, plan: PlanState, ticket: Ticket) -> None:
    """Add the bytes of the ticket's files, unless they are in the store or counted already."""
    state_bytes = sum(array.nbytes for array in ticket.state.arrays().values())
    sizes: dict[tuple[Kind, str], int] = {
        ("tickets", ticket.id): math.ceil(ticket.mask.size / 8),
        ("states", ticket.state.id): state_bytes,
    }
    for (kind, id), size in sizes.items():
        if (kind, id) in plan.files or plan.store.exists(kind, id):
            continue
        plan.files.add((kind, id))
        if SIMULATED in ticket.state.slots and kind == "states":
            cell.states += 1
        else:
            cell.bytes += size


@dataclasses.dataclass(frozen=True)
class PlanLine:
    """The work of one finder on one task over all seeds; steps unless named otherwise.

    `cost`, `seconds` and `bytes` are estimates of the most work, `least` is the least number of
    steps to train. `seconds` is None if no speed could be measured.
    """

    task: str
    finder: str
    seeds: int
    tickets: int
    requested: int
    stored: int
    shared: int
    cost: Cost
    least: int
    seconds: float | None
    bytes: int


def labs_to_time(planned: Iterable[CellPlan]) -> dict[str, Lab]:
    """One lab for each group of trainings of the same speed, by the key of `CellPlan.work`."""
    return {key: work.lab for cell in planned for key, work in cell.work.items()}


def lines(
    most: list[CellPlan], least: list[CellPlan], throughputs: Mapping[str, Throughput | None]
) -> list[PlanLine]:
    """One line for each task and finder, from both plans of the same study."""
    groups: dict[tuple[str, str], list[tuple[CellPlan, CellPlan]]] = {}
    for pair in zip(most, least, strict=True):
        groups.setdefault((pair[0].task, pair[0].finder), []).append(pair)
    return [_line(*names, pairs, throughputs) for names, pairs in groups.items()]


def _line(
    task: str,
    finder: str,
    pairs: list[tuple[CellPlan, CellPlan]],
    throughputs: Mapping[str, Throughput | None],
) -> PlanLine:
    most = [cell for cell, _ in pairs]
    # A finder that failed only in the convergent plan has no least there.
    least = [low if not low.error or cell.error else cell for cell, low in pairs]
    total = sum((cell.cost for cell in most), Cost())
    work = [(throughputs.get(key), work) for cell in most for key, work in cell.work.items()]
    seconds = [t.step * w.steps + t.evaluation * w.evaluations for t, w in work if t]
    state_bytes = max((t.state for t in throughputs.values() if t), default=0)
    return PlanLine(
        task=task,
        finder=finder,
        seeds=len(most),
        tickets=sum(cell.tickets for cell in most),
        requested=sum(cell.requested for cell in most),
        stored=sum(cell.stored for cell in most),
        shared=sum(cell.shared for cell in most),
        cost=total,
        least=min(total.steps, sum(cell.cost.steps for cell in least)),
        seconds=sum(seconds) if len(seconds) == len(work) else None,
        bytes=sum(cell.bytes + state_bytes * cell.states for cell in most),
    )
