"""Finders with one bug each: those that published code has shipped, and those that are easily made.

`PLANTED` says which checks catch which bug; the first is the one that it is planted for.
"""

import contextlib
import dataclasses
import itertools
import random
from collections.abc import Iterator, Mapping
from typing import ClassVar

import numpy as np

from ltx import Cost, Finder, Lab, Magnitude, Mask, Pruning, State, Ticket, UsageError, Weight

CUT = Pruning(0.5, scope="global")


def halve(lab: Lab, ticket: Ticket, state: State | None = None) -> Ticket:
    """The correct procedure that the others deviate from: train, prune half, rewind."""
    trained = lab.train(ticket.state, ticket.mask).state
    mask = CUT(lab, ticket.mask, Magnitude()(lab, trained, ticket.mask))
    return ticket.child(lab, mask, state=state or ticket.state)


def dense(lab: Lab) -> Ticket:
    return Ticket.of(lab, lab.dense(), lab.init())


@dataclasses.dataclass(frozen=True)
class Sound(Finder):
    levels: int = 2

    def find(self, lab: Lab) -> Iterator[Ticket]:
        ticket = dense(lab)
        yield ticket
        for _ in range(self.levels):
            ticket = halve(lab, ticket)
            yield ticket


# Six bugs of published code


@dataclasses.dataclass(frozen=True)
class PrunesNegatives(Finder):
    """`weight < threshold` instead of `abs(weight) < threshold`."""

    density: float = 0.5

    def find(self, lab: Lab) -> Iterator[Ticket]:
        ticket = dense(lab)
        yield ticket
        trained = lab.train(ticket.state, ticket.mask).state
        kept = {}
        for name in ticket.mask:
            size = np.abs(trained.weights[name])
            kept[name] = trained.weights[name] >= np.quantile(size, 1 - self.density)
        yield ticket.child(lab, Mask(kept))


@dataclasses.dataclass(frozen=True)
class ForgetsItsMask(Finder):
    """Trains without the mask and prunes anew from the whole network."""

    def find(self, lab: Lab) -> Iterator[Ticket]:
        ticket = dense(lab)
        yield ticket
        for level in (1, 2):
            trained = lab.train(lab.init(f"round {level}"), lab.dense()).state
            pruning = Pruning.to(0.5**level)
            ticket = ticket.child(
                lab, pruning(lab, lab.dense(), Magnitude()(lab, trained, lab.dense()))
            )
            yield ticket


@dataclasses.dataclass(frozen=True)
class ShufflesACopy(Finder):
    """The shuffled mask is bound to a name that is never read."""

    control = True
    of: Finder = Sound()

    def find(self, lab: Lab) -> Iterator[Ticket]:
        for ticket in self.of.find(lab):
            mask = ticket.mask
            for name in mask:
                array = mask[name].copy()
                array = lab.rng("shuffle", name).permutation(array)
            yield Ticket.of(lab, mask, ticket.state, level=ticket.level, parent=ticket)


@dataclasses.dataclass(frozen=True)
class NeverRewinds(Finder):
    """Says that its trained weights are those of step 0."""

    levels: int = 2

    def find(self, lab: Lab) -> Iterator[Ticket]:
        ticket = dense(lab)
        yield ticket
        for _ in range(self.levels):
            trained = lab.train(ticket.state, ticket.mask).state
            ticket = halve(lab, ticket, trained.replace(step=0, slots={}))
            yield ticket


@dataclasses.dataclass(frozen=True)
class SeedsPythonOnly(Finder):
    """Seeds Python's generator, which everybody shares, and draws from an unseeded one."""

    def find(self, lab: Lab) -> Iterator[Ticket]:
        random.seed(lab.seed)
        rng = np.random.default_rng()
        ticket = dense(lab)
        yield ticket
        scores = {name: rng.random(keep.shape) for name, keep in ticket.mask.items()}
        yield ticket.child(lab, CUT(lab, ticket.mask, scores))


@dataclasses.dataclass(frozen=True)
class KeepsTheSourcesHead(Finder):
    """Carries tickets of a set with six classes over to one with four, head and all."""

    def find(self, lab: Lab) -> Iterator[Ticket]:
        source = lab.on(data="elsewhere/6")
        for ticket in Sound().find(source):
            yield dataclasses.replace(ticket, task=lab.task.id)


@dataclasses.dataclass(frozen=True)
class Patterned(Ticket):
    """A ticket that knows more than a store keeps."""

    pattern: tuple[int, int] = (4, 4)


@dataclasses.dataclass(frozen=True)
class LosesItsPattern(Finder):
    """Keeps the 2:4 pattern where saving loses it."""

    def find(self, lab: Lab) -> Iterator[Ticket]:
        first = dense(lab)
        yield first
        second = halve(lab, first)
        yield Patterned(**{**vars_of(second), "pattern": (2, 4)})


# Those that are easily made


@dataclasses.dataclass(frozen=True)
class DrawsByHash(Finder):
    """Python salts the hashes of strings in every process."""

    def find(self, lab: Lab) -> Iterator[Ticket]:
        ticket = dense(lab)
        yield ticket
        scores = {
            name: np.random.default_rng([lab.seed, hash(name) % 2**32]).random(keep.shape)
            for name, keep in ticket.mask.items()
        }
        yield ticket.child(lab, CUT(lab, ticket.mask, scores))


@dataclasses.dataclass(frozen=True)
class DrawsTheSameForAll(Finder):
    """Random masks that no seed changes."""

    def find(self, lab: Lab) -> Iterator[Ticket]:
        ticket = dense(lab)
        yield ticket
        rng = np.random.default_rng(0)
        scores = {name: rng.random(keep.shape) for name, keep in ticket.mask.items()}
        yield ticket.child(lab, CUT(lab, ticket.mask, scores))


@dataclasses.dataclass(frozen=True)
class PeeksAtTheTest(Finder):
    """Asks for the test split, and goes on where it is refused."""

    def find(self, lab: Lab) -> Iterator[Ticket]:
        first = dense(lab)
        yield first
        second = halve(lab, first)
        with contextlib.suppress(UsageError):
            lab.run_evaluation(second.state, second.mask, "test")
        yield second


@dataclasses.dataclass(frozen=True)
class ScalesInPlace(Finder):
    """Scales the weights that it was given, and does not give them back."""

    def find(self, lab: Lab) -> Iterator[Ticket]:
        ticket = dense(lab)
        yield ticket
        trained = lab.train(ticket.state, ticket.mask).state
        for array in trained.weights.values():
            array.setflags(write=True)
            np.multiply(array, 2, out=array)
        yield ticket.child(lab, CUT(lab, ticket.mask, Magnitude()(lab, trained, ticket.mask)))


@dataclasses.dataclass(frozen=True)
class CostsNothing(Finder):
    """Says that its tickets came for free."""

    def find(self, lab: Lab) -> Iterator[Ticket]:
        for ticket in Sound().find(lab):
            yield dataclasses.replace(ticket, cost=Cost())


@dataclasses.dataclass(frozen=True)
class TrainsOffTheBooks(Finder):
    """Trains where the lab does not count."""

    def find(self, lab: Lab) -> Iterator[Ticket]:
        ticket = dense(lab)
        yield ticket
        trained = lab.run_training(ticket.state, ticket.mask, lab.steps(), "order").state
        yield ticket.child(lab, CUT(lab, ticket.mask, Magnitude()(lab, trained, ticket.mask)))


@dataclasses.dataclass(frozen=True)
class NeverEnds(Finder):
    """Has no last level."""

    def find(self, lab: Lab) -> Iterator[Ticket]:
        first = dense(lab)
        yield first
        second = halve(lab, first)
        for level in itertools.count(1):
            yield dataclasses.replace(second, level=level)


@dataclasses.dataclass(frozen=True)
class StopsShort(Finder):
    """Promises a level more than it yields."""

    levels: int = 2
    pruning: Pruning = CUT

    def find(self, lab: Lab) -> Iterator[Ticket]:
        yield from Sound(self.levels - 1).find(lab)


@dataclasses.dataclass(frozen=True)
class FindsNothing(Finder):
    """Trains, and keeps it to itself."""

    def find(self, lab: Lab) -> Iterator[Ticket]:
        lab.train(lab.init(), lab.dense())
        yield from ()


@dataclasses.dataclass(unsafe_hash=True)
class Thawed(Finder):
    """Anybody may change its settings."""

    levels: int = 2

    def find(self, lab: Lab) -> Iterator[Ticket]:
        yield from Sound(self.levels).find(lab)


@dataclasses.dataclass(frozen=True)
class EmptiesALayer(Finder):
    """Prunes the logits' layer away."""

    def find(self, lab: Lab) -> Iterator[Ticket]:
        first = dense(lab)
        yield first
        second = halve(lab, first)
        head = lab.prunable[-1]
        if len(lab.prunable) > 1:
            mask = Mask({**second.mask, head.name: np.zeros(head.shape, np.bool_)})
            second = dataclasses.replace(second, mask=mask)
        yield second


class Interrupted:
    """Whether a search was ever closed before its end, in this process."""

    ever = False


@dataclasses.dataclass(frozen=True)
class ResumesItself(Finder):
    """Believes that it knows where it was stopped, and goes on from there."""

    def find(self, lab: Lab) -> Iterator[Ticket]:
        skip, Interrupted.ever = Interrupted.ever, False
        for ticket in Sound().find(lab):
            if skip and ticket.level == 0:
                continue
            try:
                yield ticket
            except GeneratorExit:
                Interrupted.ever = True
                raise


@dataclasses.dataclass(frozen=True)
class HidesASetting(Finder):
    """Leaves a setting out of its repr."""

    levels: int = dataclasses.field(default=1, repr=False)

    def find(self, lab: Lab) -> Iterator[Ticket]:
        yield from Sound(self.levels).find(lab)


@dataclasses.dataclass(frozen=True)
class Été(Finder):  # noqa: PLC2401
    """A name that gin cannot spell."""

    def find(self, lab: Lab) -> Iterator[Ticket]:
        yield from Sound().find(lab)


@dataclasses.dataclass(frozen=True)
class ChecksByTraining(Finder):
    """Finds out whether its settings work by trying them."""

    def check(self, lab: Lab) -> None:
        lab.train(lab.init(), lab.dense(), "1it")

    def find(self, lab: Lab) -> Iterator[Ticket]:
        yield from Sound().find(lab)


@dataclasses.dataclass(frozen=True)
class WantsTwoLayers(Finder):
    """Takes the second layer for granted."""

    def find(self, lab: Lab) -> Iterator[Ticket]:
        second: Weight = lab.prunable[1]
        assert second.is_output
        yield from Sound().find(lab)


@dataclasses.dataclass(frozen=True)
class DividesByWhatGoes(Finder):
    """Divides by the share that is pruned."""

    density: float = 0.5

    def find(self, lab: Lab) -> Iterator[Ticket]:
        ticket = dense(lab)
        yield ticket
        rounds = round(0.5 / (1 - self.density))
        mask = ticket.mask
        for _ in range(rounds):
            mask = CUT(lab, mask, Magnitude()(lab, ticket.state, mask))
        yield ticket.child(lab, mask)


@dataclasses.dataclass(frozen=True)
class SaysItTwice(Finder):
    """Yields one mask at two levels."""

    def find(self, lab: Lab) -> Iterator[Ticket]:
        first = dense(lab)
        yield first
        second = halve(lab, first)
        yield second
        yield dataclasses.replace(second, level=2)


@dataclasses.dataclass(frozen=True)
class StartsAtNaN(Finder):
    """A ticket that no training can start from."""

    def find(self, lab: Lab) -> Iterator[Ticket]:
        first = dense(lab)
        yield first
        second = halve(lab, first)
        broken = {name: array * np.float32(np.nan) for name, array in second.state.weights.items()}
        yield dataclasses.replace(second, state=second.state.replace(weights=broken))


@dataclasses.dataclass(frozen=True)
class NeedsASetting(Finder):
    """Cannot be made without being told how."""

    levels: int

    def find(self, lab: Lab) -> Iterator[Ticket]:
        yield from Sound(self.levels).find(lab)


@dataclasses.dataclass(frozen=True)
class WaivesNonsense(Finder):
    """Waives a check that does not exist."""

    waived: ClassVar[Mapping[str, str]] = {"nestled": "it is cosy"}

    def find(self, lab: Lab) -> Iterator[Ticket]:
        yield from Sound().find(lab)


@dataclasses.dataclass(frozen=True)
class WaivesTooMuch(Finder):
    """Waives what it does not fail."""

    waived: ClassVar[Mapping[str, str]] = {"nested": "regrows what it pruned"}

    def find(self, lab: Lab) -> Iterator[Ticket]:
        yield from Sound().find(lab)


def vars_of(ticket: Ticket) -> dict[str, object]:
    return {field.name: getattr(ticket, field.name) for field in dataclasses.fields(Ticket)}


PLANTED: list[tuple[Finder, list[str]]] = [
    (PrunesNegatives(), ["target", "density_one"]),
    (ForgetsItsMask(), ["nested"]),
    (ShufflesACopy(), ["differs_from_subject"]),
    (NeverRewinds(), ["rewind"]),
    (SeedsPythonOnly(), ["same_seed", "generators", "resumed"]),
    (KeepsTheSourcesHead(), ["fits", "trained", "one_layer"]),
    (LosesItsPattern(), ["stored"]),
    (DrawsByHash(), ["same_seed"]),
    (DrawsTheSameForAll(), ["other_seed"]),
    (PeeksAtTheTest(), ["test_split"]),
    (ScalesInPlace(), ["inputs", "resumed"]),
    (CostsNothing(), ["cost"]),
    (TrainsOffTheBooks(), ["cost"]),
    (NeverEnds(), ["finite", "falling"]),
    (StopsShort(), ["target"]),
    (FindsNothing(), ["finite", "one_layer"]),
    (Thawed(), ["frozen"]),
    (EmptiesALayer(), ["layers"]),
    (ResumesItself(), ["resumed"]),
    (HidesASetting(levels=2), ["repr"]),
    (Été(), ["gin"]),
    (ChecksByTraining(), ["check"]),
    (WantsTwoLayers(), ["one_layer"]),
    (DividesByWhatGoes(), ["density_one"]),
    (SaysItTwice(), ["falling"]),
    (StartsAtNaN(), ["trained", "stored", "rewind", "other_seed"]),
    (NeedsASetting(2), ["defaults"]),
    (WaivesNonsense(), ["waivers"]),
    (WaivesTooMuch(), ["nested"]),
]
