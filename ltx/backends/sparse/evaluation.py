"""Evaluation: the mean cross-entropy and the accuracy over a split."""

import functools
from collections.abc import Callable

import numba as nb
import numpy as np

from ltx.backends.sparse.loop import stored
from ltx.backends.sparse.passes import UNITS, Y, forward, gather_images, gather_numbers
from ltx.backends.sparse.rows import OPTIONS, WIDTH, compiled

F32 = np.float32


@functools.cache
def evaluation_loop() -> Callable[..., tuple[float, float]]:
    """The compiled loop over the blocks of a split; see `evaluate` in it."""
    return stored(_compiled)


@compiled
def score(outputs, labels, first):  # type: ignore[no-untyped-def]
    """The summed cross-entropies, and hits, of logits [classes, 64] and labels[first:first + 64].

    The first of equal logits counts as the answer.
    """
    loss, hits = 0.0, 0.0
    for place in range(min(WIDTH, labels.shape[0] - first)):
        label, answer, highest = labels[first + place], 0, outputs[0, place]
        for c in range(1, outputs.shape[0]):
            if outputs[c, place] > highest:
                answer, highest = c, outputs[c, place]
        total = F32(0)
        for c in range(outputs.shape[0]):
            total += np.exp(outputs[c, place] - highest)
        loss += np.float64(np.log(total) - (outputs[label, place] - highest))
        hits += answer == label
    return loss, hits


def _compiled(version: str, cache: bool) -> Callable[..., tuple[float, float]]:
    @nb.njit(**OPTIONS, cache=cache)
    def evaluate(inputs, labels, network, values, work):  # type: ignore[no-untyped-def]
        """The summed loss and hits of all examples, in blocks of 64, in float64."""
        version  # noqa: B018 (a part of the cache's key)
        images, numbers, mean, inverse_std = inputs
        plan, slopes, pointers, index = network
        last, count = plan[plan.shape[0] - 1], labels.shape[0]
        outputs = work[last[Y] : last[Y] + last[UNITS]]
        loss, hits = 0.0, 0.0
        for first in range(0, count, WIDTH):
            rows = np.arange(first, min(first + WIDTH, count)).astype(np.int32)
            if images.shape[0]:
                gather_images(images, rows, mean, inverse_std, work)
            else:
                gather_numbers(numbers, rows, work)
            forward(plan, slopes, pointers, index, values, work)
            block = score(outputs, labels, first)
            loss, hits = loss + block[0], hits + block[1]
        return loss, hits

    return evaluate
