"""Checks that a control differs from its ticket in what it claims to change, and only in that."""

import dataclasses
import math

import numpy as np

from ltx.core.errors import ControlError, UsageError
from ltx.core.lab import Lab
from ltx.core.mask import Mask
from ltx.core.state import State
from ltx.core.ticket import Ticket
from ltx.core.validation import check_choice
from ltx.evaluation import mask_overlap
from ltx.pruning.structures import Arrays, Structure, Unstructured

CHANCE = 1e-6  # of refusing a correct control, at most
MASKS = ("same", "shuffled", "uniform")
WEIGHTS = ("same", "fresh", "sign_kept")
BATCHES = 4
LEAST_DISTANCE = 0.01  # of the gradient on corrupted data, relative to the true gradient


def check_control(
    owner: str,
    ticket: Ticket,
    control: Ticket,
    *,
    mask: str = "same",
    weights: str = "same",
    structure: Structure = Unstructured(),  # noqa: B008 (frozen)
    lab: Lab | None = None,
) -> Ticket:
    """The control with the check's numbers under "control" in its note; ControlError if it fails.

    `mask` is what the control did with the ticket's mask: "same"; "shuffled", the same count in
    every layer at random positions; "uniform", the same total count, the same density in every
    layer. `weights`: "same"; "fresh", drawn again; "sign_kept", other magnitudes with the ticket's
    signs. A control that cannot differ, such as the shuffle of a dense mask, is noted, not refused.

    `structure` is what is counted and moved, and both masks must have it; the `lab` is required for
    any but Unstructured.
    """
    check_choice(f"{owner}: the mask of its check", mask, MASKS)
    check_choice(f"{owner}: the weights of its check", weights, WEIGHTS)
    who = f"{owner}, level {ticket.level}"
    note = {
        "mask": mask,
        "weights": weights,
        **_check_mask(who, ticket.mask, control.mask, mask, structure, lab),
        **_check_weights(who, ticket.state, control.state, control.mask, weights),
    }
    return dataclasses.replace(control, note={**control.note, "control": note})


def check_corrupted(owner: str, lab: Lab, corrupted_lab: Lab) -> dict[str, object]:
    """How far corrupted data change the first gradient; ControlError if they do not.

    Over BATCHES batches of the same examples at the initial weights, on both labs. The distance
    is relative to the gradient on the true data.
    """
    state, mask = lab.init(), lab.dense()
    true, corrupted = (_flat(one.gradients(state, mask, BATCHES)) for one in (lab, corrupted_lab))
    size, other = float(np.linalg.norm(true)), float(np.linalg.norm(corrupted))
    distance = float(np.linalg.norm(true - corrupted)) / size if size else 0.0
    if not distance > LEAST_DISTANCE:
        raise ControlError(
            f"{owner}: the first gradient on the corrupted data is within {distance:.1e} of the one"
            " on the true data: nothing was corrupted, so this controls nothing"
        )
    cosine = float(true @ corrupted) / (size * other) if other else 0.0
    return {"gradient_distance": round(distance, 4), "gradient_cosine": round(cosine, 4)}


def _flat(arrays: dict[str, np.ndarray]) -> np.ndarray:
    return np.concatenate([array.ravel() for array in arrays.values()]).astype(np.float64)


# Masks


def _check_mask(
    who: str, old: Mask, new: Mask, claim: str, structure: Structure, lab: Lab | None
) -> dict[str, object]:
    if claim == "same":
        if new != old:
            raise ControlError(f"{who}: its mask is not the ticket's, which it says it keeps")
        return {}
    if isinstance(structure, Unstructured):
        return _check_units(who, old, new, {}, claim, structure.unit)
    if lab is None:
        raise UsageError(f"{who}: expected the lab, by which {structure} counts; give it as lab=")
    for whose, mask in (("its ticket", old), ("it", new)):
        for name in structure.misfits(lab, mask):
            raise ControlError(
                f"{who}: the mask that {whose} has of {name} is not one of {structure}; a control"
                " needs the structure of the finder whose tickets it controls"
            )
    before, after = (structure.alive(lab, mask) for mask in (old, new))
    cells, unit = structure.cells(lab), structure.unit
    return {"unit": unit, **_check_units(who, before, after, cells, claim, unit)}


def _check_units(
    who: str, old: Arrays, new: Arrays, cells: Arrays, claim: str, unit: str
) -> dict[str, object]:
    _check_counts(who, old, new, claim, unit)
    # Bonferroni over all tests: the overlap and the change of each layer, and the total overlap.
    chance = CHANCE / (2 * len(old) + 1)
    means, variances, shared, free = [], [], [], False
    for name, before in old.items():
        cell = cells.get(name)
        size, had, has = _tallies(cell, before, new[name])
        if claim == "shuffled" and (had != has).any():
            raise ControlError(f"{who}: {unit} of {name} went where they may not go")
        mean, variance = mask_overlap.chance(size, had, has)
        means.append(float(mean.sum()))
        variances.append(float(variance.sum()))
        shared.append(int((before & new[name]).sum()))
        free |= bool(((has > 0) & (has < size)).any())
        _check_overlap(f"{who}: {name}", shared[-1], means[-1], variances[-1], chance, unit)
        log_same = -_log_choices(size, had) if (had == has).all() else -math.inf
        if log_same < math.log(chance) and (before == new[name]).all():
            raise ControlError(
                f"{who}: the mask of {name} is still the ticket's, all {had.sum()} of {size.sum()}"
                f" {unit} where they were: nothing was shuffled, so this controls nothing"
            )
    _check_overlap(f"{who}: the mask", sum(shared), sum(means), sum(variances), chance, unit)
    kept = max(1, _count(new))
    return {
        "kept_counts": True,
        "could_differ": free,
        "overlap": sum(shared) / kept,
        "chance_overlap": sum(means) / kept,
        "allowed_deviation": _allowed(sum(variances), chance) / kept,
    }


def _tallies(cell: np.ndarray | None, *units: np.ndarray) -> list[np.ndarray]:
    """The size of each cell, and the number of true `units` in it; int64, without empty cells."""
    if cell is None:
        counts = (units[0].size, *(int(np.count_nonzero(keep)) for keep in units))
        return [np.array([count], np.int64) for count in counts]
    sizes = np.bincount(cell.ravel())
    tallies = [np.bincount(cell.ravel(), keep.ravel()).astype(np.int64) for keep in units]
    return [tally[sizes > 0] for tally in (sizes, *tallies)]


def _count(units: Arrays) -> int:
    return sum(int(np.count_nonzero(keep)) for keep in units.values())


def _check_counts(who: str, old: Arrays, new: Arrays, claim: str, unit: str) -> None:
    kept, total = _count(old), sum(keep.size for keep in old.values())
    if _count(new) != kept:
        raise ControlError(f"{who}: it keeps {_count(new)} {unit}, its ticket {kept}")
    for name, before in old.items():
        has, had = int(new[name].sum()), int(before.sum())
        if claim == "shuffled" and has != had:
            raise ControlError(f"{who}: it keeps {has} {unit} of {name}, its ticket {had}")
        # Counts are whole numbers, and the rounding of one layer is made up for in others.
        share, slack = kept / total * before.size, 1 + len(old) * before.size / total
        if claim == "uniform" and abs(has - share) > slack:
            raise ControlError(
                f"{who}: it keeps {has} {unit} of {name}, whose even share is {share:.1f}"
            )


def _check_overlap(
    what: str, shared: int, mean: float, variance: float, chance: float, unit: str
) -> None:
    allowed = _allowed(variance, chance)
    if abs(shared - mean) > allowed + 1e-6:
        raise ControlError(
            f"{what} shares {shared} {unit} with the ticket's, where chance gives {mean:.1f} and"
            f" stays within {allowed:.1f} of it: it was not shuffled at random"
        )


def _allowed(variance: float, chance: float) -> float:
    """The deviation from its mean that an overlap exceeds with less than this chance.

    By Bernstein's bound. Overlaps of random masks are hypergeometric, and such a count is
    distributed as a sum of independent events, so the bound holds for every size, where a normal
    approximation would not.
    """
    if variance == 0:
        return 0.0
    log = math.log(2 / chance)
    return log / 3 + math.sqrt(log * log / 9 + 2 * log * variance)


def _log_choices(sizes: np.ndarray, kept: np.ndarray) -> float:
    """The logarithm of the number of masks with `kept` units in cells of `sizes`."""
    kinds, counts = np.unique(np.stack([sizes, kept]), axis=1, return_counts=True)
    logs = (
        math.lgamma(size + 1) - math.lgamma(has + 1) - math.lgamma(size - has + 1)
        for size, has in kinds.T.tolist()
    )
    return sum(count * log for count, log in zip(counts.tolist(), logs, strict=True))


# Weights


def _check_weights(who: str, old: State, new: State, mask: Mask, claim: str) -> dict[str, object]:
    if claim == "same":
        if new != old:
            raise ControlError(f"{who}: its weights are not the ticket's, which it says it keeps")
        return {}
    differ = signs = 0
    for name, keep in mask.items():
        ours, theirs = new.weights[name][keep], old.weights[name][keep]
        kept = int((np.signbit(ours) == np.signbit(theirs)).sum())
        if claim == "sign_kept":
            if kept < len(ours):
                raise ControlError(
                    f"{who}: {len(ours) - kept} weights of {name} lost the sign that it says it"
                    " keeps"
                )
            ours, theirs = np.abs(ours), np.abs(theirs)
        other = int((ours != theirs).sum())
        # A constant initialiser draws the same values every time.
        if len(ours) and not other and np.ptp(ours) > 0:
            raise ControlError(
                f"{who}: the surviving weights of {name} are still the ticket's: nothing was drawn"
                " anew, so this controls nothing"
            )
        differ, signs = differ + other, signs + kept
    if not differ:
        raise ControlError(f"{who}: no surviving weight differs from the ticket's")
    return {"weights_differ": differ / mask.kept, "signs_kept": signs / mask.kept}
