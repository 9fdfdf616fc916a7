"""Early rewinding: iterative magnitude pruning that rewinds to step k, not to step 0."""

import dataclasses
import logging
from collections.abc import Iterator, Mapping
from typing import Any

import ltx

MODES = ("weights", "learning_rate", "fine_tune")
LEAST_RATE = 1e-3  # of the highest, below which fine-tuning is warned of
AUTO = "auto"

# The state to rewind to, the final state of the dense training if it was computed, and a note.
Origin = tuple[ltx.State, ltx.State | None, dict[str, Any]]


@dataclasses.dataclass(frozen=True)
class EarlyRewind(ltx.Finder):
    """IMP that rewinds to step `rewind` of the dense training instead of to its start.

    Mode "weights" restores weights and learning rate of that step; "learning_rate" keeps the
    trained weights and repeats the schedule from that step; "fine_tune" keeps the trained weights
    and trains as long at the schedule's last rate. Costs `levels` trainings, of which all but the
    first are shorter by `rewind`.

    Rewind "auto" searches for the earliest step from which training is stable to the data's order:
    on the line between two copies of the dense network that are trained from there in different
    orders, the validation error rises by at most `tolerance`: a share of the examples where the
    metric is one, as accuracy is, else a share of the error at the ends, and so are `barriers`. The
    candidates are 0 and `at_most` halved repeatedly, searched by bisection, which assumes that
    stability persists once reached.
    The dense training is one of the copies, so the search costs one training and one more for each
    candidate tried. The first ticket's note has the step as `rewind`, whether it is `stable`, the
    `barriers` as [step, height] and the `searched` share of a dense training. Where not even
    `at_most` is stable it is used, and `stable` is False: by the paper's account its tickets need
    not be matching.

    Reference: Frankle et al., Linear Mode Connectivity and the Lottery Ticket Hypothesis,
    https://arxiv.org/abs/1912.05671; Renda et al., Comparing Rewinding and Fine-tuning in Neural
    Network Pruning, https://arxiv.org/abs/2003.02389
    """

    levels: int = 12
    rewind: str = "1%"
    mode: str = "weights"
    pruning: ltx.Pruning = ltx.Pruning(rate=0.2, scope="global")
    score: ltx.Score = ltx.Magnitude()
    at_most: str = "20%"
    tolerance: float = 0.02

    def __post_init__(self) -> None:
        ltx.check_count("early_rewind.levels", self.levels, most=1000)
        ltx.check_type("early_rewind.pruning", self.pruning, ltx.Pruning, "@Pruning()")
        ltx.check_score("early_rewind.score", self.score)
        ltx.check_choice("early_rewind.mode", self.mode, MODES)
        ltx.check_duration("early_rewind.at_most", self.at_most)
        if self.rewind != AUTO:
            ltx.check_duration("early_rewind.rewind", self.rewind)
        ltx.check_number("early_rewind.tolerance", self.tolerance, above=0, below=1)

    @property
    def waived(self) -> Mapping[str, str]:  # type: ignore[override]
        kept = {"rewind": f"mode {self.mode!r} keeps the trained weights"}
        return {} if self.mode == "weights" else kept

    @classmethod
    def example(cls, of: ltx.Finder) -> "EarlyRewind":
        return cls(levels=3, rewind="5it")

    def check(self, lab: ltx.Lab) -> None:
        self.pruning.check(lab, self.score, self.levels)
        if self.mode == "fine_tune":
            _warn_of_last_rate(lab)
        if self.rewind == AUTO:
            if not 0 < lab.steps(self.at_most) < lab.steps():
                raise ltx.UsageError(
                    f"early_rewind.at_most: {self.at_most} is step {lab.steps(self.at_most)},"
                    f" expected one inside the training of {lab.steps()} steps"
                )
        elif lab.steps(self.rewind) >= lab.steps():
            raise ltx.UsageError(
                f"early_rewind.rewind: {self.rewind} is step {lab.steps(self.rewind)}, but the"
                f" training has only {lab.steps()}; rewind to a step inside it"
            )

    def find(self, lab: ltx.Lab) -> Iterator[ltx.Ticket]:
        origin, end, note = self._origin(lab)
        ticket = ltx.Ticket.of(lab, lab.dense(), origin, **note)
        yield ticket
        again, recipe = lab, None
        for _ in range(self.levels):
            trained = end or again.train(ticket.state, ticket.mask).state
            end = None
            scores = self.score(lab, trained, ticket.mask)
            mask = self.pruning(lab, ticket.mask, scores)
            if self.mode == "fine_tune" and recipe is None:
                recipe = self._last_rate(lab, origin.step)
                again = lab.on(recipe=recipe)
            state = self._start(trained, origin)
            ticket = ticket.child(lab, mask, state=state, recipe=recipe)
            yield ticket

    def _origin(self, lab: ltx.Lab) -> Origin:
        if self.rewind == AUTO:
            return self._first_stable(lab)
        return lab.train(lab.init(), lab.dense(), until=self.rewind).state, None, {}

    def _first_stable(self, lab: ltx.Lab) -> Origin:
        """Bisect for the earliest step whose two copies have a barrier within tolerance."""
        dense, before = lab.dense(), lab.spent
        end = lab.train(lab.init(), dense).state
        grid = _grid(lab.steps(self.at_most))
        states: dict[int, ltx.State] = {}
        heights: dict[int, float] = {}
        low, high = 0, len(grid)
        while low < high:
            middle = (low + high) // 2
            k = grid[middle]
            states[k] = lab.train(lab.init(), dense, until=f"{k}it").state
            [other] = ltx.copies(lab, states[k], dense, streams=("second order",))
            heights[k] = ltx.barrier(lab, dense, end, other).rise
            if heights[k] <= self.tolerance:
                high = middle
            else:
                low = middle + 1
        found = grid[min(low, len(grid) - 1)]
        spent = (lab.spent - before).dense_flops / lab.cost(lab.steps(), dense).dense_flops
        note = {
            "rewind": found,
            "stable": low < len(grid),
            "barriers": [[k, heights[k]] for k in sorted(heights)],
            "searched": spent,
        }
        return states[found], end, note

    def _start(self, trained: ltx.State, origin: ltx.State) -> ltx.State:
        """The state that a level trains from; trained weights get a fresh optimizer."""
        if self.mode == "weights":
            return origin
        step = origin.step if self.mode == "learning_rate" else 0
        return trained.replace(step=step, slots={})

    def _last_rate(self, lab: ltx.Lab, start: int) -> ltx.Recipe:
        recipe, whole = lab.task.recipe, lab.steps()
        # The rate of the last step, because a cosine curve is zero after it.
        rate = float(recipe.learning_rates(whole - 1, whole, lab.epoch)[0])
        return dataclasses.replace(
            recipe,
            learning_rate=rate,
            schedule="constant",
            warmup="0it",
            drops=(),
            length=f"{whole - start}it",
        )


def _warn_of_last_rate(lab: ltx.Lab) -> None:
    """Warn of a schedule whose last rate is too small to train at, as a cosine's is."""
    rates = lab.task.recipe.learning_rates(0, lab.steps(), lab.epoch)
    if rates.size and (share := float(rates[-1] / rates.max())) < LEAST_RATE:
        logging.getLogger("ltx").warning(
            "early_rewind.mode 'fine_tune' on %s trains at the schedule's last rate, %.2g, which is"
            " %.2g of its highest and changes next to nothing; use a step schedule, or mode"
            " 'learning_rate'",
            lab.task.label,
            rates[-1],
            share,
        )


def _grid(most: int) -> list[int]:
    """Steps from 0 to `most`, each about twice the one before."""
    return [0, *(most >> shift for shift in reversed(range(most.bit_length())))]
