"""Study: tasks x finders x seeds, run cell by cell; one that fails loses none of the others."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

from ltx.core import identity
from ltx.core.errors import UsageError
from ltx.core.finder import Finder
from ltx.core.task import Task
from ltx.core.validation import check_count, check_number, check_type
from ltx.evaluation.instability import Stability
from ltx.study.grid import Grid


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
