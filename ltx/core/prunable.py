"""Prunable: the weights of a model that a mask covers, and its channels."""

import dataclasses
import math
from collections.abc import Mapping
from typing import Protocol

import numpy as np


@dataclasses.dataclass(frozen=True)
class Weight:
    """One prunable weight tensor of a task's model.

    `kind` is "conv" (any convolution), "recurrent" (kernels of the cells of recurrent layers),
    "attention" (projections to and from attention), "embedding" or "dense" (everything else).
    `uses` counts the multiplications that one entry takes part in for one example: 1 in a dense
    layer, the number of output positions in a convolution, of steps in a recurrent layer, 0 in an
    embedding, whose rows are looked up; summed over all calls of the layer. `is_output` marks the
    layer that makes the logits. `made` are the axes of its output units: neurons, or feature maps.
    """

    name: str
    shape: tuple[int, ...]
    kind: str = "dense"
    uses: int = 1
    is_output: bool = False
    made: tuple[int, ...] = (-1,)

    @property
    def size(self) -> int:
        return math.prod(self.shape)


@dataclasses.dataclass(frozen=True)
class Axis:
    """Where channels lie in an array: along `axis`, reshaped to [outer, total, inner].

    The channels are `size` of the `total`, from `start`. Behind a flattened 4x4 feature map the
    rows of a dense layer have outer 16 and inner 1; behind a concatenation the channels start
    where those before them end.
    """

    name: str
    axis: int
    size: int
    start: int = 0
    total: int = 0
    outer: int = 1
    inner: int = 1

    def __post_init__(self) -> None:
        object.__setattr__(self, "total", self.total or self.size)

    def places(self, chosen: np.ndarray) -> np.ndarray:
        """Which entries of the axis belong to the chosen channels, bool for bool [size]."""
        whole = np.zeros((self.outer, self.total, self.inner), np.bool_)
        whole[:, self.start : self.start + self.size] = chosen[:, None]
        return whole.reshape(-1)

    def fill(self, array: np.ndarray, values: np.ndarray) -> None:
        """Write each channel's value, [size], into all of its entries of the array."""
        whole = np.zeros((self.outer, self.total, self.inner), values.dtype)
        whole[:, self.start : self.start + self.size] = values[:, None]
        own = self.places(np.ones(self.size, np.bool_))
        front = np.moveaxis(array, self.axis, 0)
        front[own] = whole.reshape(-1)[own].reshape(-1, *[1] * (array.ndim - 1))

    def split(self, array: np.ndarray) -> np.ndarray:
        """The array as [size, everything else], a row for each channel."""
        front = np.moveaxis(array, self.axis, 0)
        parts = front.reshape(self.outer, self.total, self.inner, -1)
        own = parts[:, self.start : self.start + self.size]
        return np.moveaxis(own, 1, 0).reshape(self.size, -1)


@dataclasses.dataclass(frozen=True)
class Channels:
    """A set of `size` channels that are kept or dropped together in every layer that has them.

    `writers` and `readers` say where they lie in the prunable weights that compute them and that
    take them as inputs; a residual sum has several of both, and depthwise kernels are writers of
    what they read. `scales` are the BatchNorm scales applied to them, `followers` the other
    variables with an entry for each channel: biases, and BatchNorm's shifts and statistics.
    """

    size: int
    writers: tuple[Axis, ...]
    readers: tuple[Axis, ...]
    scales: tuple[str, ...] = ()
    followers: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """The first of the weights that compute them."""
        return self.writers[0].name

    def alive(self, mask: Mapping[str, np.ndarray]) -> np.ndarray:
        """Which channels have a surviving weight both in and out, bool [size]."""
        made = np.any([a.split(mask[a.name]).any(axis=1) for a in self.writers], axis=0)
        taken = np.any([a.split(mask[a.name]).any(axis=1) for a in self.readers], axis=0)
        return made & taken

    def mean(self, values: Mapping[str, np.ndarray], mask: Mapping[str, np.ndarray]) -> np.ndarray:
        """The mean over the surviving weights that compute each channel, 0 where there are none."""
        total, count = np.zeros(self.size), np.zeros(self.size)
        for axis in self.writers:
            keep = axis.split(mask[axis.name])
            total += np.where(keep, axis.split(values[axis.name]), 0).sum(axis=1, dtype=np.float64)
            count += keep.sum(axis=1)
        return total / np.maximum(count, 1)

    def drop(self, mask: Mapping[str, np.ndarray], dead: np.ndarray) -> dict[str, np.ndarray]:
        """The masks without the weights that compute or read a dead channel."""
        result = dict(mask)
        for axis in (*self.writers, *self.readers):
            array = np.moveaxis(result[axis.name].copy(), axis.axis, 0)
            array[axis.places(dead)] = False
            result[axis.name] = np.moveaxis(array, 0, axis.axis)
        return result


class Prunable(Protocol):
    """The part of a lab that pruning needs: its prunable weights and their channels."""

    @property
    def prunable(self) -> tuple[Weight, ...]: ...

    @property
    def channels(self) -> tuple[Channels, ...]: ...
