"""Gradual magnitude pruning: the density falls along a cubic curve while the network trains."""

import dataclasses
from collections.abc import Iterator

import ltx


@dataclasses.dataclass(frozen=True)
class Gradual(ltx.Finder):
    """Prunes every `every` from step `begin` to step `end`, ending exactly at `density`.

    At a share p of the steps the density is density + (1 - density)(1 - p)^3. Pruned weights stay
    pruned. Yields the dense network and one ticket that continues from step `end`: ticket and trial
    together cost one training. By magnitude in scope "layer", as in the paper, TF-MOT itself prunes
    by its PolynomialDecay, with an update at `end` added where its grid has none; TF-MOT keeps all
    of equal weights, so a last round removes the surplus there. Other scores, scopes and
    structures, and models with embeddings, which TF-MOT would prune too, are pruned by Pruning.
    NofM is pruned once, at `begin`.

    Reference: Zhu & Gupta, To prune, or not to prune, https://arxiv.org/abs/1710.01878
    """

    density: float = 0.1
    begin: str = "0%"
    end: str = "75%"
    every: str = "100it"
    scope: str = "layer"
    score: ltx.Score = ltx.Magnitude()
    structure: ltx.Structure = ltx.Unstructured()

    def __post_init__(self) -> None:
        ltx.check_number("gradual.density", self.density, above=0, below=1)
        ltx.check_choice("gradual.scope", self.scope, ("layer", "global", "erk"))
        ltx.check_score("gradual.score", self.score)
        ltx.check_type("gradual.structure", self.structure, ltx.Structure, "@Blocks()")
        for name in ("begin", "end", "every"):
            ltx.check_duration(f"gradual.{name}", getattr(self, name))

    @classmethod
    def example(cls, of: ltx.Finder) -> "Gradual":
        return cls(every="10it")

    def check(self, lab: ltx.Lab) -> None:
        ltx.Pruning.to(self.density, self.scope, structure=self.structure).check(lab, self.score)
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
        if self._is_tfmots(lab):
            self._schedule(lab, end).check(lab)

    def find(self, lab: ltx.Lab) -> Iterator[ltx.Ticket]:
        first = ltx.Ticket.of(lab, lab.dense(), lab.init())
        yield first
        state, mask, curve = first.state, first.mask, []
        for step in self._times(lab):
            state = lab.train(state, mask, f"{step}it").state
            mask = self._prune(lab, state, mask)
            curve.append([step, mask.density])
        yield first.child(lab, mask, state=state, note={"curve": curve, "collapsed": mask.empty()})

    def _prune(self, lab: ltx.Lab, state: ltx.State, mask: ltx.Mask) -> ltx.Mask:
        if self._is_tfmots(lab):
            mask = lab.scheduled_mask(state, mask, self._schedule(lab, state.step))
            if state.step < lab.steps(self.end):
                return mask
        density = self._density(lab, state.step)
        pruning = ltx.Pruning.to(density, self.scope, structure=self.structure)
        return pruning(lab, mask, self.score(lab, state, mask))

    def _is_tfmots(self, lab: ltx.Lab) -> bool:
        """Whether TF-MOT prunes in this way: by magnitude, tensor by tensor."""
        if any(weight.kind == "embedding" for weight in lab.prunable):
            return False
        supported = isinstance(self.structure, ltx.Unstructured | ltx.Blocks | ltx.NofM)
        return supported and self.scope == "layer" and self.score == ltx.Magnitude()

    def _times(self, lab: ltx.Lab) -> list[int]:
        """The steps after which something is pruned; the last is `end`, on the grid or not."""
        begin, end, every = lab.steps(self.begin), lab.steps(self.end), lab.steps(self.every)
        if isinstance(self.structure, ltx.NofM):
            return [begin]
        return [*range(begin + every, end, every), end]

    def _schedule(self, lab: ltx.Lab, step: int) -> ltx.PolynomialDecay:
        """TF-MOT's schedule; at an `end` off its grid, one that updates at `begin` and `end`."""
        begin, end, every = lab.steps(self.begin), lab.steps(self.end), lab.steps(self.every)
        if (step - begin) % every:
            every = end - begin
        return ltx.PolynomialDecay(self.density, begin, end, every, structure=self.structure)

    def _density(self, lab: ltx.Lab, step: int) -> float:
        if isinstance(self.structure, ltx.NofM):
            return self.density
        begin, end = lab.steps(self.begin), lab.steps(self.end)
        left = (end - step) / (end - begin)
        return self.density + (1 - self.density) * left**3
