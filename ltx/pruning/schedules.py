"""Schedules of gradual pruning: when a mask is made during training, and at which density."""

import dataclasses
from collections.abc import Mapping

import numpy as np

from ltx.core.errors import UsageError
from ltx.core.mask import Mask
from ltx.core.prunable import Prunable
from ltx.core.validation import check_count, check_number
from ltx.pruning.patterns import Blocks, NofM
from ltx.pruning.structures import Structure, Unstructured


@dataclasses.dataclass(frozen=True)
class PolynomialDecay:
    """TF-MOT's schedule of that name, with its wrapper's options, in completed steps and densities.

    From step `begin` to step `end`, every `every` steps, the largest units of each tensor are
    kept. Their share falls from `start` to `density`, by 1 - (1 - p)^power of the way at a share p
    of the steps. TF-MOT counts the step that is about to be taken, which is one more. `structure`
    is one that TF-MOT has: Unstructured, Blocks or NofM. NofM is pruned at once: TF-MOT makes that
    mask at its first step, which is `begin`, and never again.

    Reference: Zhu & Gupta, To prune, or not to prune, https://arxiv.org/abs/1710.01878
    """

    density: float
    begin: int
    end: int
    every: int = 100
    start: float = 1.0
    power: float = 3.0
    structure: Structure = Unstructured()

    def __post_init__(self) -> None:
        check_number("PolynomialDecay.density", self.density, above=0, below=1)
        check_number("PolynomialDecay.start", self.start, above=0)
        check_number("PolynomialDecay.power", self.power, above=0)
        if self.start > 1:
            raise UsageError(f"PolynomialDecay.start: expected at most 1, got {self.start!r}")
        check_count("PolynomialDecay.begin", self.begin, least=0)
        check_count("PolynomialDecay.end", self.end, least=self.begin + 1)
        check_count("PolynomialDecay.every", self.every)
        if not isinstance(self.structure, Unstructured | Blocks | NofM):
            raise UsageError(
                "PolynomialDecay.structure: TF-MOT has Unstructured, Blocks and NofM, got"
                f" {self.structure!r}; prune others by Pruning"
            )

    def check(self, lab: Prunable) -> "PolynomialDecay":
        """Return this schedule; UsageError where TF-MOT cannot divide a weight of the lab."""
        ranks = {Blocks: (2,), NofM: (2, 4)}.get(type(self.structure))
        for weight in lab.prunable:
            if ranks and len(weight.shape) not in ranks:
                raise UsageError(
                    f"PolynomialDecay.structure: TF-MOT divides into {self.structure} kernels of"
                    f" rank {' or '.join(map(str, ranks))}, got {weight.name} of shape"
                    f" {weight.shape}; use Unstructured(), or Pruning with a keep"
                )
        return self

    def is_due(self, step: int) -> bool:
        """Whether a mask is made after this many steps."""
        if isinstance(self.structure, NofM):
            return step == self.begin
        return self.begin <= step <= self.end and (step - self.begin) % self.every == 0

    def sparsity(self, step: int) -> np.float32:
        """The sparsity after this many steps, in TF-MOT's own float32 arithmetic."""
        progress = np.float32(step - self.begin) / np.float32(self.end - self.begin)
        left = np.float32(1) - np.clip(progress, np.float32(0), np.float32(1))
        first, last = 1 - self.start, 1 - self.density
        return np.float32(first - last) * left ** np.float32(self.power) + np.float32(last)

    def mask(self, lab: Prunable, weights: Mapping[str, np.ndarray], step: int) -> Mask:
        """The mask that TF-MOT makes of these weights after this many steps, in numpy."""
        sizes = {name: np.abs(array) for name, array in weights.items()}
        dense = {name: np.ones(array.shape, np.bool_) for name, array in weights.items()}
        units = self.structure.scores(lab, dense, sizes)
        if isinstance(self.structure, NofM):
            alive = self.structure.drop(units, dense, 0)
        else:
            sparsity = self.sparsity(step)
            alive = {name: _largest(scores, sparsity) for name, scores in units.items()}
        return Mask(self.structure.mask(lab, dense, alive))


def _largest(size: np.ndarray, sparsity: np.float32) -> np.ndarray:
    """True for the largest units, at least one, and for all that tie with the smallest of them."""
    kept = max(1, int(np.round(np.float32(size.size) * (np.float32(1) - sparsity))))
    return size >= np.sort(size, axis=None)[-kept]
