"""Early rewinding: iterative magnitude pruning that goes back to step k, not to the start."""

import dataclasses
from collections.abc import Iterator

import ltx

MODES = ("weights", "learning_rate", "fine_tune")


@dataclasses.dataclass(frozen=True)
class EarlyRewind(ltx.Finder):
    """IMP that rewinds to step `rewind` of the dense training instead of to its start.

    Mode "weights" restores weights and learning rate of that step; "learning_rate" keeps the
    trained weights and repeats the schedule from that step; "fine_tune" keeps the trained weights
    and trains as long at the schedule's last rate. Costs `levels` trainings, of which all but the
    first are shorter by `rewind`.

    Reference: Frankle et al., Linear Mode Connectivity and the Lottery Ticket Hypothesis,
    https://arxiv.org/abs/1912.05671; Renda et al., Comparing Rewinding and Fine-tuning in Neural
    Network Pruning, https://arxiv.org/abs/2003.02389
    """

    levels: int = 12
    rewind: str = "1%"
    mode: str = "weights"
    pruning: ltx.Pruning = ltx.Pruning(rate=0.2, scope="global")
    score: ltx.Score = ltx.Magnitude()

    def __post_init__(self) -> None:
        ltx.check_count("early_rewind.levels", self.levels)
        ltx.check_type("early_rewind.pruning", self.pruning, ltx.Pruning, "@Pruning()")
        ltx.check_score("early_rewind.score", self.score)
        ltx.check_choice("early_rewind.mode", self.mode, MODES)
        ltx.Duration.parse(self.rewind)

    @classmethod
    def example(cls, of: ltx.Finder) -> "EarlyRewind":
        return cls(levels=3, rewind="5it")

    def check(self, lab: ltx.Lab) -> None:
        self.pruning.check(lab)
        if lab.steps(self.rewind) >= lab.steps():
            raise ltx.UsageError(
                f"early_rewind.rewind: {self.rewind} is step {lab.steps(self.rewind)}, but the"
                f" training has only {lab.steps()}; rewind to a step inside it"
            )

    def find(self, lab: ltx.Lab) -> Iterator[ltx.Ticket]:
        origin = lab.train(lab.init(), lab.dense(), until=self.rewind).state
        ticket = ltx.Ticket.of(lab, lab.dense(), origin)
        yield ticket
        again, recipe = lab, None
        for _ in range(self.levels):
            trained = again.train(ticket.state, ticket.mask).state
            scores = self.score(lab, trained, ticket.mask)
            mask = self.pruning(lab, ticket.mask, scores)
            if self.mode == "fine_tune" and recipe is None:
                recipe = self._last_rate(lab, origin.step)
                again = lab.on(recipe=recipe)
            state = self._start(trained, origin)
            ticket = ticket.child(lab, mask, state=state, recipe=recipe)
            yield ticket

    def _start(self, trained: ltx.State, origin: ltx.State) -> ltx.State:
        """Where a level begins: the optimizer starts afresh wherever trained weights are kept."""
        if self.mode == "weights":
            return origin
        step = origin.step if self.mode == "learning_rate" else 0
        return trained.replace(step=step, slots={})

    def _last_rate(self, lab: ltx.Lab, start: int) -> ltx.Recipe:
        recipe, whole = lab.task.recipe, lab.steps()
        # The last step's rate, because a cosine curve is zero behind it.
        rate = float(recipe.learning_rates(whole - 1, whole, lab.epoch)[0])
        return dataclasses.replace(
            recipe,
            learning_rate=rate,
            schedule="constant",
            warmup="0it",
            drops=(),
            length=f"{whole - start}it",
        )
