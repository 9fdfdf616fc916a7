"""Structure: what is pruned as one piece, whatever scores it and wherever it is compared."""

import abc
import dataclasses
import math
from collections.abc import Callable, Mapping
from typing import ClassVar, Protocol

import numpy as np

from ltx.core.errors import UsageError
from ltx.core.prunable import Channels, Weight
from ltx.core.validation import check_choice, check_count
from ltx.pruning.top_k import prune_lowest

Arrays = Mapping[str, np.ndarray]


class Prunable(Protocol):
    """What pruning asks of a lab."""

    @property
    def prunable(self) -> tuple[Weight, ...]: ...

    @property
    def channels(self) -> tuple[Channels, ...]: ...


@dataclasses.dataclass(frozen=True)
class Group:
    """The `size` units that one layer consists of; `weight` is the tensor they stand for."""

    name: str
    weight: Weight
    size: int


@dataclasses.dataclass(frozen=True)
class Structure(abc.ABC):
    """Divides the weights into units, each of which a mask keeps or prunes as a whole.

    Every weight is a unit of its own where a structure does not say otherwise. Rates and densities
    count units. `least` is how many units of every group survive any pruning;
    `alike` says whether a unit has as many weights in one layer as in another.
    """

    unit: ClassVar[str] = "weights"
    scopes: ClassVar[tuple[str, ...]] = ("layer", "erk", "smart", "global")
    least: ClassVar[int] = 0
    alike: ClassVar[bool] = True

    @property
    def only(self) -> float | None:
        """The one density that this structure can have; None where it can have any."""
        return None

    @abc.abstractmethod
    def groups(self, lab: Prunable, is_kept: Callable[[str], bool]) -> tuple[Group, ...]:
        """The units that may be pruned, layer by layer, given which weights may not.

        Raises UsageError where this lab's model has none.
        """

    def alive(self, lab: Prunable, mask: Arrays) -> dict[str, np.ndarray]:
        """Which units of each group survive, bool arrays by the groups' names."""
        return dict(mask)

    def scores(self, lab: Prunable, mask: Arrays, scores: Arrays) -> dict[str, np.ndarray]:
        """What each unit is worth, arrays of the shapes of `alive`; pruned weights do not count."""
        return dict(scores)

    def mask(self, lab: Prunable, mask: Arrays, alive: Arrays) -> dict[str, np.ndarray]:
        """The masks without the units that are not `alive`; what was pruned stays pruned."""
        return {**mask, **alive}

    def drop(self, scores: Arrays, alive: Arrays, count: int) -> dict[str, np.ndarray]:
        """The units left without the `count` lowest-scored survivors of these groups."""
        return prune_lowest(scores, alive, count)

    def cells(self, lab: Prunable) -> dict[str, np.ndarray]:
        """Which units of a group may change places, whatever its mask: those with one number.

        Int arrays of the shapes of `alive`; in a group without one, all may.
        """
        return {}

    def misfits(self, lab: Prunable, mask: Arrays) -> list[str]:
        """The weights of which this mask does not keep and prune whole units."""
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
    """Neurons and feature maps, pruned with every weight that makes them or takes them.

    A channel is worth the mean score of the surviving weights that make it. At least one channel
    of every set survives, since nothing passes an empty layer; where that binds, others go instead.
    A pattern in Pruning.keep that matches a weight keeps the channels that it makes.

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
            gone = channels.alive(mask) & ~alive[channels.name]
            if gone.any():
                result = channels.drop(result, gone)
        return result

    def drop(self, scores: Arrays, alive: Arrays, count: int) -> dict[str, np.ndarray]:
        best = {
            name: prune_lowest(scores, {name: keep}, max(0, int(keep.sum()) - 1))[name]
            for name, keep in alive.items()
        }
        free = {name: keep & ~best[name] for name, keep in alive.items()}
        count = min(count, sum(int(keep.sum()) for keep in free.values()))
        left = prune_lowest(scores, free, count)
        return {name: keep | best[name] for name, keep in left.items()}


@dataclasses.dataclass(frozen=True)
class Blocks(Structure):
    """Rectangles of `height` rows and `width` columns in kernels of rank 2, as TF-MOT has them.

    A block is worth the "average" or "max" score of its entries, of which pruned ones count as
    nothing. Blocks are cut off at the kernel's lower and right edges. Where they do not divide it,
    TF-MOT pads both sides before it pools, so that what a block is worth is read up to half a
    block before it; so it is here. Kernels of another rank are to be named in Pruning.keep.
    """

    height: int = 4
    width: int = 1
    pooling: str = "average"

    unit: ClassVar[str] = "blocks"

    def __post_init__(self) -> None:
        check_count("Blocks.height", self.height)
        check_count("Blocks.width", self.width)
        check_choice("Blocks.pooling", self.pooling, ("average", "max"))

    def groups(self, lab: Prunable, is_kept: Callable[[str], bool]) -> tuple[Group, ...]:
        weights = [weight for weight in lab.prunable if not is_kept(weight.name)]
        _check_ranks(self, weights, (2,))
        return tuple(Group(w.name, w, math.prod(self._grid(w.shape))) for w in weights)

    def _grid(self, shape: tuple[int, ...]) -> tuple[int, int]:
        return -(-shape[0] // self.height), -(-shape[1] // self.width)

    def alive(self, lab: Prunable, mask: Arrays) -> dict[str, np.ndarray]:
        return {
            name: _pooled(_pooled(keep, self.height, 0, np.maximum), self.width, 1, np.maximum)
            for name, keep in mask.items()
            if keep.ndim == 2
        }

    def scores(self, lab: Prunable, mask: Arrays, scores: Arrays) -> dict[str, np.ndarray]:
        return {
            name: self._pool(scores[name], keep) for name, keep in mask.items() if keep.ndim == 2
        }

    def _pool(self, scores: np.ndarray, keep: np.ndarray) -> np.ndarray:
        if self.pooling == "max":
            found = np.where(keep, scores, -np.inf)
            return self._shifted(found, np.maximum)
        kept = np.where(keep, scores, 0).astype(np.float64)
        return self._shifted(kept, np.add) / self._shifted(np.ones(kept.shape), np.add)

    def _shifted(self, array: np.ndarray, operation: np.ufunc) -> np.ndarray:
        for axis, length in enumerate((self.height, self.width)):
            array = _pooled(array, length, axis, operation, -array.shape[axis] % length // 2)
        return array

    def mask(self, lab: Prunable, mask: Arrays, alive: Arrays) -> dict[str, np.ndarray]:
        result = dict(mask)
        for name, units in alive.items():
            rows, columns = mask[name].shape
            whole = units.repeat(self.height, 0)[:rows].repeat(self.width, 1)[:, :columns]
            result[name] = mask[name] & whole
        return result

    def cells(self, lab: Prunable) -> dict[str, np.ndarray]:
        # Blocks cut off at an edge have fewer weights than others.
        return {
            w.name: 2 * _cut_off(w.shape[0], self.height)[:, None]
            + _cut_off(w.shape[1], self.width)
            for w in lab.prunable
            if len(w.shape) == 2 and (w.shape[0] % self.height or w.shape[1] % self.width)
        }


@dataclasses.dataclass(frozen=True)
class NofM(Structure):
    """Of every `m` consecutive weights along the input axis the `n` highest-scored survive.

    Groups begin anew in every row and lie as TF-MOT's sparsity_m_by_n=(m - n, m) lays them, which
    counts the zeros: in kernels of rank 2 and 4, along their last axis but one. A last group of
    fewer than m weights keeps n of them, so that a kernel that m does not divide is a little denser
    than n/m. No other density can be had.

    Reference: Zhou et al., Learning N:M Fine-grained Structured Sparse Neural Networks From
    Scratch, https://arxiv.org/abs/2102.04010
    """

    n: int = 2
    m: int = 4

    scopes: ClassVar[tuple[str, ...]] = ("layer", "global")

    def __post_init__(self) -> None:
        check_count("NofM.n", self.n)
        check_count("NofM.m", self.m, least=2)
        if self.n >= self.m:
            raise UsageError(f"NofM.n: expected fewer than m = {self.m}, got {self.n}")

    @property
    def only(self) -> float | None:
        return self.n / self.m

    def groups(self, lab: Prunable, is_kept: Callable[[str], bool]) -> tuple[Group, ...]:
        weights = [weight for weight in lab.prunable if not is_kept(weight.name)]
        _check_ranks(self, weights, (2, 4))
        return tuple(Group(w.name, w, w.size) for w in weights)

    def drop(self, scores: Arrays, alive: Arrays, count: int) -> dict[str, np.ndarray]:
        del count
        return {name: self._best(scores[name], keep) for name, keep in alive.items()}

    def cells(self, lab: Prunable) -> dict[str, np.ndarray]:
        made = {}
        for weight in lab.prunable:
            if len(weight.shape) in (2, 4):
                *lead, inputs, outputs = weight.shape
                rows = np.arange(math.prod(lead) * outputs).reshape(*lead, 1, outputs)
                place = np.arange(inputs)[:, None] // self.m
                made[weight.name] = rows * -(-inputs // self.m) + place
        return made

    def misfits(self, lab: Prunable, mask: Arrays) -> list[str]:
        cells = self.cells(lab)
        return [
            name
            for name, keep in mask.items()
            if not keep.all()
            and (
                name not in cells or (np.bincount(cells[name].ravel(), keep.ravel()) > self.n).any()
            )
        ]

    def _best(self, scores: np.ndarray, keep: np.ndarray) -> np.ndarray:
        worth = self._rows(scores, 0)
        # Pruned weights and padding come last, whatever the survivors score.
        gone = self._rows(~keep, 1)
        chance = np.random.default_rng(worth.size).permutation(worth.size).reshape(worth.shape)
        best = np.lexsort((chance, -np.where(gone, 0, worth), gone))[:, : self.n]
        chosen = np.zeros(worth.shape, np.bool_)
        np.put_along_axis(chosen, best, True, axis=1)
        front = np.moveaxis(keep, -2, -1)
        wide = chosen.reshape(*front.shape[:-1], -1)[..., : front.shape[-1]]
        return keep & np.moveaxis(wide, -1, -2)

    def _rows(self, array: np.ndarray, fill: float) -> np.ndarray:
        """The groups, one a row, the last of each input padded."""
        front = np.moveaxis(array, -2, -1)
        wide = [(0, 0)] * (front.ndim - 1) + [(0, -front.shape[-1] % self.m)]
        return np.pad(front, wide, constant_values=fill).reshape(-1, self.m)


def _check_ranks(structure: Structure, weights: list[Weight], ranks: tuple[int, ...]) -> None:
    wrong = [weight.name for weight in weights if len(weight.shape) not in ranks]
    if wrong:
        raise UsageError(
            f"{structure}: expected kernels of rank {' or '.join(map(str, ranks))}, got others:"
            f" {', '.join(wrong)}; name them in `keep`, as in Pruning.keep or oneshot.keep, or"
            " prune by another structure"
        )


def _cut_off(length: int, step: int) -> np.ndarray:
    """Which pieces of `step` are shorter, int 0 or 1: the last, where it does not divide."""
    cut = np.zeros(-(-length // step), np.int64)
    cut[-1] = length % step > 0
    return cut


def _pooled(
    array: np.ndarray, length: int, axis: int, operation: np.ufunc, before: int = 0
) -> np.ndarray:
    """The array with every `length` entries along the axis made one, the first `before` sooner."""
    starts = np.maximum(np.arange(-(-array.shape[axis] // length)) * length - before, 0)
    return operation.reduceat(array, starts, axis=axis)
