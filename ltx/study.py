"""Study: tasks x finders x seeds, run cell by cell; one that fails loses none of the others."""

import dataclasses
import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from ltx import effective, identity
from ltx.checks import check_count, check_number
from ltx.effective import Effective
from ltx.errors import BudgetError, LtxError, StoreFullError, UsageError
from ltx.finder import Finder
from ltx.lab import Lab
from ltx.store import Store
from ltx.task import Task
from ltx.ticket import Ticket
from ltx.trial import Trial

_log = logging.getLogger("ltx")
OpenLab = Callable[[Task, int, bool], Lab]


@dataclasses.dataclass(frozen=True)
class Study:
    """Which finders, under the labels that tables show, on which tasks, with how many seeds.

    `seeds` is a count, or the seeds themselves; `margin` the share of the test examples, less than
    which is no loss of accuracy worth the name.
    """

    finders: Mapping[str, Finder] = dataclasses.field(default_factory=dict)
    tasks: Sequence[Task] = (Task(),)
    seeds: Any = 3
    margin: float = 0.003

    def __post_init__(self) -> None:
        if not isinstance(self.finders, Mapping) or not self.finders:
            raise UsageError(
                "Study.finders: expected finders by label, as in {'imp': @imp()},"
                f" got {self.finders!r}"
            )
        for label, finder in self.finders.items():
            if not isinstance(finder, Finder):
                raise UsageError(
                    f"Study.finders[{label!r}]: expected a finder, as in @imp(), got {finder!r}"
                )
        tasks = _several(self.tasks)
        if not tasks or not all(isinstance(task, Task) for task in tasks):
            raise UsageError(f"Study.tasks: expected at least one @Task(), got {self.tasks!r}")
        object.__setattr__(self, "tasks", tasks)
        seeds = range(self.seeds) if isinstance(self.seeds, int) else _several(self.seeds)
        check_count("number of Study.seeds", len(seeds))
        for seed in seeds:
            check_count("Study.seeds", seed, least=0)
        if len(set(seeds)) != len(seeds):
            raise UsageError(f"Study.seeds: expected different seeds, got {list(seeds)}")
        object.__setattr__(self, "seeds", tuple(seeds))
        check_number("Study.margin", self.margin, least=0, below=1)

    @property
    def id(self) -> str:
        return identity.identity(self)

    @property
    def labels(self) -> list[str]:
        """A name for each task; those that share data set and model are told apart by their id."""
        names = [task.label for task in self.tasks]
        return [
            name if names.count(name) == 1 else f"{name} {task.id[:6]}"
            for name, task in zip(names, self.tasks, strict=True)
        ]


@dataclasses.dataclass(frozen=True)
class Row:
    """One trial and where it belongs in the study."""

    task: str
    finder: str
    control: bool
    seed: int
    trial: Trial


@dataclasses.dataclass(frozen=True)
class Failure:
    """A cell that stopped early; the tickets that it had found by then are kept."""

    task: str
    finder: str
    seed: int
    error: str


def check(study: Study, open_lab: OpenLab) -> None:
    """Raise UsageError for whatever can be known to be wrong before anything trains."""
    for task in study.tasks:
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
        for label, finder in study.finders.items():
            try:
                identity.identity(finder)
            except TypeError as error:
                raise UsageError(f"Study.finders[{label!r}]: {error}") from error
            finder.check(lab)


def run(study: Study, open_lab: OpenLab, store: Store) -> Iterator[Row | Failure]:
    """Run every cell and yield its trials as they finish.

    All seeds of a level are wanted together, but the finders of one seed share trainings, so seeds
    go in the outer loop. Whatever was done before is read from the store. Of two finders that share
    a training the first trains it and the other finds it there, so that their order changes no
    total: a control may stand before what it controls. Where each cell is goes to the store's log.
    """
    untold: set[str] = set()
    for name, task in zip(study.labels, study.tasks, strict=True):
        for seed in study.seeds:
            for label, finder in study.finders.items():
                where = {"study": study.id, "cell": [name, label, seed]}
                store.record({**where, "is": "begun"})
                try:
                    for ticket in finder.find(open_lab(task, seed, True)):
                        bench = open_lab(task, seed, False)
                        found = _effective(bench, ticket, store)
                        known = found if isinstance(found, Effective) else None
                        store.put_ticket(ticket, task, finder, label, known)
                        if isinstance(found, str) and name not in untold:
                            untold.add(name)
                            _log.warning("%s", found)
                        if text := _alarm(ticket, known):
                            _log.warning("%s, level %d: %s", label, ticket.level, text)
                        trial = _trial(bench, ticket, store)
                        store.record(
                            {**where, "is": "measured", "level": trial.level, "trial": trial.id}
                        )
                        yield Row(name, label, finder.control, seed, trial)
                    store.record({**where, "is": "done"})
                except (StoreFullError, BudgetError):
                    raise
                except Exception as error:  # a plugin's own mistake is its cell's alone
                    text = str(error)
                    if not isinstance(error, LtxError):
                        _log.debug("%s failed", label, exc_info=True)
                        text = f"{type(error).__name__}: {error}"
                    store.record({**where, "is": "failed", "error": text})
                    yield Failure(name, label, seed, text)


def _several(values: object) -> tuple:
    """A tuple of what may be one value or many."""
    return tuple(values) if isinstance(values, list | tuple | range) else (values,)


def _effective(lab: Lab, ticket: Ticket, store: Store) -> Effective | str | None:
    """What is effective of the ticket, as the store knows or as measured now, or why nobody can."""
    known = store.header(ticket.id)
    return effective.measured(lab, ticket.mask) if known is None else Effective.read(known)


def _alarm(ticket: Ticket, found: Effective | None) -> str:
    """What is wrong with a ticket's network before it is trained; "" where nothing is."""
    if found and (text := found.alarm()):
        return text
    lost = ", ".join(ticket.mask.empty())
    return lost and f"{lost} lost every weight; no signal passes there"


def _trial(lab: Lab, ticket: Ticket, store: Store) -> Trial:
    key = Trial.key(lab, ticket)
    known = store.trial(key)
    if known is None:
        known = Trial.of(lab, ticket)
        store.put_trial(known)
    return known
