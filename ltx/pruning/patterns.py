"""Patterns within one kernel that a mask keeps or prunes: rectangular blocks and N:M groups."""

import dataclasses
import math
from collections.abc import Callable
from typing import ClassVar

import numpy as np

from ltx.core.errors import UsageError
from ltx.core.prunable import Prunable, Weight
from ltx.core.validation import check_choice, check_count
from ltx.pruning.structures import Arrays, Group, Structure


@dataclasses.dataclass(frozen=True)
class Blocks(Structure):
    """Rectangles of `height` rows and `width` columns in kernels of rank 2, as in TF-MOT.

    The score of a block is the "average" or "max" of its entries, of which pruned ones do not
    count. Blocks are cut off at the kernel's lower and right edges. Where they do not divide it,
    TF-MOT pads both sides before it pools, so that the score of a block is read up to half a block
    before it; this does the same. Kernels of another rank have to be named in Pruning.keep.
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
            alive = np.where(keep, scores, -np.inf)
            return self._shifted(alive, np.maximum)
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

    Groups are those of TF-MOT's sparsity_m_by_n=(m - n, m), which counts the zeros: in kernels of
    rank 2 and 4, along the last axis but one, starting again in every row. A last group of fewer
    than m weights keeps n of them, so that a kernel that m does not divide is slightly denser than
    n/m. No other density is possible.

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
        cells = {}
        for weight in lab.prunable:
            if len(weight.shape) in (2, 4):
                *lead, inputs, outputs = weight.shape
                rows = np.arange(math.prod(lead) * outputs).reshape(*lead, 1, outputs)
                group = np.arange(inputs)[:, None] // self.m
                cells[weight.name] = rows * -(-inputs // self.m) + group
        return cells

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
        values = self._rows(scores, 0)
        # Pruned weights and padding come last, whatever the scores of the survivors.
        pruned = self._rows(~keep, 1)
        ties = np.random.default_rng(values.size).permutation(values.size).reshape(values.shape)
        best = np.lexsort((ties, -np.where(pruned, 0, values), pruned))[:, : self.n]
        chosen = np.zeros(values.shape, np.bool_)
        np.put_along_axis(chosen, best, True, axis=1)
        front = np.moveaxis(keep, -2, -1)
        wide = chosen.reshape(*front.shape[:-1], -1)[..., : front.shape[-1]]
        return keep & np.moveaxis(wide, -1, -2)

    def _rows(self, array: np.ndarray, fill: float) -> np.ndarray:
        """The groups as rows, [groups, m]; a last group of fewer than m is padded with `fill`."""
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
    """1 for the pieces of `step` that are shorter, the last if any, else 0."""
    cut = np.zeros(-(-length // step), np.int64)
    cut[-1] = length % step > 0
    return cut


def _pooled(
    array: np.ndarray, length: int, axis: int, operation: np.ufunc, before: int = 0
) -> np.ndarray:
    """The array with every `length` entries along the axis reduced to one, shifted by `before`."""
    starts = np.maximum(np.arange(-(-array.shape[axis] // length)) * length - before, 0)
    return operation.reduceat(array, starts, axis=axis)
