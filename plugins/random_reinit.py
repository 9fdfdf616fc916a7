"""Controls of another finder's tickets: fresh weights, kept signs, random masks."""

import dataclasses
from collections.abc import Iterator, Mapping
from typing import ClassVar

import numpy as np

import ltx

WEIGHTS = ("fresh", "sign_kept", "same")
MASKS = ("same", "shuffled", "random", "uniform")


@dataclasses.dataclass(frozen=True)
class RandomReinit(ltx.Finder):
    """Another finder's tickets with new weights, a random mask, or both.

    `weights`: "fresh" draws a new initialisation, "sign_kept" gives it the signs of the ticket's
    weights, "same" keeps the ticket's own. `mask`: "same"; "shuffled" within each layer,
    independently for each ticket; "random", one random ranking of each layer's weights, of which
    every ticket keeps as many as it has there; "uniform", one such ranking, of which every layer
    keeps the same share. The masks of "shuffled" and of "random" have the same distribution; but
    those of "random" are nested from level to level, as the tickets are.

    `structure` is that of the tickets, whose units are permuted: a ticket of channels needs
    ByChannel() to be compared with randomly chosen channels, or its control loses the structure as
    well; counts are then those of units. Blocks cut off at a kernel's edge are permuted among
    themselves, and NofM draws n of every m weights. "uniform" needs units of one size in all
    layers: single weights, or blocks that divide every kernel.

    What each control removed is checked and stored with it. Costs what the other finder costs,
    which is cached where it ran already.

    Reference: Frankle & Carbin, https://arxiv.org/abs/1803.03635 (fresh, same);
    Zhou et al., Deconstructing Lottery Tickets, https://arxiv.org/abs/1905.01067 (sign_kept);
    Frankle et al., https://arxiv.org/abs/1912.05671 (shuffled);
    Su et al., Sanity-Checking Pruning Methods, https://arxiv.org/abs/2009.11094 (shuffled)
    """

    control: ClassVar[bool] = True

    of: ltx.Finder | None = None
    weights: str = "fresh"
    mask: str = "same"
    structure: ltx.Structure = ltx.Unstructured()

    def __post_init__(self) -> None:
        ltx.check_choice("random_reinit.weights", self.weights, WEIGHTS)
        ltx.check_choice("random_reinit.mask", self.mask, MASKS)
        ltx.check_type("random_reinit.structure", self.structure, ltx.Structure, "@ByChannel()")
        if (self.weights, self.mask) == ("same", "same"):
            raise ltx.UsageError("random_reinit: same weights under the same mask is no control")
        declared = list(_structures(ltx.require_finder(self.of, "random_reinit")))
        if self.structure == ltx.Unstructured():
            return
        if self.mask == "same":
            raise ltx.UsageError(
                f"random_reinit.structure: the same mask moves no {self.structure.unit}; set"
                " random_reinit.mask to 'shuffled' or 'random', or drop the structure"
            )
        if declared and self.structure not in declared:
            raise ltx.UsageError(
                f"random_reinit.structure: expected that of the tickets, {declared[0]}, got"
                f" {self.structure}"
            )

    @classmethod
    def example(cls, of: ltx.Finder) -> "RandomReinit":
        return cls(of=of)

    def check(self, lab: ltx.Lab) -> None:
        ltx.require_finder(self.of, "random_reinit").check(lab)
        if self.mask == "same":
            return
        if not self.structure.alive(lab, lab.dense()):
            raise ltx.UsageError(
                f"random_reinit.structure: {lab.task.model} has no {self.structure.unit} that"
                f" {self.structure} could move"
            )
        if self.mask == "uniform" and (not self.structure.alike or self.structure.cells(lab)):
            raise ltx.UsageError(
                f"random_reinit.mask: 'uniform' takes {self.structure.unit} from one layer to"
                f" another; those of {self.structure} differ in size there or have to stay, so"
                " that density would not be the ticket's; use 'shuffled' or 'random'"
            )

    def find(self, lab: ltx.Lab) -> Iterator[ltx.Ticket]:
        fresh = lab.init(stream="reinit")
        for ticket in ltx.require_finder(self.of, "random_reinit").find(lab):
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
                "random_reinit",
                ticket,
                control,
                mask=promise,
                weights=self.weights,
                structure=self.structure,
                lab=lab,
            )

    def _mask(self, lab: ltx.Lab, ticket: ltx.Ticket) -> ltx.Mask:
        if self.mask == "same":
            return ticket.mask
        units, cells = self.structure.alive(lab, ticket.mask), self.structure.cells(lab)
        if self.mask == "shuffled":
            rng = lab.rng("shuffle", ticket.level)
            kept = dict(ltx.Mask(units).shuffled(rng))
            for name, cell in cells.items():
                kept[name] = _first(rng.permutation(cell.size), units[name], cell)
        else:
            kept = self._ranked(lab, units, cells)
        return ltx.Mask(self.structure.mask(lab, lab.dense(), kept))

    def _ranked(
        self, lab: ltx.Lab, units: Mapping[str, np.ndarray], cells: Mapping[str, np.ndarray]
    ) -> dict[str, np.ndarray]:
        """The first units in one random ranking of each group, as many as survive."""
        counts = {name: int(keep.sum()) for name, keep in units.items()}
        if self.mask == "uniform":
            sizes = {name: keep.size for name, keep in units.items()}
            counts = _even_counts(sizes, sum(counts.values()))
        kept = {}
        for name, keep in units.items():
            ranking = lab.rng("ranking", name).permutation(keep.size)
            if name in cells:
                kept[name] = _first(ranking, keep, cells[name])
            else:
                kept[name] = (ranking < counts[name]).reshape(keep.shape)
        return kept

    def _weights(self, ticket: ltx.Ticket, fresh: ltx.State) -> ltx.State:
        if self.weights == "same":
            return ticket.state
        if self.weights == "fresh":
            return fresh
        signed = dict(fresh.weights)
        for name in ticket.mask:
            signed[name] = np.copysign(np.abs(fresh.weights[name]), ticket.state.weights[name])
        return fresh.replace(weights=signed)


def _structures(value: object) -> Iterator[ltx.Structure]:
    """The structures among a finder's settings, and among those of the dataclasses it holds."""
    if isinstance(value, ltx.Structure):
        yield value
    elif dataclasses.is_dataclass(value) and not isinstance(value, type):
        for field in dataclasses.fields(value):
            yield from _structures(getattr(value, field.name))


def _first(ranking: np.ndarray, keep: np.ndarray, cell: np.ndarray) -> np.ndarray:
    """The first units of every cell in the ranking, as many as `keep` has in the cell."""
    cell = cell.reshape(-1)
    sizes = np.bincount(cell)
    counts = np.bincount(cell, keep.reshape(-1))
    row = np.lexsort((ranking, cell))
    rank = np.empty(cell.size, np.int64)
    rank[row] = np.arange(cell.size) - (np.cumsum(sizes) - sizes)[cell[row]]
    return (rank < counts[cell]).reshape(keep.shape)


def _same_signs(state: ltx.State, ticket: ltx.Ticket) -> float:
    """The share of the ticket's surviving weights that have the same sign in the control."""
    same = sum(
        int((np.signbit(state.weights[n]) == np.signbit(ticket.state.weights[n]))[keep].sum())
        for n, keep in ticket.mask.items()
    )
    return same / ticket.mask.kept


def _even_counts(sizes: dict[str, int], total: int) -> dict[str, int]:
    """`total` weights allocated in proportion to size; monotone in `total` for every layer."""
    density = total / sum(sizes.values())
    # Rounding moves no count by more than the number of layers; the rest goes to the sparsest.
    counts = {name: max(0, int(density * size) - len(sizes)) for name, size in sizes.items()}
    for _ in range(total - sum(counts.values())):
        counts[min(counts, key=lambda name: (counts[name] + 0.5) / sizes[name])] += 1
    return counts
