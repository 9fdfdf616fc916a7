"""Passes: a block of 64 examples forward through all layers, and its gradients backward.

The plan of a network is an int64 table with a row for each layer; parameters of all layers are one
flat vector, first the surviving weights of each unit in turn, then the biases.
"""

import numpy as np

from ltx.backends.sparse.network import TANH
from ltx.backends.sparse.rows import (
    TILE,
    WIDTH,
    compiled,
    leaky_gradient,
    products,
    scatter,
    transposed_tile,
    weighted_sum,
)

# The columns of a plan: sizes; the layer's first pointer, first bias (-1 without biases) and kind
# of activation; and the rows of `work` where its inputs, outputs and the gradients of both begin.
INPUTS, UNITS, POINTER, BIAS, ACTIVATION, X, Y, DX, DY = range(9)

F32 = np.float32


@compiled
def gather_images(images, rows, mean, inverse_std, work):  # type: ignore[no-untyped-def]
    """The normalised examples at `rows` as the first rows of `work`, by feature."""
    count, size = rows.shape[0], images.shape[1]
    whole = size // TILE * TILE
    for block in range(0, WIDTH, TILE):
        for feature in range(0, whole, TILE):
            transposed_tile(images, rows, block, count, feature, mean, inverse_std, work)
    for feature in range(whole, size):
        for place in range(WIDTH):
            value = F32(images[rows[min(place, count - 1)], feature])
            work[feature, place] = (value - mean[feature]) * inverse_std[feature]


@compiled
def gather_numbers(numbers, rows, work):  # type: ignore[no-untyped-def]
    """The examples at `rows` as the first rows of `work`, by feature."""
    count = rows.shape[0]
    for place in range(WIDTH):
        row = rows[min(place, count - 1)]
        for feature in range(numbers.shape[1]):
            work[feature, place] = numbers[row, feature]


@compiled
def forward(plan, slopes, pointers, index, values, work):  # type: ignore[no-untyped-def]
    """Compute the outputs of all layers from the first layer's inputs in `work`."""
    for n in range(plan.shape[0]):
        layer = plan[n]
        for unit in range(layer[UNITS]):
            start, stop = pointers[layer[POINTER] + unit], pointers[layer[POINTER] + unit + 1]
            bias = values[layer[BIAS] + unit] if layer[BIAS] >= 0 else F32(0)
            out = layer[Y] + unit
            weighted_sum(index, values, start, stop, bias, slopes[n], work, layer[X], out)
            if layer[ACTIVATION] == TANH:
                _tanh(work[out])


@compiled
def backward(plan, slopes, pointers, index, values, gradients, work):  # type: ignore[no-untyped-def]
    """Add to `gradients` those of the block, given the gradients of the last layer's outputs."""
    for n in range(plan.shape[0] - 1, -1, -1):
        layer = plan[n]
        if n:  # nothing reads the gradient of the network's inputs
            work[layer[DX] : layer[DX] + layer[INPUTS]] = F32(0)
        for unit in range(layer[UNITS]):
            start, stop = pointers[layer[POINTER] + unit], pointers[layer[POINTER] + unit + 1]
            delta = layer[DY] + unit
            if layer[ACTIVATION] == TANH:
                _through_tanh(work[layer[Y] + unit], work[delta])
            total = leaky_gradient(slopes[n], work, layer[Y] + unit, delta)
            if layer[BIAS] >= 0:
                gradients[layer[BIAS] + unit] += total
            products(index, gradients, start, stop, work, delta, layer[X])
            if n:
                scatter(index, values, start, stop, work, delta, layer[DX])


@compiled
def _through_tanh(outputs, delta):  # type: ignore[no-untyped-def]
    """Make the gradient of a unit's outputs that of its sums."""
    for place in range(WIDTH):
        delta[place] *= F32(1) - outputs[place] * outputs[place]


@compiled
def _tanh(row):  # type: ignore[no-untyped-def]
    """The rational approximation that XLA and Eigen use, to the last digits of a float32.

    The function of the C library is not computed on vectors, and takes longer than the layer.
    """
    for place in range(WIDTH):
        x = row[place]
        y = max(min(x, F32(7.90531110763549805)), F32(-7.90531110763549805))
        s = y * y
        p = F32(-2.76076847742355e-16)
        p = s * p + F32(2.00018790482477e-13)
        p = s * p + F32(-8.60467152213735e-11)
        p = s * p + F32(5.12229709037114e-08)
        p = s * p + F32(1.48572235717979e-05)
        p = s * p + F32(6.37261928875436e-04)
        p = s * p + F32(4.89352455891786e-03)
        q = s * F32(1.19825839466702e-06) + F32(1.18534705686654e-04)
        q = s * q + F32(2.26843463243900e-03)
        q = s * q + F32(4.89352518554385e-03)
        result = y * p / q
        small = abs(x) < F32(0.0004)
        row[place] = x if small or np.isnan(x) else result
