"""Loop: all steps of a segment as one compiled call, for every network that the engine knows."""

import functools
import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numba as nb

from ltx.backends.sparse.losses import cross_entropy, errors
from ltx.backends.sparse.network import CROSS_ENTROPY
from ltx.backends.sparse.passes import (
    DY,
    UNITS,
    Y,
    backward,
    forward,
    gather_images,
    gather_numbers,
)
from ltx.backends.sparse.rows import OPTIONS, WIDTH, compiled, prefetch
from ltx.backends.sparse.updates import SMOOTHING, regularise, update


@functools.cache
def training_loop() -> Callable[..., None]:
    """The compiled loop; see `train` in it."""
    return stored(_compiled)


def stored(make: Callable[[str, bool], Callable[..., Any]]) -> Callable[..., Any]:
    """A compiled function that is stored on disk, made from the version of the code.

    Its first call compiles it, for seconds, and stores it for later processes.
    """
    try:
        return make(sources(), True)
    except RuntimeError:  # no folder for the cache can be written, neither here nor in the home
        return make(sources(), False)


def sources() -> str:
    """The hash of the code that is compiled into the loop."""
    total = hashlib.sha256()
    for path in sorted(Path(__file__).parent.glob("*.py")):
        total.update(path.read_bytes())
    return total.hexdigest()[:16]


@compiled
def _gather(inputs, rows, upcoming, work):  # type: ignore[no-untyped-def]
    """Put the examples at `rows` into `work`, and ask for those that come next."""
    images, numbers, mean, inverse_std = inputs
    if images.shape[0]:
        gather_images(images, rows, mean, inverse_std, work)
        for row in upcoming:
            prefetch(images, row)
    else:
        gather_numbers(numbers, rows, work)


@compiled
def _output_gradients(loss, labels, values, rows, batch, smoothing, last, work):  # type: ignore[no-untyped-def]
    """Put the gradients of the loss by the last layer's outputs into `work`."""
    outputs = work[last[Y] : last[Y] + last[UNITS]]
    deltas = work[last[DY] : last[DY] + last[UNITS]]
    if loss == CROSS_ENTROPY:
        cross_entropy(outputs, labels, rows, batch, smoothing, deltas)
    else:
        errors(loss, outputs, values, rows, batch, deltas)


def _compiled(version: str, cache: bool) -> Callable[..., None]:
    @nb.njit(**OPTIONS, cache=cache)
    def train(table, rates, inputs, targets, network, parameters, settings, work):  # type: ignore[no-untyped-def]
        """A step for each row of `table`, int32 [steps, batch], and of `rates`, float32 [2, steps].

        `inputs` and `targets` hold arrays of two kinds each, of which one is empty; `parameters`
        are the values, their gradients and their two slots, all flat.
        """
        # numba's cache is keyed by this file alone, and by what its function closes over.
        version  # noqa: B018
        plan, slopes, pointers, index = network
        values, gradients, momentums, velocities = parameters
        loss, labels, numbers = targets
        steps, batch, last = table.shape[0], table.shape[1], plan[plan.shape[0] - 1]
        for step in range(steps):
            gradients[:] = 0
            for first in range(0, batch, WIDTH):
                rows = table[step, first : first + WIDTH]
                upcoming = table[min(step + 1, steps - 1), first : first + WIDTH]
                _gather(inputs, rows, upcoming, work)
                forward(plan, slopes, pointers, index, values, work)
                smoothing = settings[SMOOTHING]
                _output_gradients(loss, labels, numbers, rows, batch, smoothing, last, work)
                backward(plan, slopes, pointers, index, values, gradients, work)
            regularise(values, gradients, index.shape[0], settings)
            pair = rates[0, step], rates[1, step]
            update(values, gradients, momentums, velocities, index.shape[0], pair, settings)

    return train
