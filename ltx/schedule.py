"""Schedule: when TF-MOT makes a mask while a network trains, and how dense it is then."""

import dataclasses
from collections.abc import Iterable, Mapping

import numpy as np

from ltx.checks import check_choice, check_count, check_number
from ltx.errors import UsageError
from ltx.mask import Mask
from ltx.weight import Weight

POOLINGS = ("average", "max")


@dataclasses.dataclass(frozen=True)
class PolynomialDecay:
    """TF-MOT's schedule of that name, with its wrapper's options, in steps taken and in densities.

    From step `begin` to step `end`, every `every` steps, the largest weights of each tensor are
    kept, a share that falls from `start` to `density` along 1 - (1 - p)^power of the way at a share
    p of the steps. TF-MOT counts the step that is about to be taken, which is one more. It compares
    whole blocks of (height, width) where `block` is not (1, 1), by the `pooling` of their
    magnitudes. With `zeros` = (m, n) it keeps n - m of every n consecutive inputs, at once: it
    makes that mask at `begin` and never again, whatever the density. Both want the last blocks and
    groups of a tensor to be whole: TF-MOT pads an odd number of blocks on both sides.

    Reference: Zhu & Gupta, To prune, or not to prune, https://arxiv.org/abs/1710.01878
    """

    density: float
    begin: int
    end: int
    every: int = 100
    start: float = 1.0
    power: float = 3.0
    block: tuple[int, int] = (1, 1)
    pooling: str = "average"
    zeros: tuple[int, int] | None = None

    def __post_init__(self) -> None:
        check_number("PolynomialDecay.density", self.density, above=0, below=1)
        check_number("PolynomialDecay.start", self.start, above=0)
        check_number("PolynomialDecay.power", self.power, above=0)
        if self.start > 1:
            raise UsageError(f"PolynomialDecay.start: expected at most 1, got {self.start!r}")
        check_count("PolynomialDecay.begin", self.begin, least=0)
        check_count("PolynomialDecay.end", self.end, least=self.begin + 1)
        check_count("PolynomialDecay.every", self.every)
        check_choice("PolynomialDecay.pooling", self.pooling, POOLINGS)
        for number in self.block:
            check_count("PolynomialDecay.block", number)
        if self.zeros is not None:
            check_count("PolynomialDecay.zeros", self.zeros[0])
            check_count("group of PolynomialDecay.zeros", self.zeros[1], least=self.zeros[0] + 1)
            if self.block != (1, 1):
                raise UsageError("PolynomialDecay.zeros: a group is no block; leave one away")

    def check(self, weights: Iterable[Weight]) -> "PolynomialDecay":
        """This schedule, if TF-MOT can divide these weights as it asks."""
        for weight in weights:
            rank = len(weight.shape)
            if self.block != (1, 1) and rank != 2:
                raise UsageError(
                    f"PolynomialDecay.block: TF-MOT cuts matrices into blocks, {weight.name} has"
                    f" {rank} dimensions; use block (1, 1)"
                )
            if self.zeros is not None and rank not in (2, 4):
                raise UsageError(
                    f"PolynomialDecay.zeros: TF-MOT groups weights of 2 or 4 dimensions,"
                    f" {weight.name} has {rank}; use a density"
                )
        return self

    def is_due(self, step: int) -> bool:
        """Whether a mask is made after this many steps."""
        if self.zeros is not None:
            return step == self.begin
        return self.begin <= step <= self.end and (step - self.begin) % self.every == 0

    def sparsity(self, step: int) -> np.float32:
        """The share that goes after this many steps, in TF-MOT's own float32 arithmetic."""
        way = np.float32(step - self.begin) / np.float32(self.end - self.begin)
        left = np.float32(1) - np.clip(way, np.float32(0), np.float32(1))
        first, last = 1 - self.start, 1 - self.density
        return np.float32(first - last) * left ** np.float32(self.power) + np.float32(last)

    def mask(self, weights: Mapping[str, np.ndarray], step: int) -> Mask:
        """The mask that TF-MOT makes of these weights after this many steps, in numpy."""
        sparsity = self.sparsity(step)
        return Mask({name: self._chosen(np.abs(a), sparsity) for name, a in weights.items()})

    def _chosen(self, size: np.ndarray, sparsity: np.float32) -> np.ndarray:
        if self.zeros is not None:
            return self._grouped(size, *self.zeros)
        return _largest(size, sparsity) if self.block == (1, 1) else self._blocked(size, sparsity)

    def _blocked(self, size: np.ndarray, sparsity: np.float32) -> np.ndarray:
        height, width = self.block
        pooled = _pool(_pool(size, height, self.pooling).T, width, self.pooling).T
        kept = _largest(pooled, sparsity)
        return kept.repeat(height, 0).repeat(width, 1)[: size.shape[0], : size.shape[1]]

    @staticmethod
    def _grouped(size: np.ndarray, zeros: int, length: int) -> np.ndarray:
        rows = np.moveaxis(size, -1, 0).reshape(-1, size.shape[-2])
        padded = np.pad(rows, ((0, 0), (0, -rows.shape[1] % length)))
        groups = padded.reshape(-1, length)
        best = np.argsort(-groups, axis=1, kind="stable")[:, : length - zeros]
        kept = np.zeros(groups.shape, np.bool_)
        np.put_along_axis(kept, best, True, axis=1)
        flat = kept.reshape(padded.shape)[:, : rows.shape[1]]
        return np.moveaxis(flat.reshape(size.shape[-1:] + size.shape[:-1]), 0, -1)


def _largest(size: np.ndarray, sparsity: np.float32) -> np.ndarray:
    """True for the largest, at least one, and for all that equal the smallest of them."""
    kept = max(1, int(np.round(np.float32(size.size) * (np.float32(1) - sparsity))))
    return size >= np.sort(size, axis=None)[-kept]


def _pool(array: np.ndarray, length: int, how: str) -> np.ndarray:
    """Each `length` rows as one; padding is shared out to both ends and counts for nothing."""
    missing = -len(array) % length
    first = missing // 2
    cuts = [max(0, at - first) for at in range(0, len(array) + missing, length)]
    if how == "max":
        return np.maximum.reduceat(array, cuts)
    counts = np.diff([*cuts, len(array)]).astype(np.float32)
    return np.add.reduceat(array, cuts) / counts[:, None]
