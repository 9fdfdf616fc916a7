"""Finders with one bug each: those that published code has shipped, and those that are easily made.

`PLANTED` says which checks catch which bug; the first is the one that it is planted for.
"""

import contextlib
import dataclasses
import datetime
import itertools
import os
import random
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import ClassVar

import numpy as np

from ltx import (
    Cost,
    Finder,
    Lab,
    Magnitude,
    Mask,
    Pruning,
    State,
    Ticket,
    UsageError,
    Weight,
    check_count,
    check_number,
)

CUT = Pruning(0.5, scope="global")


def halve(lab: Lab, ticket: Ticket, state: State | None = None) -> Ticket:
    """The correct procedure that the others deviate from: train, prune half, rewind."""
    trained = lab.train(ticket.state, ticket.mask).state
    mask = CUT(lab, ticket.mask, Magnitude()(lab, trained, ticket.mask))
    return ticket.child(lab, mask, state=state or ticket.state)


def dense(lab: Lab) -> Ticket:
    return Ticket.of(lab, lab.dense(), lab.init())


class Checked(Finder):
    """Refuses settings that mean nothing."""

    def __post_init__(self) -> None:
        check_count("levels", getattr(self, "levels", 1))
        check_number("density", getattr(self, "density", 0.5), above=0, least=0)


@dataclasses.dataclass(frozen=True)
class Sound(Checked):
    levels: int = 2

    def find(self, lab: Lab) -> Iterator[Ticket]:
        ticket = dense(lab)
        yield ticket
        for _ in range(self.levels):
            ticket = halve(lab, ticket)
            yield ticket


# Six bugs of published code


@dataclasses.dataclass(frozen=True)
class PrunesNegatives(Checked):
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
class NeverRewinds(Checked):
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
class StopsShort(Checked):
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
class Thawed(Checked):
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
class HidesASetting(Checked):
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
class DividesByWhatGoes(Checked):
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
class NeedsASetting(Checked):
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


# Those that only a convolution, other settings or other surroundings show


@dataclasses.dataclass(frozen=True)
class TakesKernelsForMatrices(Finder):
    """Scales each row of a kernel, which it takes for [inputs, outputs]."""

    def find(self, lab: Lab) -> Iterator[Ticket]:
        first = dense(lab)
        yield first
        trained = lab.train(first.state, first.mask).state
        scores = {}
        for name in first.mask:
            rows, columns = trained.weights[name].shape
            scores[name] = np.abs(trained.weights[name]) / np.sqrt(rows * columns)
        yield first.child(lab, CUT(lab, first.mask, scores))


@dataclasses.dataclass(frozen=True)
class LosesStatistics(Finder):
    """Makes states of weights alone."""

    def find(self, lab: Lab) -> Iterator[Ticket]:
        for ticket in Sound().find(lab):
            yield dataclasses.replace(ticket, state=State(lab.init().weights))


@dataclasses.dataclass(frozen=True)
class KeepsTrainedStatistics(Finder):
    """Rewinds the weights, and leaves the statistics of the training."""

    def find(self, lab: Lab) -> Iterator[Ticket]:
        first = dense(lab)
        yield first
        trained = lab.train(first.state, first.mask).state
        yield halve(lab, first, first.state.replace(statistics=trained.statistics))


@dataclasses.dataclass(frozen=True)
class RewindsToTheMiddle(Finder):
    """Rewinds to the middle of the training and says that it is the start."""

    def find(self, lab: Lab) -> Iterator[Ticket]:
        first = dense(lab)
        yield first
        middle = lab.train(first.state, first.mask, "50%").state
        yield halve(lab, first, middle.replace(step=0, slots={}))


@dataclasses.dataclass(frozen=True)
class RewindsThroughTheLab(Finder):
    """The same, but passes the relabelled state through a training of no step."""

    def find(self, lab: Lab) -> Iterator[Ticket]:
        first = dense(lab)
        yield first
        middle = lab.train(first.state, first.mask, "50%").state.replace(step=0, slots={})
        yield halve(lab, first, lab.train(middle, first.mask, "0it").state.replace(slots={}))


@dataclasses.dataclass(frozen=True)
class RewindsElsewhere(Checked):
    """Has a setting for the step, and does not use it."""

    rewind_step: int = 0

    def __post_init__(self) -> None:
        check_count("rewind_step", self.rewind_step, least=0)

    def find(self, lab: Lab) -> Iterator[Ticket]:
        middle = lab.train(lab.init(), lab.dense(), "50%").state
        first = Ticket.of(lab, lab.dense(), middle)
        yield first
        yield halve(lab, first)


@dataclasses.dataclass(frozen=True)
class TakesNoDensities(Finder):
    """Its loop over no densities runs not once."""

    densities: tuple[float, ...] = (0.5, 0.25)

    def __post_init__(self) -> None:
        for density in self.densities:
            check_number("densities", density, above=0, below=1)

    def find(self, lab: Lab) -> Iterator[Ticket]:
        ticket = dense(lab)
        yield ticket
        for density in self.densities:
            trained = lab.train(ticket.state, ticket.mask).state
            scores = Magnitude()(lab, trained, ticket.mask)
            ticket = ticket.child(lab, Pruning.to(density)(lab, ticket.mask, scores))
            yield ticket


@dataclasses.dataclass(frozen=True)
class TakesAnyLevels(Finder):
    """Takes -1 levels and True levels."""

    levels: int = 2

    def find(self, lab: Lab) -> Iterator[Ticket]:
        yield from Sound(max(1, int(self.levels))).find(lab)


@dataclasses.dataclass(frozen=True)
class TakesNegativeLevels(TakesAnyLevels):
    """Takes -1 levels."""

    def __post_init__(self) -> None:
        if self.levels is True or self.levels != self.levels:
            raise UsageError("levels: expected a whole number")


@dataclasses.dataclass(frozen=True)
class TakesAnyDuration(Finder):
    """Reads its duration only where it trains."""

    until: str = "10%"

    def find(self, lab: Lab) -> Iterator[Ticket]:
        first = dense(lab)
        yield first
        lab.train(first.state, first.mask, self.until)
        yield halve(lab, first)


def by(lab: Lab, number: float) -> Iterator[Ticket]:
    """Tickets whose mask depends on a number."""
    first = dense(lab)
    yield first
    rng = lab.rng(str(number))
    scores = {name: rng.random(keep.shape) for name, keep in first.mask.items()}
    yield first.child(lab, CUT(lab, first.mask, scores))


@dataclasses.dataclass(frozen=True)
class ReadsTheEnvironment(Finder):
    """Has a setting that nobody sees."""

    def find(self, lab: Lab) -> Iterator[Ticket]:
        yield from by(lab, float(os.environ.get("PLANTED_NUMBER", "0.5")))


@dataclasses.dataclass(frozen=True)
class ReadsTheFolder(Finder):
    """Depends on where it is run."""

    def find(self, lab: Lab) -> Iterator[Ticket]:
        yield from by(lab, len(list(Path().iterdir())))


@dataclasses.dataclass(frozen=True)
class ReadsTheDate(Finder):
    """Depends on the day."""

    def find(self, lab: Lab) -> Iterator[Ticket]:
        yield from by(lab, datetime.datetime.now().toordinal())


@dataclasses.dataclass(frozen=True)
class ReadsTheClock(Finder):
    """Seeds a generator with the hour."""

    def find(self, lab: Lab) -> Iterator[Ticket]:
        yield from by(lab, time.time() // 3600)


@dataclasses.dataclass(frozen=True)
class DrawsFromNumPy(Finder):
    """Draws from the generator that everybody shares."""

    def find(self, lab: Lab) -> Iterator[Ticket]:
        yield from by(lab, np.random.random())


@dataclasses.dataclass(frozen=True)
class YieldsNothingAtAll(Finder):
    """Returns where it should yield."""

    def find(self, lab: Lab) -> Iterator[Ticket]:  # type: ignore[return]
        halve(lab, dense(lab))


@dataclasses.dataclass(frozen=True)
class YieldsMasks(Finder):
    """Takes masks for tickets."""

    def find(self, lab: Lab) -> Iterator[Ticket]:
        yield lab.dense()  # type: ignore[misc]


def vars_of(ticket: Ticket) -> dict[str, object]:
    return {field.name: getattr(ticket, field.name) for field in dataclasses.fields(Ticket)}


# What needs a search.
SEARCHING = [
    *("finite", "fits", "layers", "falling", "target", "nested", "rewind", "trained", "stored"),
    *("same_seed", "other_seed", "inputs", "generators", "test_split", "cost", "resumed"),
    *("one_layer", "convolution", "kinds", "direction"),
]


@dataclasses.dataclass(frozen=True)
class WantsImages(Finder):
    """Unpacks the shape of inputs as that of an image."""

    def find(self, lab: Lab) -> Iterator[Ticket]:
        _height, _width, _channels = lab.input_shape
        yield from Sound().find(lab)


@dataclasses.dataclass(frozen=True)
class WantsKernels(Finder):
    """Looks for the bias of every prunable weight under the name of a kernel's."""

    def find(self, lab: Lab) -> Iterator[Ticket]:
        state = lab.init()
        for weight in lab.prunable:
            state.weights[weight.name.removesuffix("kernel") + "bias"]
        yield from Sound().find(lab)


@dataclasses.dataclass(frozen=True)
class PicksTheHighest(Finder):
    """Keeps the better of two masks by the highest metric, be it an accuracy or an error."""

    def find(self, lab: Lab) -> Iterator[Ticket]:
        ticket = dense(lab)
        yield ticket
        halved = halve(lab, ticket)
        drawn = ticket.child(lab, halved.mask.shuffled(lab.rng("drawn")))
        ends = [lab.train(t.state, t.mask).history.value[-1] for t in (halved, drawn)]
        chosen = halved if ends[0] >= ends[1] else drawn
        yield dataclasses.replace(chosen, cost=lab.spent)


PLANTED: list[tuple[Finder, list[str]]] = [
    (PrunesNegatives(), ["target", "density_one"]),
    (ForgetsItsMask(), ["nested"]),
    (ShufflesACopy(), ["differs_from_subject"]),
    (NeverRewinds(), ["rewind", "convolution"]),
    (SeedsPythonOnly(), ["same_seed", "generators", "resumed"]),
    (KeepsTheSourcesHead(), ["fits", "trained", "one_layer", "convolution", "kinds"]),
    (LosesItsPattern(), ["stored"]),
    (DrawsByHash(), ["same_seed"]),
    (DrawsTheSameForAll(), ["other_seed"]),
    (PeeksAtTheTest(), ["test_split"]),
    (ScalesInPlace(), ["inputs", "resumed"]),
    (CostsNothing(), ["cost"]),
    (TrainsOffTheBooks(), ["cost"]),
    (NeverEnds(), ["finite", "falling"]),
    (StopsShort(), ["target"]),
    (FindsNothing(), ["finite", "one_layer", "convolution", "kinds"]),
    (Thawed(), ["frozen"]),
    (EmptiesALayer(), ["layers"]),
    (ResumesItself(), ["resumed"]),
    (HidesASetting(levels=2), ["repr"]),
    (Été(), ["gin"]),
    (ChecksByTraining(), ["check"]),
    (WantsTwoLayers(), ["one_layer"]),
    (DividesByWhatGoes(), ["density_one"]),
    (SaysItTwice(), ["falling"]),
    (StartsAtNaN(), ["trained", "stored", "rewind", "other_seed", "convolution"]),
    (NeedsASetting(2), ["defaults"]),
    (WaivesNonsense(), ["waivers"]),
    (WaivesTooMuch(), ["nested"]),
    (TakesKernelsForMatrices(), ["convolution"]),
    (LosesStatistics(), ["convolution"]),
    (KeepsTrainedStatistics(), ["convolution"]),
    (RewindsToTheMiddle(), ["rewind", "convolution"]),
    (RewindsThroughTheLab(), ["rewind", "convolution"]),
    (RewindsElsewhere(), ["rewind"]),
    (TakesNoDensities(), ["settings"]),
    (TakesAnyLevels(), ["settings"]),
    (TakesNegativeLevels(), ["settings"]),
    (TakesAnyDuration(), ["settings"]),
    (ReadsTheEnvironment(), ["same_seed"]),
    (ReadsTheFolder(), ["same_seed"]),
    (ReadsTheDate(), ["same_seed"]),
    (ReadsTheClock(), ["same_seed"]),
    (DrawsFromNumPy(), ["same_seed", "generators", "resumed"]),
    (YieldsNothingAtAll(), SEARCHING),
    (YieldsMasks(), SEARCHING),
    (WantsImages(), ["kinds", "direction"]),
    (WantsKernels(), ["kinds", "convolution"]),
    (PicksTheHighest(), ["direction"]),
]
