"""Losses: the gradients of a block's mean loss by the outputs of the network."""

import numpy as np

from ltx.backends.sparse.network import HUBER
from ltx.backends.sparse.rows import WIDTH, compiled

F32 = np.float32


@compiled
def cross_entropy(outputs, labels, rows, batch, smoothing, deltas):  # type: ignore[no-untyped-def]
    """Of logits [classes, 64] and labels [n] at `rows`, the block's part of `batch` examples.

    Labels are smoothed towards uniform. Places beyond the rows get 0.
    """
    classes, count = outputs.shape[0], rows.shape[0]
    highest, total = np.empty(WIDTH, np.float32), np.zeros(WIDTH, np.float32)
    highest[:] = outputs[0]
    for c in range(1, classes):
        for place in range(WIDTH):
            # NaN compares with nothing: it is kept out of the maximum and stays in the sums.
            highest[place] = max(highest[place], outputs[c, place])
    for c in range(classes):
        for place in range(WIDTH):
            deltas[c, place] = np.exp(outputs[c, place] - highest[place])
            total[place] += deltas[c, place]
    low = smoothing / F32(classes)
    for c in range(classes):
        for place in range(WIDTH):
            deltas[c, place] = (deltas[c, place] / total[place] - low) / F32(batch)
        for place in range(count, WIDTH):
            deltas[c, place] = F32(0)
    for place in range(count):
        deltas[labels[rows[place]], place] -= (F32(1) - smoothing) / F32(batch)


@compiled
def errors(kind, outputs, targets, rows, batch, deltas):  # type: ignore[no-untyped-def]
    """Of outputs [outputs, 64] and targets [n, outputs] at `rows`: squared or Huber errors."""
    size = F32(outputs.shape[0] * batch)
    for c in range(outputs.shape[0]):
        deltas[c] = F32(0)
        for place in range(rows.shape[0]):
            error = outputs[c, place] - targets[rows[place], c]
            if kind == HUBER:
                deltas[c, place] = min(max(error, F32(-1)), F32(1)) / size
            else:
                deltas[c, place] = F32(2) * error / size
