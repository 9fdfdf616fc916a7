"""Loop: a study run cell by cell; one cell that fails loses none of the others."""

import dataclasses
import logging
from collections.abc import Callable, Iterator
from typing import Any

from ltx.core import identity
from ltx.core.errors import BudgetError, LtxError, StoreFullError, UsageError
from ltx.core.finder import Finder
from ltx.core.lab import Lab
from ltx.core.task import Task
from ltx.core.ticket import Ticket
from ltx.evaluation.effective_sparsity import EffectiveSparsity
from ltx.store.event_log import CellProgress
from ltx.store.store import Store
from ltx.study import measure
from ltx.study.definition import Study
from ltx.study.results import CellFailure, StabilityResult, TrialResult

_log = logging.getLogger("ltx")


OpenLab = Callable[[Task, int, bool], Lab]


@dataclasses.dataclass(frozen=True)
class Cell:
    """Where a study is: in which cell, under which names, and with which ticket.

    The ticket is None while the finder looks for one.
    """

    name: str
    label: str
    seed: int
    task: Task
    finder: Finder
    ticket: Ticket | None = None

    @property
    def cell(self) -> tuple[str, str, int]:
        return self.name, self.label, self.seed

    @property
    def measured(self) -> Task:
        """The task as the ticket's trial trains it."""
        recipe = self.ticket and self.ticket.recipe
        return dataclasses.replace(self.task, recipe=recipe) if recipe else self.task


def check(study: Study, open_lab: OpenLab) -> None:
    """Raise UsageError for whatever can be known to be wrong before anything trains."""
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
            except TypeError as error:
                raise UsageError(f"Study.finders[{label!r}]: {error}") from error
            finder.check(lab)


def run(
    study: Study,
    open_lab: OpenLab,
    store: Store,
    at: Callable[[Cell], None] = lambda place: None,
) -> Iterator[TrialResult | StabilityResult | CellFailure]:
    """Run every cell and yield its trials as they finish, each before its copies are compared.

    All seeds of a level are wanted together, but the finders of one seed share trainings, so seeds
    go in the outer loop. Whatever was done before is read from the store. Of two finders that share
    a training the first trains it and the other finds it there, so that their order changes no
    total: a control may stand before what it controls. Where each cell is goes to the store's log;
    `at` is told each place before anything is trained there.
    """
    told: set[str] = set()
    for name, task in study.named.items():
        for seed in study.seeds:
            for label, finder in study.finders.items():
                place = Cell(name, label, seed, task, finder)
                yield from _run_cell(study, place, open_lab, store, at, told)


def _run_cell(
    study: Study,
    place: Cell,
    open_lab: OpenLab,
    store: Store,
    at: Callable[[Cell], None],
    told: set[str],
) -> Iterator[TrialResult | StabilityResult | CellFailure]:
    """All tickets of one finder with one seed on one task; what stops them is the cell's alone."""
    troubles: list[str] = []

    def tell(what: str, **more: Any) -> None:
        store.log_event(CellProgress(study.id, place.cell, what, **more))

    tell("begun")
    at(place)
    try:
        for ticket in _found(place.finder, open_lab(place.task, place.seed, True)):
            lab = open_lab(place.task, place.seed, False)
            _keep(ticket, lab, store, place, told)
            at(dataclasses.replace(place, ticket=ticket))
            trial = measure.trial(lab, ticket, store)
            tell("measured", level=trial.level, trial=trial.id)
            where = place.name, place.label, place.finder.control, place.seed
            yield TrialResult(*where, trial)
            at(place)
            for start, found in measure.copies(lab, ticket, study.stability, store):
                if isinstance(found, str):
                    troubles.append(found)
                    yield CellFailure(*place.cell, found, ended=False)
                else:
                    tell("compared", level=found.level, at=start, stability=found.id)
                    yield StabilityResult(*where, found)
        if troubles:
            tell("failed", error="; ".join(troubles))
        else:
            tell("done")
    except (StoreFullError, BudgetError):
        raise
    except Exception as error:  # a plugin's own mistake is its cell's alone
        text = str(error)
        if not isinstance(error, LtxError):
            _log.debug("%s failed", place.label, exc_info=True)
            text = f"{type(error).__name__}: {error}"
        tell("failed", error="; ".join([*troubles, text]))
        yield CellFailure(*place.cell, text)


def _found(finder: Finder, lab: Lab) -> Iterator[Ticket]:
    """The finder's tickets; all of its work between them counts among the lab's seconds."""
    tickets = iter(finder.find(lab))
    while True:
        with lab.ledger.working():
            ticket = next(tickets, None)
        if ticket is None:
            return
        yield ticket


def _keep(ticket: Ticket, lab: Lab, store: Store, place: Cell, told: set[str]) -> None:
    """Store the ticket and warn, before it is trained, of what its network cannot do.

    Why that cannot be told is told once for each task, those `told` of before.
    """
    found = measure.connectivity(lab, ticket, store)
    known = found if isinstance(found, EffectiveSparsity) else None
    store.put_ticket(ticket, place.task, place.finder, place.label, known)
    if isinstance(found, str) and place.name not in told:
        told.add(place.name)
        _log.warning("%s", found)
    if text := measure.connectivity_warning(ticket, known):
        _log.warning("%s, level %d: %s", place.label, ticket.level, text)
