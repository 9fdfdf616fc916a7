"""Study: tasks x finders x seeds, run cell by cell; one that fails loses none of the others."""

import dataclasses
import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from ltx import identity, took
from ltx.checks import check_count, check_number, check_type
from ltx.errors import BudgetError, LtxError, StoreFullError, UsageError
from ltx.finder import Finder
from ltx.grid import Grid
from ltx.instability import Instability, places
from ltx.lab import Lab
from ltx.stability import Stability
from ltx.store import Store
from ltx.task import Task
from ltx.ticket import Ticket
from ltx.took import Took
from ltx.trial import Trial

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
class Place:
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
class Row:
    """One trial and where it belongs in the study."""

    task: str
    finder: str
    control: bool
    seed: int
    trial: Trial


@dataclasses.dataclass(frozen=True)
class Compared:
    """The two copies of one ticket, and where they belong in the study."""

    task: str
    finder: str
    control: bool
    seed: int
    instability: Instability


@dataclasses.dataclass(frozen=True)
class Failure:
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
    at: Callable[[Place], None] = lambda place: None,
) -> Iterator[Row | Compared | Failure]:
    """Run every cell and yield its trials as they finish, each before its copies are compared.

    All seeds of a level are wanted together, but the finders of one seed share trainings, so seeds
    go in the outer loop. Whatever was done before is read from the store. Of two finders that share
    a training the first trains it and the other finds it there, so that their order changes no
    total: a control may stand before what it controls. Where each cell is goes to the store's log;
    `at` is told each place before anything is trained there.
    """
    for name, task in study.named.items():
        for seed in study.seeds:
            for label, finder in study.finders.items():
                where = {"study": study.id, "cell": [name, label, seed]}
                place = Place(name, label, seed, task, finder)
                store.record({**where, "is": "begun"})
                troubles: list[str] = []
                at(place)
                try:
                    for ticket in _found(finder, open_lab(task, seed, True)):
                        store.put_ticket(ticket, task, finder, label)
                        if lost := ticket.mask.empty():
                            _log.warning(
                                "%s, level %d: %s lost every weight; no signal passes there",
                                label,
                                ticket.level,
                                ", ".join(lost),
                            )
                        at(dataclasses.replace(place, ticket=ticket))
                        lab = open_lab(task, seed, False)
                        trial = _trial(lab, ticket, store)
                        store.record(
                            {**where, "is": "measured", "level": trial.level, "trial": trial.id}
                        )
                        row = Row(name, label, finder.control, seed, trial)
                        yield row
                        at(place)
                        for found in _compared(lab, ticket, study.stability, store, row, where):
                            if isinstance(found, Failure):
                                troubles.append(found.error)
                            yield found
                    error = "; ".join(troubles)
                    ended = {"is": "failed", "error": error} if troubles else {"is": "done"}
                    store.record({**where, **ended})
                except (StoreFullError, BudgetError):
                    raise
                except Exception as error:  # a plugin's own mistake is its cell's alone
                    text = str(error)
                    if not isinstance(error, LtxError):
                        _log.debug("%s failed", label, exc_info=True)
                        text = f"{type(error).__name__}: {error}"
                    store.record({**where, "is": "failed", "error": "; ".join([*troubles, text])})
                    yield Failure(name, label, seed, text)


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


def _found(finder: Finder, lab: Lab) -> Iterator[Ticket]:
    """The finder's tickets; all of its work between them counts among the lab's seconds."""
    tickets = iter(finder.find(lab))
    while True:
        with lab.ledger.working():
            ticket = next(tickets, None)
        if ticket is None:
            return
        yield ticket


def _trial(lab: Lab, ticket: Ticket, store: Store) -> Trial:
    key = Trial.key(lab, ticket)
    known = store.trial(key)
    if known is None:
        before = lab.seconds
        known = Trial.of(lab, ticket)
        # First the seconds: a trial that is there is not measured again.
        took.tell(store, key, Took(ticket.seconds, lab.seconds - before))
        store.put_trial(known)
    return known


def _compared(
    lab: Lab,
    ticket: Ticket,
    asked: Stability | None,
    store: Store,
    row: Row,
    where: Mapping[str, object],
) -> Iterator[Compared | Failure]:
    """The copies of the row's ticket from each place, or why they cannot be compared.

    One that diverges takes neither the other places nor the other tickets of its cell with it.
    """
    if asked is None:
        return
    for at in places(lab, ticket, asked):
        found = Instability.stored(store, Instability.key(lab, ticket, asked, at))
        if found is None:
            try:
                found = Instability.of(lab, ticket, asked, at)
            except (StoreFullError, BudgetError):
                raise
            except LtxError as error:
                text = f"stability of level {ticket.level} at {at}: {error}"
                yield Failure(row.task, row.finder, row.seed, text, ended=False)
                continue
            found.put(store)
        event = {"level": found.level, "at": at, "stability": found.id}
        store.record({**where, "is": "compared", **event})
        yield Compared(row.task, row.finder, row.control, row.seed, found)
