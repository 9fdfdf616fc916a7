"""Early-bird tickets: masks drawn while the dense network trains, taken once they stand still."""

import dataclasses
from collections.abc import Iterator, Mapping
from typing import ClassVar

import ltx

STARTS = ("drawn", "init")


@dataclasses.dataclass(frozen=True)
class EarlyBird(ltx.Finder):
    """Trains the dense network only until the mask that pruning would give stops changing.

    Every `every`, a mask is drawn for each of the `densities`, all in one training. The distance
    of two masks is the share of weights on which they differ; for independent random masks of
    density d that is 2d(1 - d). A ticket has emerged when the newest of `window` masks is at most
    `threshold` times this chance distance from each of the others: at density 0.5 a threshold of
    0.2 is the paper's 0.1, and at any other it is as far from chance. `start`: "drawn" goes on
    training from the weights, optimizer and step of the drawing, "init" goes back to the start.

    The note says whether the mask `emerged` or the training ended first, the `share` of the dense
    training that it took, and the largest `distance` at the end. Masks are unstructured; the
    paper's are of channels, by the scales of BatchNorm, drawn every epoch.

    Reference: You et al., Drawing Early-Bird Tickets, https://arxiv.org/abs/1909.11957
    """

    waived: ClassVar[Mapping[str, str]] = {
        "cost": "a ticket that emerged early waits for denser ones; its cost leaves the wait out"
    }

    densities: tuple[float, ...] = (0.5, 0.3, 0.1)
    every: str = "1ep"
    window: int = 5
    threshold: float = 0.2
    start: str = "drawn"
    scope: str = "global"
    score: ltx.Score = ltx.Magnitude()

    def __post_init__(self) -> None:
        given = self.densities
        many = tuple(given) if isinstance(given, list | tuple) else (given,)
        for density in many:
            ltx.check_number("early_bird.densities", density, above=0, below=1)
        if not many or len(set(many)) < len(many):
            raise ltx.UsageError(
                f"early_bird.densities: expected different numbers, as in (0.5, 0.3), got {given!r}"
            )
        object.__setattr__(self, "densities", tuple(sorted(many, reverse=True)))
        ltx.Duration.parse(self.every)
        ltx.check_count("early_bird.window", self.window, least=2)
        ltx.check_number("early_bird.threshold", self.threshold, above=0, below=1)
        ltx.check_choice("early_bird.start", self.start, STARTS)
        ltx.check_choice("early_bird.scope", self.scope, ("global", "layer"))
        ltx.check_score("early_bird.score", self.score)

    @classmethod
    def example(cls, of: ltx.Finder) -> "EarlyBird":
        return cls(every="2it")

    def check(self, lab: ltx.Lab) -> None:
        for density in self.densities:
            ltx.Pruning.to(density, self.scope).check(lab)
        every, whole = lab.steps(self.every), lab.steps()
        if not 0 < every * self.window <= whole:
            raise ltx.UsageError(
                f"early_bird.every: {self.window} masks, one every {every} steps, do not fit in"
                f" the {whole} steps of the training; draw more often than every {self.every}"
            )

    def find(self, lab: ltx.Lab) -> Iterator[ltx.Ticket]:
        dense, init = lab.dense(), lab.init()
        first = ltx.Ticket.of(lab, dense, init)
        yield first
        drawn: dict[float, list[ltx.Mask]] = {density: [] for density in self.densities}
        found: dict[float, ltx.Ticket] = {}
        state, whole = init, lab.steps()
        while len(found) < len(drawn):
            until = min(whole, state.step + lab.steps(self.every))
            state = lab.train(state, dense, f"{until}it").state
            scores = self.score(lab, state, dense)
            for density in drawn.keys() - found.keys():
                mask = ltx.Pruning.to(density, self.scope)(lab, dense, scores)
                masks = drawn[density] = [*drawn[density], mask][-self.window :]
                distance = max((_distance(mask, old) for old in masks[:-1]), default=1.0)
                emerged = len(masks) == self.window and distance <= self._limit(density)
                if emerged or until == whole:
                    begin = state if self.start == "drawn" else init
                    note = {"emerged": emerged, "share": until / whole, "distance": distance}
                    level = self.densities.index(density) + 1
                    found[density] = first.child(lab, mask, state=begin, level=level, note=note)
        # Some emerge out of order, and tickets come by falling density.
        yield from (found[density] for density in self.densities)

    def _limit(self, density: float) -> float:
        return self.threshold * 2 * density * (1 - density)


def _distance(one: ltx.Mask, other: ltx.Mask) -> float:
    """The share of weights that only one of two masks keeps."""
    return sum(int((one[name] ^ other[name]).sum()) for name in one) / one.size
