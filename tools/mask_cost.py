"""Time and memory of making one global mask of 25 million weights.

Run by tools/benchmark.py, by the name pruning.
"""

import statistics
import time
import tracemalloc
from collections.abc import Iterator
from types import SimpleNamespace

import numpy as np

from ltx import Mask, Pruning, Weight
from ltx.core.identity import generator

# The kernels of a network like ResNet-50: 25 million weights.
KERNELS = (
    *[(3, 3, 64, 64)] * 3,
    *[(3, 3, 128, 128)] * 4,
    *[(3, 3, 256, 256)] * 6,
    *[(3, 3, 512, 512)] * 6,
    *[(1, 1, 1024, 2048), (1, 1, 512, 2048), (2048, 1700)],
)


def pruning(rounds: int) -> Iterator[str]:
    seconds, peak = mask_costs(rounds)
    what, middle = "mask of 25 million weights", statistics.median(seconds)
    yield (
        f"| {what}, global scope, s | {middle:.2f} | |"
        f" [{min(seconds):.2f}, {max(seconds):.2f}] | 1.00 |"
    )
    yield f"| {what}, peak memory beside the weights' | {peak:.2f} | 1 | {peak:.2f} | 4.00 |"


def mask_costs(rounds: int) -> tuple[list[float], float]:
    """Seconds of one global mask of dense and of half-pruned weights, and its peak memory.

    The memory is a multiple of that of the weights, without the scores and the mask passed in.
    """
    weights = tuple(Weight(str(number), shape) for number, shape in enumerate(KERNELS))
    lab = SimpleNamespace(prunable=weights, channels=())
    scores = {
        w.name: np.abs(generator(0, w.name).standard_normal(w.shape, np.float32)) for w in weights
    }
    dense = Mask.ones(weights)
    half, seconds, peak = Pruning.to(0.5)(lab, dense, scores), [], 0.0
    for mask in (dense, half):
        for _ in range(rounds):
            started = time.perf_counter()
            Pruning(0.2, scope="global")(lab, mask, scores)
            seconds.append(time.perf_counter() - started)
        # In a run of its own, since tracing every allocation takes time.
        tracemalloc.start()
        Pruning(0.2, scope="global")(lab, mask, scores)
        peak = max(peak, tracemalloc.get_traced_memory()[1] / (4 * dense.size))
        tracemalloc.stop()
    return seconds, peak
