"""Controls made from another finder's tickets: fresh weights, kept signs, shuffled masks."""

import dataclasses
from collections.abc import Iterator
from typing import ClassVar

import numpy as np

import ltx

WEIGHTS = ("fresh", "sign_kept", "same")
MASKS = ("same", "shuffled")


@dataclasses.dataclass(frozen=True)
class RandomReinit(ltx.Finder):
    """Another finder's tickets with what made them special taken away.

    `weights`: "fresh" draws a new initialisation, "sign_kept" gives it the signs of the ticket's
    weights, "same" keeps the ticket's own. `mask`: "same", or "shuffled" within each layer. Costs
    what the other finder costs, which the memo gives for nothing where it ran already.

    Reference: Frankle & Carbin, https://arxiv.org/abs/1803.03635 (fresh, same);
    Zhou et al., Deconstructing Lottery Tickets, https://arxiv.org/abs/1905.01067 (sign_kept);
    Frankle et al., https://arxiv.org/abs/1912.05671 (shuffled)
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
            state, mask = self._weights(ticket, fresh), ticket.mask
            if self.mask == "shuffled":
                mask = mask.shuffled(lab.rng("shuffle", ticket.level))
            yield ltx.Ticket.of(
                lab,
                mask,
                state,
                level=ticket.level,
                parent=ticket,
                recipe=ticket.recipe,
                mask_overlap=mask.overlap(ticket.mask),
                signs_kept=_same_signs(state, ticket),
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
