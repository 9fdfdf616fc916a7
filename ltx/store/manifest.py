"""The manifest of a ticket: all that a store has of it except its masks and its state."""

from collections.abc import Mapping

import numpy as np

from ltx.core import identity
from ltx.core.cost import Cost
from ltx.core.environment import versions
from ltx.core.mask import Mask
from ltx.core.recipe import Recipe
from ltx.core.state import State
from ltx.core.task import Task
from ltx.core.ticket import Ticket
from ltx.evaluation.effective_sparsity import EffectiveSparsity


def of(
    ticket: Ticket,
    task: Task,
    finder: object,
    label: str,
    effective: EffectiveSparsity | None = None,
) -> dict[str, object]:
    """The manifest of a ticket from the finder of that label, as plain JSON data.

    The keys of `effective` are left out if it was not measured.
    """
    return {
        "kind": "ticket",
        "id": ticket.id,
        "level": ticket.level,
        "density": ticket.density,
        **(effective.document() if effective else {}),
        "data": task.data,
        "model": task.model,
        "task": identity.describe(task),
        "task_id": ticket.task,
        "seed": ticket.seed,
        "finder": label,
        "finder_settings": identity.describe(finder),
        "parent": ticket.parent,
        "recipe": None if ticket.recipe is None else identity.describe(ticket.recipe),
        "cost": vars(ticket.cost),
        "note": identity.describe(ticket.note),
        "state": ticket.state.id,
        "step": ticket.state.step,
        "shapes": {name: keep.shape for name, keep in ticket.mask.items()},
        "versions": versions(),
    }


def packed(mask: Mask) -> dict[str, np.ndarray]:
    """The masks, one bit per weight, as uint8 arrays."""
    return {name: np.packbits(keep.reshape(-1)) for name, keep in mask.items()}


def ticket(manifest: Mapping, bits: Mapping[str, np.ndarray], state: State) -> Ticket:
    """The ticket of a manifest, its packed masks and its state."""
    arrays = {}
    for name, shape in manifest["shapes"].items():
        flat = np.unpackbits(bits[name], count=int(np.prod(shape)))
        arrays[name] = flat.reshape(shape).astype(np.bool_)
    recipe = manifest["recipe"]
    if recipe is not None:
        recipe = Recipe(**{key: value for key, value in recipe.items() if key != "is"})
    return Ticket(
        mask=Mask(arrays),
        state=state,
        level=manifest["level"],
        task=manifest["task_id"],
        seed=manifest["seed"],
        cost=Cost(**manifest["cost"]),
        recipe=recipe,
        parent=manifest["parent"],
        note=manifest["note"],
    )


def densities(manifest: Mapping, bits: Mapping[str, np.ndarray]) -> dict[str, float]:
    """The density of each weight tensor, from its packed mask."""
    return {
        name: int(np.bitwise_count(bits[name]).sum()) / int(np.prod(shape))
        for name, shape in manifest["shapes"].items()
    }
