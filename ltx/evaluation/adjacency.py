"""Adjacency: how much nearer a unit's surviving input weights lie to each other than by chance."""

import dataclasses

import numpy as np

from ltx.core.errors import UsageError


@dataclasses.dataclass(frozen=True)
class Adjacency:
    """How many pairs of neighbouring inputs survive in one unit, summed over units.

    `expected` is the mean of that number if every unit kept as many inputs at random, `spread` its
    standard deviation.
    """

    pairs: int
    expected: float
    spread: float

    @property
    def ratio(self) -> float:
        """Pairs over their expected number; NaN where none can be expected."""
        return self.pairs / self.expected if self.expected else float("nan")


def adjacency(kernel: np.ndarray) -> Adjacency:
    """The adjacency of a layer's mask [inputs, units], whose inputs are samples of a signal.

    Reference: Greydanus & Kobak, https://arxiv.org/abs/2011.14439
    """
    keep = np.asarray(kernel)
    if keep.ndim != 2 or keep.dtype != bool or not keep.size:
        raise UsageError(
            "adjacency: expected the mask of a dense kernel, bool [inputs, units], got"
            f" {keep.dtype} {keep.shape}"
        )
    n, k = len(keep), keep.sum(0).astype(np.float64)
    # The chances that 2, 3 and 4 given inputs survive, of k survivors among n.
    two = k * (k - 1) / max(n * (n - 1), 1)
    three = two * (k - 2) / max(n - 2, 1)
    four = three * (k - 3) / max(n - 3, 1)
    mean = (n - 1) * two
    variance = mean + 2 * (n - 2) * three + (n - 2) * (n - 3) * four - mean**2
    return Adjacency(
        pairs=int((keep[1:] & keep[:-1]).sum()),
        expected=float(mean.sum()),
        spread=float(np.sqrt(max(variance.sum(), 0.0))),
    )
