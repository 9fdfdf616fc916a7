"""Gradual magnitude pruning: the density falls along a cubic curve while the network trains."""

import dataclasses
from collections.abc import Iterator

import ltx


@dataclasses.dataclass(frozen=True)
class Gradual(ltx.Finder):
    """Prunes every `every` from step `begin` to step `end`, ending exactly at `density`.

    At a share p of the way the density is density + (1 - density)(1 - p)^3. What is pruned stays
    pruned. Gives the dense network and one ticket that trains on from step `end`: ticket and trial
    together cost one training. Scope "layer" prunes all layers alike, as the paper does.

    Reference: Zhu & Gupta, To prune, or not to prune, https://arxiv.org/abs/1710.01878
    """

    density: float = 0.1
    begin: str = "0%"
    end: str = "75%"
    every: str = "100it"
    scope: str = "layer"
    score: ltx.Score = ltx.Magnitude()

    def __post_init__(self) -> None:
        ltx.check_number("gradual.density", self.density, above=0, below=1)
        ltx.check_choice("gradual.scope", self.scope, ("layer", "global", "erk"))
        ltx.check_score("gradual.score", self.score)
        for text in (self.begin, self.end, self.every):
            ltx.Duration.parse(text)

    @classmethod
    def example(cls, of: ltx.Finder) -> "Gradual":
        return cls(every="10it")

    def check(self, lab: ltx.Lab) -> None:
        ltx.Pruning.to(self.density, self.scope).check(lab)
        begin, end, whole = lab.steps(self.begin), lab.steps(self.end), lab.steps()
        if not begin < end < whole:
            raise ltx.UsageError(
                f"gradual.end: {self.end} is step {end}, expected one after step {begin}"
                f" (gradual.begin) and before the training's end at {whole}"
            )
        if not 0 < lab.steps(self.every) <= end - begin:
            raise ltx.UsageError(
                f"gradual.every: {self.every} is {lab.steps(self.every)} steps, expected 1 to"
                f" {end - begin}, the steps from gradual.begin to gradual.end"
            )

    def find(self, lab: ltx.Lab) -> Iterator[ltx.Ticket]:
        first = ltx.Ticket.of(lab, lab.dense(), lab.init())
        yield first
        state, mask, curve = first.state, first.mask, []
        for step in self._times(lab):
            state = lab.train(state, mask, f"{step}it").state
            density = self._density(lab, step)
            pruning = ltx.Pruning.to(density, self.scope)
            mask = pruning(lab, mask, self.score(lab, state, mask))
            curve.append([step, mask.density])
        yield first.child(lab, mask, state=state, note={"curve": curve, "collapsed": mask.empty()})

    def _times(self, lab: ltx.Lab) -> list[int]:
        """The steps after which something is pruned; the last is `end`, on the grid or not."""
        begin, end, every = lab.steps(self.begin), lab.steps(self.end), lab.steps(self.every)
        return [*range(begin + every, end, every), end]

    def _density(self, lab: ltx.Lab, step: int) -> float:
        begin, end = lab.steps(self.begin), lab.steps(self.end)
        left = (end - step) / (end - begin)
        return self.density + (1 - self.density) * left**3
