"""Controls made from another finder's tickets: fresh weights, kept signs, masks by chance."""

import dataclasses
from collections.abc import Iterator
from typing import ClassVar

import numpy as np

import ltx

WEIGHTS = ("fresh", "sign_kept", "same")
MASKS = ("same", "shuffled", "random", "uniform")


@dataclasses.dataclass(frozen=True)
class RandomReinit(ltx.Finder):
    """Another finder's tickets with what made them special taken away.

    `weights`: "fresh" draws a new initialisation, "sign_kept" gives it the signs of the ticket's
    weights, "same" keeps the ticket's own. `mask`: "same"; "shuffled" within each layer, anew for
    each ticket; "random", one ranking of each layer's weights, of which every ticket keeps as many
    as it kept there; "uniform", one such ranking, of which every layer keeps the same share. The
    masks of "shuffled" and of "random" follow one law; only from level to level do they differ,
    where the latter are nested as the tickets are. What each control took away is checked and
    stored with it. Costs what the other finder costs, which the memo gives for nothing where it
    ran already.

    Reference: Frankle & Carbin, https://arxiv.org/abs/1803.03635 (fresh, same);
    Zhou et al., Deconstructing Lottery Tickets, https://arxiv.org/abs/1905.01067 (sign_kept);
    Frankle et al., https://arxiv.org/abs/1912.05671 (shuffled);
    Su et al., Sanity-Checking Pruning Methods, https://arxiv.org/abs/2009.11094 (shuffled)
    """

    control: ClassVar[bool] = True

    of: ltx.Finder | None = None
    weights: str = "fresh"
    mask: str = "same"

    def __post_init__(self) -> None:
        ltx.check_choice("random_reinit.weights", self.weights, WEIGHTS)
        ltx.check_choice("random_reinit.mask", self.mask, MASKS)
        if (self.weights, self.mask) == ("same", "same"):
            raise ltx.UsageError("random_reinit: same weights under the same mask is no control")
        ltx.inner(self.of, "random_reinit")

    @classmethod
    def example(cls, of: ltx.Finder) -> "RandomReinit":
        return cls(of=of)

    def check(self, lab: ltx.Lab) -> None:
        ltx.inner(self.of, "random_reinit").check(lab)

    def find(self, lab: ltx.Lab) -> Iterator[ltx.Ticket]:
        fresh = lab.init(stream="reinit")
        for ticket in ltx.inner(self.of, "random_reinit").find(lab):
            state, mask = self._weights(ticket, fresh), self._mask(lab, ticket)
            control = ltx.Ticket.of(
                lab,
                mask,
                state,
                level=ticket.level,
                parent=ticket,
                recipe=ticket.recipe,
                mask_overlap=mask.overlap(ticket.mask),
                signs_kept=_same_signs(state, ticket),
            )
            promise = "shuffled" if self.mask == "random" else self.mask
            yield ltx.check_control(
                "random_reinit", ticket, control, mask=promise, weights=self.weights
            )

    def _mask(self, lab: ltx.Lab, ticket: ltx.Ticket) -> ltx.Mask:
        if self.mask == "same":
            return ticket.mask
        if self.mask == "shuffled":
            return ticket.mask.shuffled(lab.rng("shuffle", ticket.level))
        counts = {name: int(keep.sum()) for name, keep in ticket.mask.items()}
        if self.mask == "uniform":
            sizes = {name: keep.size for name, keep in ticket.mask.items()}
            counts = _even_counts(sizes, ticket.mask.kept)
        return ltx.Mask(
            {
                name: (lab.rng("ranking", name).permutation(keep.size) < counts[name]).reshape(
                    keep.shape
                )
                for name, keep in ticket.mask.items()
            }
        )

    def _weights(self, ticket: ltx.Ticket, fresh: ltx.State) -> ltx.State:
        if self.weights == "same":
            return ticket.state
        if self.weights == "fresh":
            return fresh
        signed = dict(fresh.weights)
        for name in ticket.mask:
            signed[name] = np.copysign(np.abs(fresh.weights[name]), ticket.state.weights[name])
        return fresh.replace(weights=signed)


def _same_signs(state: ltx.State, ticket: ltx.Ticket) -> float:
    """The share of the ticket's surviving weights whose sign the control has too."""
    same = sum(
        int((np.signbit(state.weights[n]) == np.signbit(ticket.state.weights[n]))[keep].sum())
        for n, keep in ticket.mask.items()
    )
    return same / ticket.mask.kept


def _even_counts(sizes: dict[str, int], total: int) -> dict[str, int]:
    """`total` weights shared out by size; fewer of them never give any layer more."""
    density = total / sum(sizes.values())
    # Rounding moves no layer by more than there are layers; the rest goes where most is missing.
    counts = {name: max(0, int(density * size) - len(sizes)) for name, size in sizes.items()}
    for _ in range(total - sum(counts.values())):
        counts[min(counts, key=lambda name: (counts[name] + 0.5) / sizes[name])] += 1
    return counts
