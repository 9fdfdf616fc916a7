"""Control: a ticket with something taken away, held against it to show that just this is gone."""

import dataclasses
import math

import numpy as np

from ltx.checks import check_choice
from ltx.errors import ControlError
from ltx.lab import Lab
from ltx.mask import Mask
from ltx.state import State
from ltx.ticket import Ticket

CHANCE = 1e-6  # a control that keeps its promise is refused more rarely than this
MASKS = ("same", "shuffled", "uniform")
WEIGHTS = ("same", "fresh", "sign_kept")
BATCHES = 4
LEAST_DISTANCE = 0.01


def check_control(
    owner: str, ticket: Ticket, control: Ticket, *, mask: str = "same", weights: str = "same"
) -> Ticket:
    """The control with the check under "control" in its note; raises ControlError where it fails.

    `mask` says what became of the ticket's: "same"; "shuffled", the same count in every layer at
    places that chance chose; "uniform", the same count altogether, every layer alike. `weights`:
    "same"; "fresh", other ones; "sign_kept", of other sizes with the ticket's signs. What could
    not have come out otherwise, as the shuffle of a dense mask, is noted and not refused.
    """
    check_choice(f"{owner}: the mask of its check", mask, MASKS)
    check_choice(f"{owner}: the weights of its check", weights, WEIGHTS)
    who = f"{owner}, level {ticket.level}"
    note = {
        "mask": mask,
        "weights": weights,
        **_check_mask(who, ticket.mask, control.mask, mask),
        **_check_weights(who, ticket.state, control.state, control.mask, weights),
    }
    return dataclasses.replace(control, note={**control.note, "control": note})


def check_corrupted(owner: str, lab: Lab, spoilt: Lab) -> dict[str, object]:
    """How far the spoilt data turn the first gradient; raises ControlError if they do not.

    Over BATCHES batches of the same examples at the initial weights, on either lab. The distance
    is relative to the gradient on the true data.
    """
    state, mask = lab.init(), lab.dense()
    true, seen = (_flat(at.gradients(state, mask, BATCHES)) for at in (lab, spoilt))
    size, other = float(np.linalg.norm(true)), float(np.linalg.norm(seen))
    distance = float(np.linalg.norm(true - seen)) / size if size else 0.0
    if not distance > LEAST_DISTANCE:
        raise ControlError(
            f"{owner}: the first gradient on the corrupted data is within {distance:.1e} of the one"
            " on the true data: nothing was corrupted, so this controls nothing"
        )
    cosine = float(true @ seen) / (size * other) if other else 0.0
    return {"gradient_distance": round(distance, 4), "gradient_cosine": round(cosine, 4)}


def _flat(arrays: dict[str, np.ndarray]) -> np.ndarray:
    return np.concatenate([array.ravel() for array in arrays.values()]).astype(np.float64)


# Masks


def _check_mask(who: str, old: Mask, new: Mask, promise: str) -> dict[str, object]:
    if promise == "same":
        if new != old:
            raise ControlError(f"{who}: its mask is not the ticket's, which it says it keeps")
        return {}
    _check_counts(who, old, new, promise)
    # As many tests may fail by chance: the overlap of each layer and of all, and each one's change.
    chance = CHANCE / (2 * len(old) + 1)
    means, variances, shared, free = [], [], [], False
    for name, before in old.items():
        size, had, has = before.size, int(before.sum()), int(new[name].sum())
        means.append(had * has / size)
        variances.append(
            means[-1] * (size - had) * (size - has) / (size * (size - 1)) if size > 1 else 0.0
        )
        shared.append(int((before & new[name]).sum()))
        free |= 0 < has < size
        _check_overlap(f"{who}: {name}", shared[-1], means[-1], variances[-1], chance)
        alike = -_log_choices(size, had) if had == has else -math.inf
        if alike < math.log(chance) and (before == new[name]).all():
            raise ControlError(
                f"{who}: the mask of {name} is still the ticket's, all {had} of {size} weights"
                " where they were: nothing was shuffled, so this controls nothing"
            )
    _check_overlap(f"{who}: the mask", sum(shared), sum(means), sum(variances), chance)
    kept = max(1, new.kept)
    return {
        "kept_counts": True,
        "could_differ": free,
        "overlap": sum(shared) / kept,
        "chance_overlap": sum(means) / kept,
        "allowed_deviation": _allowed(sum(variances), chance) / kept,
    }


def _check_counts(who: str, old: Mask, new: Mask, promise: str) -> None:
    if new.kept != old.kept:
        raise ControlError(f"{who}: it keeps {new.kept} weights, its ticket {old.kept}")
    for name, before in old.items():
        has, had = int(new[name].sum()), int(before.sum())
        if promise == "shuffled" and has != had:
            raise ControlError(f"{who}: it keeps {has} weights of {name}, its ticket {had}")
        # Whole numbers cannot all be the exact share, and what one layer rounds others even out.
        share, slack = old.density * before.size, 1 + len(old) * before.size / old.size
        if promise == "uniform" and abs(has - share) > slack:
            raise ControlError(
                f"{who}: it keeps {has} weights of {name}, whose even share is {share:.1f}"
            )


def _check_overlap(what: str, shared: int, mean: float, variance: float, chance: float) -> None:
    allowed = _allowed(variance, chance)
    if abs(shared - mean) > allowed + 1e-6:
        raise ControlError(
            f"{what} shares {shared} weights with the ticket's, where chance gives {mean:.1f} and"
            f" stays within {allowed:.1f} of it: it was not shuffled at random"
        )


def _allowed(variance: float, chance: float) -> float:
    """How far an overlap strays from its mean with less than this chance, by Bernstein's bound.

    Overlaps of random masks are hypergeometric, and such a count is a sum of independent events;
    so the bound holds for every size, where a normal approximation would not.
    """
    if variance == 0:
        return 0.0
    log = math.log(2 / chance)
    return log / 3 + math.sqrt(log * log / 9 + 2 * log * variance)


def _log_choices(size: int, kept: int) -> float:
    return math.lgamma(size + 1) - math.lgamma(kept + 1) - math.lgamma(size - kept + 1)


# Weights


def _check_weights(who: str, old: State, new: State, mask: Mask, promise: str) -> dict[str, object]:
    if promise == "same":
        if new != old:
            raise ControlError(f"{who}: its weights are not the ticket's, which it says it keeps")
        return {}
    differ = signs = 0
    for name, keep in mask.items():
        ours, theirs = new.weights[name][keep], old.weights[name][keep]
        kept = int((np.signbit(ours) == np.signbit(theirs)).sum())
        if promise == "sign_kept":
            if kept < len(ours):
                raise ControlError(
                    f"{who}: {len(ours) - kept} weights of {name} lost the sign that it says it"
                    " keeps"
                )
            ours, theirs = np.abs(ours), np.abs(theirs)
        other = int((ours != theirs).sum())
        # Of a constant initialiser every draw is the same.
        if len(ours) and not other and np.ptp(ours) > 0:
            raise ControlError(
                f"{who}: the surviving weights of {name} are still the ticket's: nothing was drawn"
                " anew, so this controls nothing"
            )
        differ, signs = differ + other, signs + kept
    if not differ:
        raise ControlError(f"{who}: no surviving weight differs from the ticket's")
    return {"weights_differ": differ / mask.kept, "signs_kept": signs / mask.kept}
