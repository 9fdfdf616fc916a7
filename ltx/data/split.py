"""Split: examples as arrays, of which a part is selected without copying the rest."""

import hashlib
import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from ltx.data import sampling

BATCH_BYTES = 8 * 2**20

Inputs = Any  # one array, or several by name
Batches = Iterator[tuple[Inputs, np.ndarray]]


def mapped(function: Callable[[Any], Any], inputs: Any) -> Any:
    """The function's result for one input, its array or description, or for several by name."""
    if isinstance(inputs, Mapping):
        return {name: function(array) for name, array in inputs.items()}
    return function(inputs)


def leaves(inputs: Inputs) -> list[np.ndarray]:
    """The arrays, in the order of their names."""
    if isinstance(inputs, Mapping):
        return [inputs[name] for name in sorted(inputs)]
    return [inputs]


@dataclass(frozen=True, eq=False)
class Split:
    """Examples: the `rows` of larger arrays, copied only on access.

    `source` is one array [m, ...], in memory or memory-mapped, or several by name; `source_targets`
    is [m, ...], int32 or float32; `rows` is int64 [n], ascending. If `shuffle` is a seed, the
    positions of each example are permuted by a permutation of its own.
    """

    source: Inputs
    source_targets: np.ndarray
    rows: np.ndarray
    shuffle: int | None = None

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def example_bytes(self) -> int:
        """The size of the inputs of one example in bytes."""
        return sum(math.prod(a.shape[1:]) * a.dtype.itemsize for a in leaves(self.source))

    @property
    def nbytes(self) -> int:
        """The size of `inputs` in bytes."""
        return len(self.rows) * self.example_bytes

    @property
    def inputs(self) -> Inputs:
        """All inputs, read-only [n, ...]; a copy if n < m or shuffled."""
        if self.shuffle is None:
            return mapped(self._select, self.source)
        # In blocks: permutations take more memory than images.
        parts = [inputs for inputs, _ in self.blocks(batch_size(self.example_bytes))]
        if isinstance(self.source, Mapping):
            return {k: frozen(np.concatenate([part[k] for part in parts])) for k in self.source}
        return frozen(np.concatenate(parts))

    @property
    def targets(self) -> np.ndarray:
        """All targets, read-only [n, ...]."""
        return self._select(self.source_targets)

    def take(self, indices: np.ndarray | slice) -> tuple[Inputs, np.ndarray]:
        """The inputs and targets at these positions of the split."""
        rows = self.rows[indices]
        inputs = mapped(lambda array: np.asarray(array[rows]), self.source)
        if self.shuffle is not None:
            seed = self.shuffle
            inputs = mapped(lambda array: sampling.shuffled(array, rows, seed), inputs)
        return inputs, self.source_targets[rows]

    def blocks(self, size: int) -> Batches:
        """The inputs and targets in order, in blocks of `size`."""
        for start in range(0, len(self), size):
            yield self.take(slice(start, start + size))

    def _select(self, array: np.ndarray) -> np.ndarray:
        if len(self.rows) == len(array):
            return array
        return frozen(np.asarray(array[self.rows]))


def batch_size(*example_bytes: int) -> int:
    """How many examples of the largest of these sizes are processed at once."""
    return max(1, BATCH_BYTES // max(1, *example_bytes))


def digest(array: np.ndarray) -> str:
    """The SHA-256 of the values in C order."""
    return hashlib.sha256(np.ascontiguousarray(array).data).hexdigest()


def frozen(array: np.ndarray) -> np.ndarray:
    """The array itself, made read-only."""
    array.setflags(write=False)
    return array
