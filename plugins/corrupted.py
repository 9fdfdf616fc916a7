"""Corrupted data: another finder runs on corrupted data, its tickets train on the true data."""

import dataclasses
from collections.abc import Iterator
from typing import ClassVar

import ltx

HOW = ("random_labels", "shuffled_pixels")


@dataclasses.dataclass(frozen=True)
class Corrupted(ltx.Finder):
    """Another finder's tickets, found on data without the information that it could learn.

    `how`: "random_labels" permutes the labels of the training examples, "shuffled_pixels" the
    pixels of each image, by an order of its own; the validation examples are corrupted in the same
    way. A ticket keeps its state: where that was trained, as by early rewinding, it was trained on
    corrupted data. Costs what the other finder costs, and a few gradients to verify that the data
    differ.

    The paper draws labels uniformly, which nearly keeps their frequencies, as a permutation does;
    its code also shuffles an image's channels among its pixels, and then has random labels, too.

    Reference: Su et al., Sanity-Checking Pruning Methods, https://arxiv.org/abs/2009.11094
    """

    control: ClassVar[bool] = True

    of: ltx.Finder | None = None
    how: str = "random_labels"

    def __post_init__(self) -> None:
        ltx.check_choice("corrupted.how", self.how, HOW)
        ltx.require_finder(self.of, "corrupted")

    @classmethod
    def example(cls, of: ltx.Finder) -> "Corrupted":
        return cls(of=of)

    def check(self, lab: ltx.Lab) -> None:
        ltx.require_finder(self.of, "corrupted").check(self._corrupted(lab))

    def find(self, lab: ltx.Lab) -> Iterator[ltx.Ticket]:
        corrupted = self._corrupted(lab)
        note = {"how": self.how, **ltx.check_corrupted("corrupted", lab, corrupted)}
        for ticket in ltx.require_finder(self.of, "corrupted").find(corrupted):
            yield ltx.Ticket.of(
                lab,
                ticket.mask,
                ticket.state,
                level=ticket.level,
                parent=ticket,
                recipe=ticket.recipe,
                control=note,
            )

    def _corrupted(self, lab: ltx.Lab) -> ltx.Lab:
        if lab.task.corrupt != "none":
            raise ltx.UsageError(
                f"corrupted: the data of this task have {lab.task.corrupt} already; leave"
                " Task.corrupt away"
            )
        return lab.on(corrupt=self.how)
