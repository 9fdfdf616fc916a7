"""Structures: which weights are pruned together as one unit."""

import abc
import dataclasses
from collections.abc import Callable, Mapping
from typing import ClassVar

import numpy as np

from ltx.core.errors import UsageError
from ltx.core.prunable import Prunable, Weight
from ltx.pruning.top_k import prune_lowest

Arrays = Mapping[str, np.ndarray]


@dataclasses.dataclass(frozen=True)
class Group:
    """The `size` units of one layer; `weight` is the tensor that they are units of."""

    name: str
    weight: Weight
    size: int


@dataclasses.dataclass(frozen=True)
class Structure(abc.ABC):
    """Divides the weights into units, each of which a mask keeps or prunes as a whole.

    By default every weight is a unit. Rates and densities count units. `least` is how many units of
    every group survive any pruning; `alike` says whether units have the same number of weights in
    all layers; `of_embeddings` whether units are parts of embeddings, which others leave alone.
    """

    unit: ClassVar[str] = "weights"
    scopes: ClassVar[tuple[str, ...]] = ("layer", "erk", "smart", "global")
    least: ClassVar[int] = 0
    alike: ClassVar[bool] = True
    of_embeddings: ClassVar[bool] = False

    @property
    def only(self) -> float | None:
        """The only density that this structure can have; None where it can have any."""
        return None

    @abc.abstractmethod
    def groups(self, lab: Prunable, is_kept: Callable[[str], bool]) -> tuple[Group, ...]:
        """The prunable units, layer by layer, without the weights of which `is_kept` is true.

        Raises UsageError where this lab's model has none.
        """

    def alive(self, lab: Prunable, mask: Arrays) -> dict[str, np.ndarray]:
        """Which units of each group survive: bool arrays by group name."""
        return dict(mask)

    def scores(self, lab: Prunable, mask: Arrays, scores: Arrays) -> dict[str, np.ndarray]:
        """The score of each unit, arrays of the shapes of `alive`; pruned weights do not count."""
        return dict(scores)

    def mask(self, lab: Prunable, mask: Arrays, alive: Arrays) -> dict[str, np.ndarray]:
        """The masks without the units that are not `alive`; pruned weights stay pruned."""
        return {**mask, **alive}

    def drop(self, scores: Arrays, alive: Arrays, count: int) -> dict[str, np.ndarray]:
        """The surviving units without the `count` lowest-scored ones of these groups."""
        return prune_lowest(scores, alive, count)

    def cells(self, lab: Prunable) -> dict[str, np.ndarray]:
        """Which units of a group a random mask may exchange: those with the same number.

        Int arrays of the shapes of `alive`; in a group without an array, all may be exchanged.
        """
        return {}

    def misfits(self, lab: Prunable, mask: Arrays) -> list[str]:
        """The names of the weights of which this mask keeps a part of a unit."""
        dense = {name: np.ones_like(keep) for name, keep in mask.items()}
        whole = self.mask(lab, dense, self.alive(lab, mask))
        return [name for name, keep in mask.items() if not np.array_equal(whole[name], keep)]


@dataclasses.dataclass(frozen=True)
class Unstructured(Structure):
    """Every weight is a unit."""

    def misfits(self, lab: Prunable, mask: Arrays) -> list[str]:
        return []

    def groups(self, lab: Prunable, is_kept: Callable[[str], bool]) -> tuple[Group, ...]:
        return tuple(Group(w.name, w, w.size) for w in lab.prunable if not is_kept(w.name))


@dataclasses.dataclass(frozen=True)
class ByChannel(Structure):
    """Neurons and feature maps, pruned with every weight that computes or reads them.

    The score of a channel is the mean of the surviving weights that compute it. At least one
    channel of every set survives, since nothing passes an empty layer; others are pruned instead.
    A pattern in Pruning.keep that matches a weight keeps the channels that it computes.

    Reference: Li et al., Pruning Filters for Efficient ConvNets, https://arxiv.org/abs/1608.08710
    """

    unit: ClassVar[str] = "channels"
    scopes: ClassVar[tuple[str, ...]] = ("layer", "global")
    least: ClassVar[int] = 1
    alike: ClassVar[bool] = False

    def groups(self, lab: Prunable, is_kept: Callable[[str], bool]) -> tuple[Group, ...]:
        weights = {weight.name: weight for weight in lab.prunable}
        if not lab.channels:
            raise UsageError(
                "ByChannel: this model has no channels to drop; use structure=Unstructured()"
            )
        return tuple(
            Group(c.name, weights[c.name], c.size)
            for c in lab.channels
            if not any(is_kept(axis.name) for axis in c.writers)
        )

    def alive(self, lab: Prunable, mask: Arrays) -> dict[str, np.ndarray]:
        return {channels.name: channels.alive(mask) for channels in lab.channels}

    def scores(self, lab: Prunable, mask: Arrays, scores: Arrays) -> dict[str, np.ndarray]:
        return {channels.name: channels.mean(scores, mask) for channels in lab.channels}

    def mask(self, lab: Prunable, mask: Arrays, alive: Arrays) -> dict[str, np.ndarray]:
        result = dict(mask)
        for channels in lab.channels:
            dropped = channels.alive(mask) & ~alive[channels.name]
            if dropped.any():
                result = channels.drop(result, dropped)
        return result

    def drop(self, scores: Arrays, alive: Arrays, count: int) -> dict[str, np.ndarray]:
        return _drop_but_the_best(scores, alive, count)


@dataclasses.dataclass(frozen=True)
class ByToken(Structure):
    """Rows of embeddings, each the whole vector of a token; other weights are left alone.

    The score of a token is the mean of its surviving weights. A pruned token is read as zeros.
    """

    unit: ClassVar[str] = "tokens"
    scopes: ClassVar[tuple[str, ...]] = ("layer", "global")
    least: ClassVar[int] = 1
    alike: ClassVar[bool] = False
    of_embeddings: ClassVar[bool] = True

    def groups(self, lab: Prunable, is_kept: Callable[[str], bool]) -> tuple[Group, ...]:
        embeddings = [weight for weight in lab.prunable if weight.kind == "embedding"]
        if not embeddings:
            raise UsageError(
                "ByToken: this model has no embedding, whose rows it prunes; use"
                " structure=Unstructured()"
            )
        return tuple(Group(w.name, w, w.shape[0]) for w in embeddings if not is_kept(w.name))

    def alive(self, lab: Prunable, mask: Arrays) -> dict[str, np.ndarray]:
        return {name: np.any(mask[name], axis=1) for name in _embeddings(lab)}

    def scores(self, lab: Prunable, mask: Arrays, scores: Arrays) -> dict[str, np.ndarray]:
        result = {}
        for name in _embeddings(lab):
            keep = mask[name]
            total = np.where(keep, scores[name], 0).sum(axis=1, dtype=np.float64)
            result[name] = total / np.maximum(keep.sum(axis=1), 1)
        return result

    def mask(self, lab: Prunable, mask: Arrays, alive: Arrays) -> dict[str, np.ndarray]:
        return {**mask, **{name: mask[name] & keep[:, None] for name, keep in alive.items()}}

    def drop(self, scores: Arrays, alive: Arrays, count: int) -> dict[str, np.ndarray]:
        return _drop_but_the_best(scores, alive, count)


def _embeddings(lab: Prunable) -> list[str]:
    return [weight.name for weight in lab.prunable if weight.kind == "embedding"]


def _drop_but_the_best(scores: Arrays, alive: Arrays, count: int) -> dict[str, np.ndarray]:
    """The survivors without the `count` lowest-scored ones, the best of every group left alone."""
    best = {
        name: prune_lowest(scores, {name: keep}, max(0, int(keep.sum()) - 1))[name]
        for name, keep in alive.items()
    }
    free = {name: keep & ~best[name] for name, keep in alive.items()}
    count = min(count, sum(int(keep.sum()) for keep in free.values()))
    left = prune_lowest(scores, free, count)
    return {name: keep | best[name] for name, keep in left.items()}
