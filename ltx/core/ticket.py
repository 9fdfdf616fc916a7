"""Ticket: a mask, the state to train from, its lineage, and the cost of finding it."""

import dataclasses
import functools
import math

from ltx.core import identity
from ltx.core.cost import Cost
from ltx.core.errors import UsageError
from ltx.core.lab import Lab
from ltx.core.mask import Mask
from ltx.core.recipe import Recipe
from ltx.core.state import State


@dataclasses.dataclass(frozen=True)
class Ticket:
    """A subnetwork and the state to train it from.

    `level` is the number of pruning rounds so far. `recipe` is the training it needs where that is
    not its task's. `parent` is the id of the ticket it was derived from. `note` holds JSON values
    by name that the finder stores with it. The id covers what a training depends on, and the
    parent, but neither cost nor note. `seconds`, the time that finding took, are neither compared
    nor stored: NaN for a ticket that is read from a store.
    """

    mask: Mask
    state: State
    level: int
    task: str
    seed: int
    cost: Cost = Cost()
    recipe: Recipe | None = None
    parent: str | None = None
    note: dict[str, object] = dataclasses.field(default_factory=dict)
    seconds: float = dataclasses.field(default=math.nan, compare=False, repr=False)

    @classmethod
    def of(
        cls,
        lab: Lab,
        mask: Mask,
        state: State,
        *,
        level: int = 0,
        parent: "Ticket | None" = None,
        recipe: Recipe | None = None,
        **note: object,
    ) -> "Ticket":
        """The ticket with the lab's task and seed, and all that the lab has spent so far."""
        mask.check(lab.prunable)
        return cls(
            mask=mask,
            state=state,
            level=level,
            task=lab.task.id,
            seed=lab.seed,
            cost=lab.spent,
            recipe=recipe,
            parent=parent.id if parent else None,
            note=note,
            seconds=lab.seconds,
        )

    def child(self, lab: Lab, mask: Mask, **changes: object) -> "Ticket":
        """The next level's ticket: this one's state under a sparser mask.

        `changes` replace fields of the ticket; those of other names are values of its note.
        """
        if self.mask == mask:
            raise UsageError(
                f"pruning at level {self.level} removed nothing: {self.mask.kept} weights are left"
                " and the rate rounds to none of them; ask for fewer levels or a higher rate"
            )
        child = Ticket.of(
            lab, mask, self.state, level=self.level + 1, parent=self, recipe=self.recipe
        )
        fields = {field.name for field in dataclasses.fields(child)}
        given = {name: value for name, value in changes.items() if name in fields}
        child = dataclasses.replace(child, **given)  # type: ignore[arg-type]
        note = {name: value for name, value in changes.items() if name not in fields}
        return dataclasses.replace(child, note={**child.note, **note})

    def lab_for(self, lab: Lab) -> Lab:
        """The lab, or its sibling for the ticket's own recipe."""
        return lab if self.recipe is None else lab.on(recipe=self.recipe)

    @functools.cached_property
    def id(self) -> str:
        return Ticket.key(
            mask=self.mask.id,
            state=self.state.id,
            level=self.level,
            task=self.task,
            seed=self.seed,
            recipe=self.recipe,
            parent=self.parent,
        )

    @staticmethod
    def key(
        *,
        mask: str,
        state: str,
        level: int,
        task: str,
        seed: int,
        recipe: Recipe | None,
        parent: str | None,
    ) -> str:
        """The id of a ticket with a mask and a state of these ids."""
        return identity.identity(
            {
                "mask": mask,
                "state": state,
                "level": level,
                "task": task,
                "seed": seed,
                "recipe": recipe,
                "parent": parent,
            }
        )

    @property
    def density(self) -> float:
        return self.mask.density
