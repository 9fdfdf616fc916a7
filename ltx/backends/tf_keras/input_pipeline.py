"""Input pipeline: batches resident on the device or streamed, split over replicas, augmented."""

import functools
from typing import Any

import numpy as np
import tensorflow as tf

from ltx.core import clock
from ltx.data.dataset import Dataset, Split


def gather(inputs: Any, rows: tf.Tensor) -> Any:
    """These rows of one tensor, or of several by name."""
    return tf.nest.map_structure(lambda tensor: tf.gather(tensor, rows), inputs)


def share(batch: tf.Tensor, replicas: int, number: tf.Tensor) -> tf.Tensor:
    """The part of a batch that replica `number` of `replicas` takes."""
    return tf.reshape(batch, [replicas, batch.shape[0] // replicas, *batch.shape[1:]])[number]


def augment(images: tf.Tensor, how: str, seed: tf.Tensor) -> tf.Tensor:
    """Pad by 4, crop and mirror each image at random by `seed`; all shapes are static."""
    if how == "none":
        return images
    count, height, width, _ = images.shape
    draws = tf.random.stateless_uniform([count, 2], seed, 0, 9, tf.int32, alg="philox")
    padded = tf.pad(images, [[0, 0], [4, 4], [4, 4], [0, 0]])
    rows = draws[:, :1] + tf.range(height)
    columns = draws[:, 1:] + tf.range(width)
    cropped = tf.gather(padded, rows, axis=1, batch_dims=1)
    cropped = tf.gather(cropped, columns, axis=2, batch_dims=1)
    flip = tf.random.stateless_uniform([count, 1, 1, 1], seed + 1, alg="philox") < 0.5
    return tf.where(flip, tf.reverse(cropped, [2]), cropped)


def stream(split: Split, table: np.ndarray) -> tf.data.Dataset:
    """The batches of `table` from host memory or disk, prefetched while the device works.

    `table` is int32 [steps, batch], rows of the split.
    """
    first = split.take(table[0])
    arrays = tf.nest.flatten(first)
    dtypes = [tf.as_dtype(array.dtype) for array in arrays]

    def read(rows: tf.Tensor) -> Any:
        batch = tf.numpy_function(lambda r: tf.nest.flatten(split.take(r)), [rows], dtypes)
        pairs = zip(batch, arrays, strict=True)
        flat = [tf.ensure_shape(tensor, array.shape) for tensor, array in pairs]
        return tf.nest.pack_sequence_as(first, flat)

    rows = tf.data.Dataset.from_tensor_slices(table)
    return rows.map(read, num_parallel_calls=2, deterministic=True).prefetch(4)


class HeldOut:
    """A split that no program holds; if `resident`, a tensor on the device from its first use."""

    def __init__(self, split: Split, resident: bool) -> None:
        self.split, self._resident = split, resident

    @functools.cached_property
    def tensors(self) -> tuple[Any, tf.Tensor] | None:
        """Inputs and targets, as ResidentData has them; None for a split that is streamed."""
        return on_device(self.split) if self._resident else None


def on_device(split: Split) -> tuple[Any, tf.Tensor]:
    """The inputs [n, ...], one tensor or several by name, and targets [n, ...] of a split."""
    with clock.paused():
        return tf.nest.map_structure(tf.constant, split.inputs), tf.constant(split.targets)


class ResidentData:
    """The splits of a data set as tensors, each copied to the device at its first use."""

    def __init__(self, data: Dataset) -> None:
        self._data = data
        self.held: dict[str, tuple[Any, tf.Tensor]] = {}

    def __call__(self, split: str) -> tuple[Any, tf.Tensor]:
        """The inputs and targets of a split; see `on_device`."""
        if split not in self.held:
            self.held[split] = on_device(getattr(self._data, split))
        return self.held[split]
