"""Order: which examples each step sees, as a function of seed and step alone."""

import functools

import numpy as np

from ltx.core import identity
from ltx.core.errors import UsageError


def steps_per_epoch(examples: int, batch_size: int) -> int:
    """Whole batches in one pass; what is left over waits for the next pass's shuffle."""
    if batch_size > examples:
        raise UsageError(
            f"Recipe.batch_size: {batch_size} is more than the {examples} training examples"
        )
    return examples // batch_size


def batch_table(
    seed: int, stream: str, examples: int, batch_size: int, start: int, stop: int
) -> np.ndarray:
    """The example numbers of the steps from `start` to `stop`, int32 [steps, batch].

    Every epoch has a permutation of its own, so a training may be cut anywhere and goes on alike.
    """
    epoch = steps_per_epoch(examples, batch_size)
    table = np.empty((stop - start, batch_size), np.int32)
    step = start
    while step < stop:
        number, offset = divmod(step, epoch)
        count = min(epoch - offset, stop - step)
        shuffled = _permutation(seed, stream, number, examples)
        rows = shuffled[offset * batch_size : (offset + count) * batch_size]
        table[step - start : step - start + count] = rows.reshape(count, batch_size)
        step += count
    return table


@functools.lru_cache(maxsize=4)
def _permutation(seed: int, stream: str, epoch: int, examples: int) -> np.ndarray:
    return identity.generator(seed, stream, "epoch", epoch).permutation(examples)
