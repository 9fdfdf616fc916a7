"""Corrupted data: a finder that sees spoilt data, whose tickets train on the true ones."""

import dataclasses
from collections.abc import Iterator
from typing import ClassVar

import ltx

HOW = ("random_labels", "shuffled_pixels")


@dataclasses.dataclass(frozen=True)
class Corrupted(ltx.Finder):
    """Another finder's tickets, found without what the data could teach it.

    `how`: "random_labels" gives the labels of the training examples to others of them,
    "shuffled_pixels" puts each image's pixels in an order of its own; the validation examples are
    spoilt alike, so that no finder learns from those. A ticket keeps its state: where that was
    trained, as by early rewinding, it was trained on spoilt data. Costs what the other finder
    costs, and a few gradients by which the data are seen to differ.

    The paper draws the labels uniformly, which all but keeps their frequencies as a permutation
    does; its code shuffles an image's channels among its pixels, and then has random labels, too.

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
        ltx.require_finder(self.of, "corrupted").check(self._spoilt(lab))

    def find(self, lab: ltx.Lab) -> Iterator[ltx.Ticket]:
        spoilt = self._spoilt(lab)
        seen = {"how": self.how, **ltx.check_corrupted("corrupted", lab, spoilt)}
        for ticket in ltx.require_finder(self.of, "corrupted").find(spoilt):
            yield ltx.Ticket.of(
                lab,
                ticket.mask,
                ticket.state,
                level=ticket.level,
                parent=ticket,
                recipe=ticket.recipe,
                control=seen,
            )

    def _spoilt(self, lab: ltx.Lab) -> ltx.Lab:
        if lab.task.corrupt != "none":
            raise ltx.UsageError(
                f"corrupted: the data of this task have {lab.task.corrupt} already; leave"
                " Task.corrupt away"
            )
        return lab.on(corrupt=self.how)
