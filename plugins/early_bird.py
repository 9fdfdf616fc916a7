"""Early-bird tickets: masks drawn early in dense training, once they stop changing."""

import dataclasses
from collections.abc import Iterator, Mapping
from typing import ClassVar

import numpy as np

import ltx

STARTS = ("drawn", "init")


@dataclasses.dataclass(frozen=True)
class EarlyBird(ltx.Finder):
    """Trains the dense network only until the mask that pruning would give stops changing.

    Every `every`, a mask is drawn for each of the `densities`, all in one training. The distance
    of two masks is the share of units, weights or what `structure` says, on which they differ; for
    independent random masks of density d that is 2d(1 - d). A ticket has emerged when the newest
    of `window` masks is at most `threshold` times this chance distance from each of the others: at
    density 0.5 a threshold of 0.2 is the paper's 0.1, and at any other it is as far from chance.
    `start`: "init" rewinds to the initial weights, as lottery tickets do; "drawn" continues from
    the weights, optimizer and step at which the mask was drawn, which saves the steps before it.

    The paper's five masks of a training of 160 epochs lie within 3 % of it. In trainings of a few
    epochs masks that close always agree, so the defaults span a fifth of the training and allow a
    distance half as large again. No ticket is found before a quarter of the training.

    With `l1` above 0 the search, but not the ticket, trains with that `scale_l1`; one in the task's
    own recipe holds for both. The paper's tickets are structure=ByChannel() by
    score=BatchNormScale(), at densities 0.7, 0.5 and 0.3 with L1 of 1e-4, drawn every epoch of 160.

    The note says whether the mask `emerged` or the training ended first, the `share` of the dense
    training that it needed, and the largest `distance` at the end.

    Reference: You et al., Drawing Early-Bird Tickets, https://arxiv.org/abs/1909.11957
    """

    waived: ClassVar[Mapping[str, str]] = {
        "cost": "a ticket that emerged early waits for denser ones; its cost leaves the wait out"
    }

    densities: tuple[float, ...] = (0.5, 0.3, 0.1)
    every: str = "5%"
    window: int = 5
    threshold: float = 0.3
    start: str = "init"
    scope: str = "global"
    score: ltx.Score = ltx.Magnitude()
    structure: ltx.Structure = ltx.Unstructured()
    l1: float = 0.0

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
        ltx.check_duration("early_bird.every", self.every)
        ltx.check_count("early_bird.window", self.window, least=2)
        ltx.check_number("early_bird.threshold", self.threshold, above=0, below=1)
        ltx.check_choice("early_bird.start", self.start, STARTS)
        ltx.check_choice("early_bird.scope", self.scope, ("global", "layer"))
        ltx.check_score("early_bird.score", self.score)
        ltx.check_type("early_bird.structure", self.structure, ltx.Structure, "@ByChannel()")
        ltx.check_number("early_bird.l1", self.l1, least=0)

    @classmethod
    def example(cls, of: ltx.Finder) -> "EarlyBird":
        return cls(every="2it")

    def check(self, lab: ltx.Lab) -> None:
        for density in self.densities:
            self._pruning(density).check(lab, self.score)
        every, whole = lab.steps(self.every), lab.steps()
        if not every:
            raise ltx.UsageError(
                f"early_bird.every: {self.every} of the {whole} steps is less than one step;"
                " draw less often"
            )
        if every * self.window > whole:
            raise ltx.UsageError(
                f"early_bird.every: {self.window} masks, one every {every} steps, do not fit in"
                f" the {whole} steps of the training; draw more often than every {self.every}"
            )
        try:
            self._search_lab(lab)
        except ltx.UsageError as error:
            raise ltx.UsageError(f"early_bird.l1: {error}") from error

    def find(self, lab: ltx.Lab) -> Iterator[ltx.Ticket]:
        dense, init, search = lab.dense(), lab.init(), self._search_lab(lab)
        first = ltx.Ticket.of(lab, dense, init)
        yield first
        drawn: dict[float, list[ltx.Mask]] = {density: [] for density in self.densities}
        tickets: dict[float, ltx.Ticket] = {}
        state, whole = init, lab.steps()
        while len(tickets) < len(drawn):
            until = min(whole, state.step + lab.steps(self.every))
            state = search.train(state, dense, f"{until}it").state
            scores = self.score(search, state, dense)
            for density in drawn.keys() - tickets.keys():
                mask = self._pruning(density)(lab, dense, scores)
                masks = drawn[density] = [*drawn[density], mask][-self.window :]
                distance = self._spread(lab, masks)
                emerged = len(masks) == self.window and distance <= self._limit(density)
                if emerged or until == whole:
                    begin = state if self.start == "drawn" else init
                    note = {"emerged": emerged, "share": until / whole, "distance": distance}
                    level = self.densities.index(density) + 1
                    tickets[density] = first.child(lab, mask, state=begin, level=level, note=note)
        # Some emerge out of order; tickets have to be yielded by falling density.
        yield from (tickets[density] for density in self.densities)

    def _search_lab(self, lab: ltx.Lab) -> ltx.Lab:
        """The lab that the dense network trains in."""
        if not self.l1:
            return lab
        return lab.on(recipe=dataclasses.replace(lab.task.recipe, scale_l1=self.l1))

    def _pruning(self, density: float) -> ltx.Pruning:
        return ltx.Pruning.to(density, self.scope, structure=self.structure)

    def _limit(self, density: float) -> float:
        return self.threshold * 2 * density * (1 - density)

    def _spread(self, lab: ltx.Lab, masks: list[ltx.Mask]) -> float:
        """The largest distance of the newest mask from the older ones."""
        newest, *older = (self.structure.alive(lab, mask) for mask in reversed(masks))
        return max((_distance(newest, units) for units in older), default=1.0)


def _distance(one: Mapping[str, np.ndarray], other: Mapping[str, np.ndarray]) -> float:
    """The share of units that only one of two masks keeps."""
    differ = sum(int((one[name] ^ other[name]).sum()) for name in one)
    return differ / sum(units.size for units in one.values())
