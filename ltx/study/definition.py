"""Study: which finders run on which tasks with which seeds, and the cells that makes."""

import dataclasses
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from ltx.core import identity
from ltx.core.errors import UsageError
from ltx.core.finder import Finder
from ltx.core.objectives.metric import Metric
from ltx.core.task import Task
from ltx.core.ticket import Ticket
from ltx.core.validation import check_count, check_number, check_type
from ltx.evaluation.instability import Stability
from ltx.study.grid import Grid


@dataclasses.dataclass(frozen=True)
class Cell:
    """One finder on one task with one seed; the labels are those that tables show."""

    task_label: str
    finder_label: str
    seed: int
    task: Task
    finder: Finder

    @property
    def key(self) -> tuple[str, str, int]:
        """Task label, finder label and seed: what a store's log and records call the cell."""
        return self.task_label, self.finder_label, self.seed

    def task_of(self, ticket: Ticket) -> Task:
        """The task on which the ticket's trial trains: the cell's, with the ticket's recipe."""
        return dataclasses.replace(self.task, recipe=ticket.recipe) if ticket.recipe else self.task


def cell_keys(
    tasks: Iterable[str], finders: Iterable[str], seeds: Iterable[int]
) -> Iterator[tuple[str, str, int]]:
    """The keys of all cells, in the order in which they run.

    A verdict needs all seeds of a level, but the finders of one seed share trainings, so the seeds
    go in the outer loop.
    """
    finders, seeds = list(finders), list(seeds)
    for task in tasks:
        for seed in seeds:
            for finder in finders:
                yield task, finder, seed


@dataclasses.dataclass(frozen=True)
class Study:
    """Every finder on every task with every seed.

    `finders` maps the labels that tables show to finders; a Grid among them is replaced by the
    finders that it generates. `tasks` is one task, a sequence, or a mapping by label. `seeds` is a
    count or the seeds themselves. `margin` is the largest loss that still counts as none, in values
    of the tasks' metric, as 0.003 of accuracy is 0.3 points; None is the metric's own. With
    `stability`, every ticket's linear mode connectivity is measured, those of controls included.
    """

    finders: Mapping[str, Finder] = dataclasses.field(default_factory=dict)
    tasks: Sequence[Task] | Mapping[str, Task] = (Task(),)
    seeds: Any = 3
    margin: float | None = None
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
        tasks = self.tasks if isinstance(self.tasks, Mapping) else _as_tuple(self.tasks)
        values = list(tasks.values()) if isinstance(tasks, Mapping) else tasks
        if not values or not all(isinstance(task, Task) for task in values):
            raise UsageError(f"Study.tasks: expected at least one @Task(), got {self.tasks!r}")
        object.__setattr__(self, "tasks", tasks)
        if len(self.named) < len(values):
            raise UsageError(
                "Study.tasks: expected different tasks, got one twice; are all of its scopes set?"
            )
        if isinstance(self.seeds, int):
            check_count("number of Study.seeds", self.seeds, most=100_000)
        seeds = range(self.seeds) if isinstance(self.seeds, int) else _as_tuple(self.seeds)
        check_count("number of Study.seeds", len(seeds))
        for seed in seeds:
            check_count("Study.seeds", seed, least=0)
        if len(set(seeds)) != len(seeds):
            raise UsageError(f"Study.seeds: expected different seeds, got {list(seeds)}")
        object.__setattr__(self, "seeds", tuple(seeds))
        object.__setattr__(self, "margin", _checked_margin(self.margin, self.metrics))
        if self.stability is not None:
            check_type("Study.stability", self.stability, Stability, "@Stability()")

    @property
    def id(self) -> str:
        return identity.identity(self)

    @property
    def named(self) -> dict[str, Task]:
        """The tasks by their labels; equal default labels are made unique by the tasks' ids."""
        if isinstance(self.tasks, Mapping):
            return {str(label): task for label, task in self.tasks.items()}
        names = [task.label for task in self.tasks]
        return {
            name if names.count(name) == 1 else f"{name} {task.id[:6]}": task
            for name, task in zip(names, self.tasks, strict=True)
        }

    @property
    def metrics(self) -> dict[str, Metric]:
        """The metric of each task, by the tasks' labels."""
        return {label: task.objective.metric for label, task in self.named.items()}

    @property
    def labels(self) -> list[str]:
        return list(self.named)

    def cells(self) -> Iterator[Cell]:
        """All cells, in the order in which they run."""
        tasks = self.named
        for task, finder, seed in cell_keys(tasks, self.finders, self.seeds):
            yield Cell(task, finder, seed, tasks[task], self.finders[finder])


def _expanded(finders: Mapping[str, Any]) -> dict[str, Finder]:
    """The finders, with each Grid among them replaced by those that it generates."""
    expanded: dict[str, Finder] = {}
    for label, finder in finders.items():
        added = finder.finders(label) if isinstance(finder, Grid) else {label: finder}
        if duplicates := expanded.keys() & added.keys():
            raise UsageError(
                f"Study.finders: two finders are labelled {min(duplicates)!r}; rename the entry"
                f" {label!r}"
            )
        expanded |= added
    return expanded


def _checked_margin(margin: float | None, metrics: Mapping[str, Metric]) -> float | None:
    """The margin, None where it is the default one of the tasks' metric."""
    if margin is None:
        return None
    first, *others = {metric: label for label, metric in metrics.items()}.items()
    if others:
        named = [f"{metric.name} on {label}" for metric, label in (first, *others)]
        raise UsageError(
            f"Study.margin: expected None, since the tasks have several metrics"
            f" ({', '.join(named)}), got {margin!r}; each then has its metric's own margin"
        )
    metric = first[0]
    check_number("Study.margin", margin, least=0, below=1 if metric.is_share else math.inf)
    return None if margin == metric.margin and not metric.relative else margin


def _as_tuple(values: object) -> tuple:
    return tuple(values) if isinstance(values, list | tuple | range) else (values,)
