"""Subset: tickets found on a share of the data in a share of the steps, for the whole task."""

import dataclasses
from collections.abc import Iterator

import ltx


@dataclasses.dataclass(frozen=True)
class Subset(ltx.Finder):
    """Another finder's tickets, found on `share` of the training examples.

    Its trainings are shorter in proportion, with their warm-up, drops and evaluations; a duration
    among the settings of `of` refers to the short training, so give it in percent. A ticket starts
    the whole training from step 0 with a fresh optimizer, at its own weights and BatchNorm
    statistics. The examples are drawn by Task.split_seed, stratified by class, and are the same for
    all seeds. Costs that share of what `of` costs.

    As in the paper, a ticket is found on a part of the data and trained on all. Unlike there, the
    part is random: the paper chooses examples that are hard to memorise or that the network forgets
    when pruned, 35 % to 78 % of a set, and adds shorter rounds and early stopping.

    Reference: Zhang et al., Efficient Lottery Ticket Finding: Less Data is More,
    https://arxiv.org/abs/2106.03225
    """

    of: ltx.Finder | None = None
    share: float = 0.1

    def __post_init__(self) -> None:
        ltx.check_number("subset.share", self.share, above=0, below=1)
        ltx.require_finder(self.of, "subset")

    @classmethod
    def example(cls, of: ltx.Finder) -> "Subset":
        return cls(of=of)

    def check(self, lab: ltx.Lab) -> None:
        ltx.require_finder(self.of, "subset").check(self._part(lab))

    def find(self, lab: ltx.Lab) -> Iterator[ltx.Ticket]:
        part = self._part(lab)
        for ticket in ltx.require_finder(self.of, "subset").find(part):
            state, recipe = ticket.state, ticket.recipe
            if state.step:
                state = state.replace(step=0, slots={})
            if recipe is not None:
                recipe = _stretched(part.on(recipe=recipe), 1 / self.share)
            yield ltx.Ticket.of(
                lab,
                ticket.mask,
                state,
                level=ticket.level,
                parent=ticket,
                recipe=recipe,
                share=self.share,
            )

    def _part(self, lab: ltx.Lab) -> ltx.Lab:
        whole = lab.task.subset
        size = self.share * whole if isinstance(whole, float) else round(self.share * whole)
        try:
            part = lab.on(subset=size, recipe=_stretched(lab, self.share))
            part.steps()
        except ltx.UsageError as error:
            raise ltx.UsageError(
                f"subset.share: {self.share:g} of the training examples is too few: {error}"
            ) from error
        return part


def _stretched(lab: ltx.Lab, factor: float) -> ltx.Recipe:
    """The lab's recipe with all its durations `factor` times as long."""
    recipe = lab.task.recipe

    def steps(until: str | None, least: int = 0) -> str:
        return f"{max(least, round(factor * lab.steps(until)))}it"

    return dataclasses.replace(
        recipe,
        length=steps(None, 1),
        warmup=steps(recipe.warmup),
        drops=tuple(steps(drop) for drop in recipe.drops),
        eval_every=steps(recipe.eval_every, 1),
    )
