"""Study: tasks x finders x seeds, run cell by cell; one that fails loses none of the others."""

import dataclasses
import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from ltx.core import identity
from ltx.core.errors import BudgetError, LtxError, StoreFullError, UsageError
from ltx.core.finder import Finder
from ltx.core.lab import Lab
from ltx.core.task import Task
from ltx.core.ticket import Ticket
from ltx.core.validation import check_count, check_number, check_type
from ltx.evaluation.effective_sparsity import EffectiveSparsity
from ltx.evaluation.instability import Instability
from ltx.evaluation.mode_connectivity import Stability
from ltx.evaluation.trial import Trial
from ltx.store.store import Store
from ltx.study import measure
from ltx.study.grid import Grid

_log = logging.getLogger("ltx")
OpenLab = Callable[[Task, int, bool], Lab]


@dataclasses.dataclass(frozen=True)
class Study:
    """Which finders, under the labels that tables show, on which tasks, with how many seeds.

    A Grid among the finders stands for those that it makes. `tasks` are one, several, or several by
    the labels that tables show. `seeds` is a count, or the seeds themselves; `margin` the share of
    the test examples, less than which is no loss of accuracy worth the name. With `stability` every
    ticket is measured for that as well, those of controls, too.
    """

    finders: Mapping[str, Finder] = dataclasses.field(default_factory=dict)
    tasks: Sequence[Task] | Mapping[str, Task] = (Task(),)
    seeds: Any = 3
    margin: float = 0.003
    stability: Stability | None = None

    def __post_init__(self) -> None:
        if not isinstance(self.finders, Mapping) or not self.finders:
            raise UsageError(
                "Study.finders: expected finders by label, as in {'imp': @imp()},"
                f" got {self.finders!r}"
            )
        object.__setattr__(self, "finders", _expanded(self.finders))
        for label, finder in self.finders.items():
            if not isinstance(finder, Finder):
                raise UsageError(
                    f"Study.finders[{label!r}]: expected a finder, as in @imp(), got {finder!r}"
                )
        tasks = self.tasks if isinstance(self.tasks, Mapping) else _several(self.tasks)
        every = list(tasks.values()) if isinstance(tasks, Mapping) else tasks
        if not every or not all(isinstance(task, Task) for task in every):
            raise UsageError(f"Study.tasks: expected at least one @Task(), got {self.tasks!r}")
        object.__setattr__(self, "tasks", tasks)
        if len(self.named) < len(every):
            raise UsageError(
                "Study.tasks: expected different tasks, got one twice; are all of its scopes set?"
            )
        seeds = range(self.seeds) if isinstance(self.seeds, int) else _several(self.seeds)
        check_count("number of Study.seeds", len(seeds))
        for seed in seeds:
            check_count("Study.seeds", seed, least=0)
        if len(set(seeds)) != len(seeds):
            raise UsageError(f"Study.seeds: expected different seeds, got {list(seeds)}")
        object.__setattr__(self, "seeds", tuple(seeds))
        check_number("Study.margin", self.margin, least=0, below=1)
        if self.stability is not None:
            check_type("Study.stability", self.stability, Stability, "@Stability()")

    @property
    def id(self) -> str:
        return identity.identity(self)

    @property
    def named(self) -> dict[str, Task]:
        """The tasks by their labels.

        Without any given, those with one name for people are told apart by their ids.
        """
        if isinstance(self.tasks, Mapping):
            return {str(label): task for label, task in self.tasks.items()}
        names = [task.label for task in self.tasks]
        return {
            name if names.count(name) == 1 else f"{name} {task.id[:6]}": task
            for name, task in zip(names, self.tasks, strict=True)
        }

    @property
    def labels(self) -> list[str]:
        return list(self.named)


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


@dataclasses.dataclass(frozen=True)
class TrialResult:
    """One trial and where it belongs in the study."""

    task: str
    finder: str
    control: bool
    seed: int
    trial: Trial


@dataclasses.dataclass(frozen=True)
class StabilityResult:
    """The two copies of one ticket, and where they belong in the study."""

    task: str
    finder: str
    control: bool
    seed: int
    instability: Instability


@dataclasses.dataclass(frozen=True)
class CellFailure:
    """A cell that stopped early; the tickets that it had found by then are kept.

    Where it did not stop there, `ended` is False: copies of a ticket could not be compared.
    """

    task: str
    finder: str
    seed: int
    error: str
    ended: bool = True


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

    def tell(what: str, **more: object) -> None:
        store.record({"study": study.id, "cell": list(place.cell), "is": what, **more})

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


def _expanded(finders: Mapping[str, Any]) -> dict[str, Finder]:
    """The finders, each Grid among them replaced in its place by those that it makes."""
    made: dict[str, Finder] = {}
    for label, finder in finders.items():
        own = finder.finders(label) if isinstance(finder, Grid) else {label: finder}
        if twice := made.keys() & own.keys():
            raise UsageError(
                f"Study.finders: two finders are labelled {min(twice)!r}; rename the entry"
                f" {label!r}"
            )
        made |= own
    return made


def _several(values: object) -> tuple:
    """A tuple of what may be one value or many."""
    return tuple(values) if isinstance(values, list | tuple | range) else (values,)
