"""Dynamic sparse training: a sparse network drops its smallest weights and grows others."""

import dataclasses
import math
from collections.abc import Callable, Iterator

import numpy as np

import ltx

Grow = Callable[[ltx.State, ltx.Mask], dict[str, np.ndarray]]


@dataclasses.dataclass(frozen=True)
class RigL(ltx.Finder):
    """Drops the smallest weights of each layer and grows as many where the gradient is largest.

    Every `every` until `end`, a share that falls from `drop` to zero along a cosine. Starts at
    random connections of `density`, allocated among the layers by `scope`: "erk", "layer" for the
    same density in all, or "smart". Grown weights start at zero. Yields the dense network and one
    ticket that continues from its last exchange. Costs the sparse training and one batch's gradient
    per exchange, a third of which is dense.

    Reference: Evci et al., Rigging the Lottery, https://arxiv.org/abs/1911.11134
    """

    density: float = 0.1
    every: str = "100it"
    end: str = "75%"
    drop: float = 0.3
    scope: str = "erk"

    def __post_init__(self) -> None:
        _check("rigl", self.density, self.drop, self.scope)
        ltx.check_duration("rigl.every", self.every)
        ltx.check_duration("rigl.end", self.end)

    @classmethod
    def example(cls, of: ltx.Finder) -> "RigL":
        return cls(every="10it")

    def check(self, lab: ltx.Lab) -> None:
        _fits("rigl", lab, self.density, self.scope, self.every, self.end)

    def find(self, lab: ltx.Lab) -> Iterator[ltx.Ticket]:
        end = lab.steps(self.end)

        def grow(state: ltx.State, mask: ltx.Mask) -> dict[str, np.ndarray]:
            gradients = lab.gradients(state, mask, stream=f"grow at {state.step}")
            return {name: np.abs(gradient) for name, gradient in gradients.items()}

        def share(step: int) -> float:
            return self.drop / 2 * (1 + math.cos(math.pi * step / end))

        times = range(lab.steps(self.every), end, lab.steps(self.every))
        yield from _find(lab, self.density, self.scope, times, share, grow)


@dataclasses.dataclass(frozen=True)
class SET(ltx.Finder):
    """Drops the same share of each layer's smallest weights every `every`, and grows at random.

    Smallest in magnitude; the paper drops the smallest positive and the largest negative ones.
    Otherwise like `rigl`, up to the last `every` of the training, in which connections are fixed.

    Reference: Mocanu et al., Scalable Training of Artificial Neural Networks with Adaptive Sparse
    Connectivity, https://arxiv.org/abs/1707.04780
    """

    density: float = 0.1
    every: str = "1ep"
    drop: float = 0.3
    scope: str = "erk"

    def __post_init__(self) -> None:
        _check("set", self.density, self.drop, self.scope)
        ltx.check_duration("set.every", self.every)

    def check(self, lab: ltx.Lab) -> None:
        _fits("set", lab, self.density, self.scope, self.every, "100%")

    def find(self, lab: ltx.Lab) -> Iterator[ltx.Ticket]:
        def grow(state: ltx.State, mask: ltx.Mask) -> dict[str, np.ndarray]:
            return ltx.Random(f"grow at {state.step}")(lab, state, mask)

        times = range(lab.steps(self.every), lab.steps(), lab.steps(self.every))
        yield from _find(lab, self.density, self.scope, times, lambda step: self.drop, grow)


def _find(
    lab: ltx.Lab,
    density: float,
    scope: str,
    times: range,
    share: Callable[[int], float],
    grow: Grow,
) -> Iterator[ltx.Ticket]:
    first = ltx.Ticket.of(lab, lab.dense(), lab.init())
    yield first
    state, seen = first.state, first.mask
    random = ltx.Random("first connections")(lab, state, seen)
    mask = seen = ltx.Pruning.to(density, scope)(lab, seen, random)
    for step in times:
        state = lab.train(state, mask, f"{step}it").state
        scores = grow(state, mask)
        mask = ltx.Mask(
            {
                name: _exchange(keep, np.abs(state.weights[name]), scores[name], share(step))
                for name, keep in mask.items()
            }
        )
        seen = seen | mask
    yield first.child(lab, mask, state=state, note={"exchanges": len(times), "seen": seen.density})


def _exchange(keep: np.ndarray, size: np.ndarray, scores: np.ndarray, share: float) -> np.ndarray:
    """The mask without a share of its smallest weights, and with as many of the highest scores.

    A weight that was just dropped may grow again, with its value, as in the papers' code.
    """
    alive = np.flatnonzero(keep)
    count = round(share * alive.size)
    kept = keep.reshape(-1).copy()
    kept[alive[np.argsort(size.reshape(-1)[alive], kind="stable")[:count]]] = False
    free = np.flatnonzero(~kept)
    kept[free[np.argsort(-scores.reshape(-1)[free], kind="stable")[:count]]] = True
    return kept.reshape(keep.shape)


def _check(name: str, density: float, drop: float, scope: str) -> None:
    ltx.check_number(f"{name}.density", density, above=0, below=1)
    ltx.check_number(f"{name}.drop", drop, above=0, below=1)
    ltx.check_choice(f"{name}.scope", scope, ("erk", "layer", "smart"))


def _fits(name: str, lab: ltx.Lab, density: float, scope: str, every: str, end: str) -> None:
    ltx.Pruning.to(density, scope).check(lab)
    if not 0 < lab.steps(every) < lab.steps(end) <= lab.steps():
        raise ltx.UsageError(
            f"{name}.every: {every} is step {lab.steps(every)}, expected one between 0 and step"
            f" {lab.steps(end)}, where the exchanges end, in a training of {lab.steps()}"
        )
