"""The loop that runs a study cell by cell; a cell that fails does not stop the others."""

import logging
import traceback
from collections.abc import Callable, Iterator
from typing import Any

from ltx.core import finder as finders
from ltx.core import identity, seal
from ltx.core.environment import sources_of
from ltx.core.errors import (
    BudgetError,
    DivergedError,
    LtxError,
    StoreFullError,
    UsageError,
    describe,
    packages_of,
)
from ltx.core.finder import Finder
from ltx.core.lab import Lab
from ltx.core.task import Task
from ltx.core.ticket import Ticket
from ltx.evaluation import effective_sparsity
from ltx.evaluation.effective_sparsity import EffectiveSparsity
from ltx.evaluation.instability import Instability, Stability, rewind_points
from ltx.evaluation.trial import Trial
from ltx.store.cells import CellSearch
from ltx.store.event_log import CellProgress, Timing, TrialTimed
from ltx.store.store import Store
from ltx.study.definition import Cell, Study
from ltx.study.listener import StudyListener, notify
from ltx.study.results import CellFailure, CellResult, StabilityResult, TrialResult
from ltx.study.search_warnings import SearchWarnings

_log = logging.getLogger("ltx")

OpenLab = Callable[[Task, int, bool], Lab]
"""Opens a lab for a task and a seed; the last argument says whether its test split is sealed."""


def check(study: Study, open_lab: OpenLab) -> None:
    """Raise UsageError for every mistake that can be recognised before anything trains."""
    for task in study.named.values():
        if task.corrupt != "none":
            raise UsageError(
                f"Task.corrupt {task.corrupt!r}: a study measures on true data; spoil only what a"
                " finder sees, by a control such as @corrupted(of=@imp())"
            )
        lab = open_lab(task, study.seeds[0], True)
        lab.steps(task.recipe.warmup)
        if not lab.steps():
            raise UsageError(
                f"Recipe.length {task.recipe.length}: {task.label} would not train at all; give it"
                " a step or more (for untrained subnetworks see @supermask())"
            )
        if study.stability:
            study.stability.check(lab)
        for label, finder in study.finders.items():
            try:
                identity.identity(finder)
                sources_of(finder)  # read now: the files may be edited while the study runs
            except TypeError as error:
                raise UsageError(f"Study.finders[{label!r}]: {error}") from error
            try:
                with seal.closed():
                    finder.check(lab)
            except LtxError:
                raise
            except Exception as error:  # a plugin may raise anything
                text = describe(error, packages_of(finder))
                raise UsageError(f"Study.finders[{label!r}]: its check raised {text}") from error


def run(
    study: Study, open_lab: OpenLab, store: Store, listener: StudyListener | None = None
) -> Iterator[CellResult]:
    """Run every cell and yield its results as they are measured, each trial before its stability.

    What an earlier run measured is read from the store. Of two finders that share a training, the
    first trains it and the second reads it from the memo, so the order of the finders does not
    change the total: a control may come before its subject. The start and end of every cell are
    logged in the store. The listener is called for each cell, ticket and result.
    """
    listener = listener or StudyListener()
    warned: set[str] = set()
    for cell in study.cells():
        listener.cell_started(cell)
        for result in _run_cell(study, cell, open_lab, store, warned):
            if isinstance(result, Ticket):
                listener.ticket_found(cell, result)
            else:
                notify(listener, result)
                yield result


def _run_cell(
    study: Study, cell: Cell, open_lab: OpenLab, store: Store, warned: set[str]
) -> Iterator[Ticket | CellResult]:
    """Run one cell and yield each ticket, before its trial, and each result.

    An error ends this cell only.
    """
    errors: list[str] = []
    level: int | None = None  # of the trial under way
    diverged = True  # whether all errors are of what is not finite

    def log(state: str, **more: Any) -> None:
        store.log_event(CellProgress(study.id, cell.key, state, **more))

    log("begun")
    try:
        sealed = open_lab(cell.task, cell.seed, True)
        for ticket, lab in _stored_tickets(cell, sealed, open_lab, store, warned):
            yield ticket
            level = ticket.level
            trial = _trial(lab, ticket, store)
            level = None
            log("measured", level=trial.level, trial=trial.id)
            where = cell.task_label, cell.finder_label, cell.finder.control, cell.seed
            yield TrialResult(*where, trial, ticket.parent, lab.origin)
            for point, result in _stability(lab, ticket, study.stability, store):
                if isinstance(result, LtxError):
                    text = f"stability of level {ticket.level} at {point}: {result}"
                    errors.append(text)
                    own = isinstance(result, DivergedError)
                    diverged = diverged and own
                    yield CellFailure(*cell.key, text, False, ticket.level, point, own)
                else:
                    log("compared", level=result.level, at=point, stability=result.id)
                    yield StabilityResult(*where, result)
        if errors:
            log("diverged" if diverged else "failed", error="; ".join(errors))
        else:
            log("done")
    except (StoreFullError, BudgetError):
        raise
    except Exception as error:  # an error in a plugin ends its cell only
        text, trace = describe(error, packages_of(cell.finder)), None
        if not isinstance(error, LtxError):
            _log.debug("%s failed", cell.finder_label, exc_info=True)
            trace = "".join(traceback.format_exception(error))
        own = isinstance(error, DivergedError)
        state = "diverged" if own and diverged else "failed"
        log(state, error="; ".join([*errors, text]), traceback=trace)
        yield CellFailure(*cell.key, text, level=level, diverged=own)


def _stored_tickets(
    cell: Cell, sealed: Lab, open_lab: OpenLab, store: Store, warned: set[str]
) -> Iterator[tuple[Ticket, Lab]]:
    """Search the cell and store each ticket; with the ticket comes the lab for its trial."""
    checks = SearchWarnings(cell, sealed, warned)
    with store.search(cell.task, cell.finder, cell.seed) as search:
        for ticket in _search(cell.finder, sealed):
            checks.check(ticket)
            lab = open_lab(cell.task, cell.seed, False)
            _put_ticket(ticket, lab, store, cell, search, warned)
            yield ticket, lab


def _search(finder: Finder, lab: Lab) -> Iterator[Ticket]:
    """The finder's tickets; all of its work between them counts among the lab's seconds."""
    tickets = finders.search(finder, lab)
    while True:
        with lab.ledger.working():
            ticket = next(tickets, None)
        if ticket is None:
            return
        yield ticket


def _put_ticket(
    ticket: Ticket, lab: Lab, store: Store, cell: Cell, search: CellSearch, warned: set[str]
) -> None:
    """Store the ticket; warn, before it is trained, of weights that can have no effect.

    Where that cannot be measured, the reason is logged once for each task; `warned` has the labels
    of the tasks for which it was.
    """
    result = _connectivity(lab, ticket, store)
    sparsity = result if isinstance(result, EffectiveSparsity) else None
    label, origin = cell.finder_label, lab.origin
    store.put_ticket(ticket, cell.task, cell.finder, label, sparsity, origin, search)
    if isinstance(result, str) and cell.task_label not in warned:
        warned.add(cell.task_label)
        _log.warning("%s", result)
    if text := _connectivity_warning(ticket, sparsity):
        _log.warning("%s, level %d: %s", label, ticket.level, text)


def _connectivity(lab: Lab, ticket: Ticket, store: Store) -> EffectiveSparsity | str | None:
    """The ticket's effective sparsity, or why it cannot be measured; None for a dense mask."""
    manifest = store.find_manifest(ticket.id)
    model = lab.origin.get("model")
    if manifest is None or manifest.get("lab", {}).get("model", model) != model:
        return effective_sparsity.measure(lab, ticket.mask)
    return EffectiveSparsity.from_document(manifest)


def _connectivity_warning(ticket: Ticket, sparsity: EffectiveSparsity | None) -> str:
    """What is wrong with a ticket's network before it is trained; "" if nothing is."""
    if sparsity and (text := sparsity.warning()):
        return text
    empty = ", ".join(ticket.mask.empty())
    return empty and f"{empty} lost every weight; no signal passes there"


def _trial(lab: Lab, ticket: Ticket, store: Store) -> Trial:
    """The ticket's trial: from the store, or trained now and its seconds logged.

    A stored one that is not finite is measured again, which raises DivergedError.
    """
    key = Trial.key(lab, ticket)
    trial = store.trial(key)
    if trial is None or not trial.is_finite:
        before = lab.seconds
        trial = Trial.run(lab, ticket)
        # The seconds go first: a trial that is in the store is not timed again.
        store.log_event(TrialTimed(key, Timing(ticket.seconds, lab.seconds - before)))
        store.put_trial(trial)
    return trial


def _stability(
    lab: Lab, ticket: Ticket, settings: Stability | None, store: Store
) -> Iterator[tuple[str, Instability | LtxError]]:
    """Each rewind point with the instability of the ticket from there, or why it has none.

    A copy that diverges stops neither the other points nor the other tickets of its cell.
    """
    if settings is None:
        return
    for point in rewind_points(lab, ticket, settings):
        result = store.instability(Instability.key(lab, ticket, settings, point))
        if result is None or not result.is_finite:
            try:
                result = Instability.measure(lab, ticket, settings, point)
            except (StoreFullError, BudgetError):
                raise
            except LtxError as error:
                yield point, error
                continue
            store.put_instability(result)
        yield point, result
