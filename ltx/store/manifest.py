"""The manifest of a ticket: all that a store has of it except its masks and its state."""

import math
import types
from collections.abc import Iterator, Mapping

import numpy as np

from ltx.core import identity
from ltx.core.cost import Cost
from ltx.core.environment import sources_of, versions
from ltx.core.mask import Mask
from ltx.core.recipe import Recipe
from ltx.core.state import State
from ltx.core.task import Task
from ltx.core.ticket import Ticket
from ltx.evaluation.effective_sparsity import EffectiveSparsity

# What the manifests of all finders of one ticket have in common.
COVERED = (
    "id",
    "level",
    "density",
    "task_id",
    "seed",
    "parent",
    "recipe",
    "state",
    "step",
    "shapes",
)
_MOST_MASK_IDS = 100_000
_mask_ids: dict[bytes, str] = {}


def of(
    ticket: Ticket,
    task: Task,
    finder: object,
    label: str,
    effective: EffectiveSparsity | None = None,
    origin: Mapping[str, str] = types.MappingProxyType({}),
) -> dict[str, object]:
    """The manifest of a ticket from the finder of that label, as plain JSON data.

    The keys of `effective` are left out if it was not measured. `origin` is that of the lab;
    `sources` are hashes of the packages whose code the finder runs, and no part of the id.
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
        "sources": sources_of(finder),
        "lab": dict(origin),
    }


def packed(mask: Mask) -> dict[str, np.ndarray]:
    """The masks, one bit per weight, as uint8 arrays."""
    return {name: np.packbits(keep.reshape(-1)) for name, keep in mask.items()}


def unpacked(manifest: Mapping, bits: Mapping[str, np.ndarray]) -> Mask:
    """The masks of a manifest from their packed form."""
    arrays = {}
    for name, shape in manifest["shapes"].items():
        # Of 0 and 1 in one byte each, as booleans are: no copy is made.
        flat = np.unpackbits(bits[name], count=math.prod(shape)).view(np.bool_)
        flat.flags.writeable = False
        arrays[name] = flat.reshape(shape)
    return Mask(arrays)


def mask_id(manifest: Mapping, bits: Mapping[str, np.ndarray], seal: bytes) -> str:
    """The id of the masks, computed once for the content with this digest."""
    if seal not in _mask_ids:
        if len(_mask_ids) >= _MOST_MASK_IDS:
            _mask_ids.clear()
        _mask_ids[seal] = unpacked(manifest, bits).id
    return _mask_ids[seal]


def id_of(manifest: Mapping, mask_id: str) -> str:
    """The id of the ticket with this manifest and a mask of this id."""
    return Ticket.key(
        mask=mask_id,
        state=manifest["state"],
        level=manifest["level"],
        task=manifest["task_id"],
        seed=manifest["seed"],
        recipe=_recipe(manifest),
        parent=manifest["parent"],
    )


def ticket(manifest: Mapping, bits: Mapping[str, np.ndarray], state: State) -> Ticket:
    """The ticket of a manifest, its packed masks and its state."""
    return Ticket(
        mask=unpacked(manifest, bits),
        state=state,
        level=manifest["level"],
        task=manifest["task_id"],
        seed=manifest["seed"],
        cost=Cost(**manifest["cost"]),
        recipe=_recipe(manifest),
        parent=manifest["parent"],
        note=manifest["note"],
    )


def _recipe(manifest: Mapping) -> Recipe | None:
    described = manifest["recipe"]
    if described is None:
        return None
    return Recipe(**{key: value for key, value in described.items() if key != "is"})


def names(manifest: Mapping) -> Iterator[str]:
    """The names of the two files in which the manifest of a finder may be.

    The second serves a label under which other settings found the same ticket before.
    """
    name = f"{manifest['id']}.{identity.identity(manifest['finder'])}"
    yield f"{name}.json"
    yield f"{name}.{identity.identity(manifest['finder_settings'])}.json"


def marks(by_label: Mapping[str, Mapping]) -> dict[str, dict]:
    """Of each finder's manifest: the origin of its lab, and by what it is superseded."""
    return {
        label: {key: one[key] for key in ("lab", "superseded") if one.get(key)}
        for label, one in sorted(by_label.items())
    }


def density(manifest: Mapping, bits: Mapping[str, np.ndarray]) -> float:
    """The share of the weights that survives, from their packed masks; 1.0 without weights."""
    size = sum(math.prod(shape) for shape in manifest["shapes"].values())
    kept = sum(int(np.bitwise_count(packed).sum()) for packed in bits.values())
    return kept / size if size else 1.0


def densities(manifest: Mapping, bits: Mapping[str, np.ndarray]) -> dict[str, float]:
    """The density of each weight tensor, from its packed mask."""
    return {
        name: int(np.bitwise_count(bits[name]).sum()) / max(math.prod(shape), 1)
        for name, shape in manifest["shapes"].items()
    }
