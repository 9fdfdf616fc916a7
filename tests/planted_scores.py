"""Scores with one bug each. `PLANTED_SCORES` says which checks catch it."""

import contextlib
import dataclasses
import os
import time
from collections.abc import Mapping
from typing import ClassVar

import numpy as np

from ltx import Lab, Mask, State, UsageError

Scores = dict[str, np.ndarray]


def sizes(state: State, mask: Mask) -> Scores:
    return {name: np.abs(state.weights[name]) for name in mask}


@dataclasses.dataclass(frozen=True)
class Right:
    power: float = 1.0

    def __post_init__(self) -> None:
        if isinstance(self.power, bool) or not self.power > 0:
            raise UsageError(f"Right.power: expected a number above 0, got {self.power!r}")

    def __call__(self, lab: Lab, state: State, mask: Mask) -> Scores:
        return {name: size**self.power for name, size in sizes(state, mask).items()}


@dataclasses.dataclass(frozen=True)
class UnpacksShapes:
    """Divides by the number of inputs of a dense kernel."""

    def __call__(self, lab: Lab, state: State, mask: Mask) -> Scores:
        scores = {}
        for name, size in sizes(state, mask).items():
            rows, _ = size.shape
            scores[name] = size / np.sqrt(rows)
        return scores


@dataclasses.dataclass(frozen=True)
class FlattensRanks:
    """Gives a vector for each weight."""

    def __call__(self, lab: Lab, state: State, mask: Mask) -> Scores:
        return {name: size.reshape(-1) for name, size in sizes(state, mask).items()}


@dataclasses.dataclass(frozen=True)
class LeavesTheOutputOut:
    def __call__(self, lab: Lab, state: State, mask: Mask) -> Scores:
        names = [weight.name for weight in lab.prunable if not weight.is_output]
        return {name: np.abs(state.weights[name]) for name in names}


@dataclasses.dataclass(frozen=True)
class DividesByTheMean:
    """Has 0/0 for weights of zero."""

    def __call__(self, lab: Lab, state: State, mask: Mask) -> Scores:
        with np.errstate(invalid="ignore"):
            return {n: s / s[mask[n]].mean() for n, s in sizes(state, mask).items()}


@dataclasses.dataclass(frozen=True)
class ForgetsTheMask:
    """Compares with the mean of all weights, also of pruned ones."""

    def __call__(self, lab: Lab, state: State, mask: Mask) -> Scores:
        return {name: size - size.mean() for name, size in sizes(state, mask).items()}


@dataclasses.dataclass(frozen=True)
class WritesIntoTheState:
    def __call__(self, lab: Lab, state: State, mask: Mask) -> Scores:
        for array in state.weights.values():
            array.setflags(write=True)
            np.abs(array, out=array)
        return {name: state.weights[name].copy() for name in mask}


@dataclasses.dataclass(frozen=True)
class PeeksAtTheTest:
    def __call__(self, lab: Lab, state: State, mask: Mask) -> Scores:
        with contextlib.suppress(UsageError):
            lab.evaluate(state, mask, "test")
        return sizes(state, mask)


@dataclasses.dataclass(frozen=True)
class DrawsFromNumPy:
    def __call__(self, lab: Lab, state: State, mask: Mask) -> Scores:
        return {name: np.random.random(keep.shape) for name, keep in mask.items()}


@dataclasses.dataclass(frozen=True)
class SeedsNumPy:
    def __call__(self, lab: Lab, state: State, mask: Mask) -> Scores:
        np.random.seed(lab.seed)
        return {name: np.random.random(keep.shape) for name, keep in mask.items()}


@dataclasses.dataclass(frozen=True)
class DrawsTheSameForAll:
    def __call__(self, lab: Lab, state: State, mask: Mask) -> Scores:
        rng = np.random.default_rng(0)
        return {name: rng.random(keep.shape) for name, keep in mask.items()}


@dataclasses.dataclass(frozen=True)
class ReadsTheEnvironment:
    def __call__(self, lab: Lab, state: State, mask: Mask) -> Scores:
        power = float(os.environ.get("PLANTED_POWER", "2"))
        return {name: size**power for name, size in sizes(state, mask).items()}


@dataclasses.dataclass(frozen=True)
class ReadsTheClock:
    def __call__(self, lab: Lab, state: State, mask: Mask) -> Scores:
        rng = lab.rng(time.time() // 3600)
        return {name: rng.random(keep.shape) for name, keep in mask.items()}


@dataclasses.dataclass
class Thawed:
    def __call__(self, lab: Lab, state: State, mask: Mask) -> Scores:
        return sizes(state, mask)

    __hash__ = object.__hash__


@dataclasses.dataclass(frozen=True)
class HidesASetting:
    signed: bool = dataclasses.field(default=False, repr=False)

    def __call__(self, lab: Lab, state: State, mask: Mask) -> Scores:
        return sizes(state, mask)


@dataclasses.dataclass(frozen=True)
class KeepsAFunction:
    """A setting that no gin file can hold."""

    size: type = np.float64

    def __call__(self, lab: Lab, state: State, mask: Mask) -> Scores:
        return {name: size.astype(self.size) for name, size in sizes(state, mask).items()}


@dataclasses.dataclass(frozen=True)
class TakesNaN:
    power: float = 1.0

    def __call__(self, lab: Lab, state: State, mask: Mask) -> Scores:
        return {name: size**self.power for name, size in sizes(state, mask).items()}


@dataclasses.dataclass(frozen=True)
class NeedsASetting:
    signed: bool

    def __call__(self, lab: Lab, state: State, mask: Mask) -> Scores:
        return sizes(state, mask)


@dataclasses.dataclass(frozen=True)
class RefusesAll:
    def check(self, lab: Lab) -> None:
        raise UsageError("RefusesAll: expected another network")

    def __call__(self, lab: Lab, state: State, mask: Mask) -> Scores:
        return sizes(state, mask)


@dataclasses.dataclass(frozen=True)
class WaivesNonsense:
    waived: ClassVar[Mapping[str, str]] = {"nested": "it has no levels"}

    def __call__(self, lab: Lab, state: State, mask: Mask) -> Scores:
        return sizes(state, mask)


HOMELESS = [
    *("check", "finite", "survivors", "same_call", "same_seed", "other_seed", "inputs"),
    *("generators", "test_split"),
]

PLANTED_SCORES: list[tuple[object, list[str]]] = [
    (UnpacksShapes(), ["shapes"]),
    (FlattensRanks(), ["shapes", "survivors"]),
    (LeavesTheOutputOut(), ["shapes", "survivors"]),
    (DividesByTheMean(), ["finite"]),
    (ForgetsTheMask(), ["survivors"]),
    (WritesIntoTheState(), ["inputs"]),
    (PeeksAtTheTest(), ["test_split"]),
    (DrawsFromNumPy(), ["same_call", "same_seed", "generators", "survivors"]),
    (SeedsNumPy(), ["generators"]),
    (DrawsTheSameForAll(), ["other_seed"]),
    (ReadsTheEnvironment(), ["same_seed"]),
    (ReadsTheClock(), ["same_seed"]),
    (Thawed(), ["frozen"]),
    (HidesASetting(signed=True), ["repr"]),
    (KeepsAFunction(np.float32), ["frozen", "repr", "gin"]),
    (TakesNaN(), ["settings"]),
    (NeedsASetting(signed=True), ["defaults"]),
    (RefusesAll(), HOMELESS),
    (WaivesNonsense(), ["waivers"]),
]
