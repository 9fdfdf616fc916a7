"""Prunable: what a mask covers in a model, its weights and the channels that run through them."""

import dataclasses
import math
from collections.abc import Mapping
from typing import Protocol

import numpy as np


@dataclasses.dataclass(frozen=True)
class Weight:
    """One prunable weight tensor of a task's model.

    `kind` is "conv" (any convolution) or "dense" (everything else). `uses` counts the
    multiplications that one entry takes part in for one example: 1 in a dense layer, the number
    of output positions in a convolution. `is_output` marks the layer that makes the logits. `made`
    are the axes along which its output units lie: neurons, or feature maps.
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
    """Where channels lie in an array: along `axis`, which is read as [outer, total, inner].

    The channels are `size` of the `total`, from `start`. A flattened picture of 4x4 positions
    gives the rows of the dense layer behind it outer 16 and inner 1; behind a concatenation the
    channels start where those before them end.
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
        mine = self.places(np.ones(self.size, np.bool_))
        front = np.moveaxis(array, self.axis, 0)
        front[mine] = whole.reshape(-1)[mine].reshape(-1, *[1] * (array.ndim - 1))

    def split(self, array: np.ndarray) -> np.ndarray:
        """The array as [size, everything else], a row for each channel."""
        front = np.moveaxis(array, self.axis, 0)
        parts = front.reshape(self.outer, self.total, self.inner, -1)
        mine = parts[:, self.start : self.start + self.size]
        return np.moveaxis(mine, 1, 0).reshape(self.size, -1)


@dataclasses.dataclass(frozen=True)
class Channels:
    """A set of `size` channels that one choice keeps or drops in every layer it runs through.

    `writers` and `readers` say where they lie in the prunable weights that make and that take
    them; a residual sum has several of both, and depthwise kernels are writers of what they read.
    `scales` are the BatchNorm scales on the way, `followers` the other variables with an entry for
    each channel: biases, and BatchNorm's shifts and statistics.
    """

    size: int
    writers: tuple[Axis, ...]
    readers: tuple[Axis, ...]
    scales: tuple[str, ...] = ()
    followers: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """The weight that makes them, the first of several."""
        return self.writers[0].name

    def alive(self, mask: Mapping[str, np.ndarray]) -> np.ndarray:
        """Which channels are made from anything and taken by anything, bool [size]."""
        made = np.any([a.split(mask[a.name]).any(axis=1) for a in self.writers], axis=0)
        taken = np.any([a.split(mask[a.name]).any(axis=1) for a in self.readers], axis=0)
        return made & taken

    def mean(self, values: Mapping[str, np.ndarray], mask: Mapping[str, np.ndarray]) -> np.ndarray:
        """The mean value over the surviving weights that make each channel, 0 where none does."""
        total, count = np.zeros(self.size), np.zeros(self.size)
        for axis in self.writers:
            keep = axis.split(mask[axis.name])
            total += np.where(keep, axis.split(values[axis.name]), 0).sum(axis=1, dtype=np.float64)
            count += keep.sum(axis=1)
        return total / np.maximum(count, 1)

    def drop(self, mask: Mapping[str, np.ndarray], dead: np.ndarray) -> dict[str, np.ndarray]:
        """The masks without every weight that makes or takes a dead channel."""
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
