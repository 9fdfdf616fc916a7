"""Data set: labelled images as arrays, split into training, validation and test."""

import dataclasses
import hashlib
import json
import math
import numbers
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from ltx.core import seal
from ltx.core.errors import UsageError, unknown
from ltx.core.task import Task
from ltx.data import sampling

BATCH_BYTES = 8 * 2**20
VALIDATION_STREAM = zlib.crc32(b"validation")

FITS = ("resize", "pad")

Image = tuple[int, int, int]
Batches = Iterator[tuple[np.ndarray, np.ndarray]]


@dataclass(frozen=True, eq=False)
class Split:
    """Labelled images: the `rows` of a larger array, copied only on access.

    `source` is uint8 [m, height, width, channels], in memory or memory-mapped; `source_labels` is
    int32 [m]; `rows` is int64 [n], ascending. If `shuffle` is a seed, the pixels of each image are
    permuted by a permutation of its own.
    """

    source: np.ndarray
    source_labels: np.ndarray
    rows: np.ndarray
    shuffle: int | None = None

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def nbytes(self) -> int:
        """The size of `images` in bytes."""
        return len(self.rows) * math.prod(self.source.shape[1:])

    @property
    def images(self) -> np.ndarray:
        """All images, read-only uint8 [n, height, width, channels]; a copy if n < m or shuffled."""
        if self.shuffle is None:
            return self._select(self.source)
        result = np.empty((len(self), *self.source.shape[1:]), self.source.dtype)
        size, start = batch_size(self.source.shape[1:]), 0
        for images, _ in self.blocks(size):  # permutations take more memory than images
            result[start : start + len(images)] = images
            start += len(images)
        return frozen(result)

    @property
    def labels(self) -> np.ndarray:
        """All labels, read-only int32 [n]."""
        return self._select(self.source_labels)

    def take(self, indices: np.ndarray | slice) -> tuple[np.ndarray, np.ndarray]:
        """The images and labels at these positions of the split."""
        rows = self.rows[indices]
        images = np.asarray(self.source[rows])
        if self.shuffle is not None:
            images = sampling.shuffled(images, rows, self.shuffle)
        return images, self.source_labels[rows]

    def blocks(self, size: int) -> Batches:
        """The images and labels in order, in blocks of `size`."""
        for start in range(0, len(self), size):
            yield self.take(slice(start, start + size))

    def _select(self, array: np.ndarray) -> np.ndarray:
        if len(self.rows) == len(array):
            return array
        return frozen(np.asarray(array[self.rows]))


@dataclass(frozen=True, eq=False)
class Dataset:
    """An image-classification data set with a validation split.

    `mean` and `std` are float32 [channels] over all training images that are not held out, in raw
    0..255 units; the std of a constant channel is 1. A subset has the mean and std of the whole,
    so that tickets found on it see the same inputs there. `fingerprint` is a hash of images,
    labels and splits: data sets with equal fingerprints give equal training. `nbytes` is the size
    of the images of all splits, the test split included.
    """

    name: str
    classes: int
    image: Image
    train: Split
    validation: Split
    mean: np.ndarray
    std: np.ndarray
    fingerprint: str
    nbytes: int
    held_out: Split | None = dataclasses.field(repr=False)

    @property
    def test(self) -> Split:
        """The test split; UsageError while a finder searches, and for a copy without one."""
        seal.require_open(f"test split of {self.name!r}")
        if self.held_out is None:
            raise UsageError(
                f"test split of {self.name!r}: this copy has none; load the data set again"
            )
        return self.held_out

    def without_test(self) -> "Dataset":
        """The same data set without its test split."""
        return dataclasses.replace(self, held_out=None)


@dataclass(frozen=True, eq=False)
class RawDataset:
    """A data set before its training examples are split.

    `histogram` is int64 [channels, 256], the counts of pixel values in the images of `train`;
    `digests` are those of the train images, train labels, test images and test labels.
    """

    classes: int
    image: Image
    train: Split
    test: Split
    histogram: np.ndarray
    digests: tuple[str, ...]


@dataclass(frozen=True)
class DataSpec:
    """Which data set, in which image shape, and how its examples are split.

    The fields have the names and meanings of those of a Task. Raises UsageError for an invalid
    image shape, fit or seed.
    """

    data: str
    image: Image | None
    fit: str
    validation: int | float
    split_seed: int
    subset: int | float
    corrupt: str
    classes: tuple[int, ...]

    def __post_init__(self) -> None:
        if self.image is not None:
            object.__setattr__(self, "image", checked_image(self.image))
        if self.fit not in FITS:
            raise unknown("fit", self.fit, FITS)
        seed = self.split_seed
        if isinstance(seed, bool) or not isinstance(seed, numbers.Integral):
            raise UsageError(f"split_seed: expected an integer, got {seed!r}")
        if int(seed) < 0:
            raise UsageError(f"split_seed: expected 0 or more, got {seed}")
        object.__setattr__(self, "split_seed", int(seed))

    @classmethod
    def of(cls, task: Task) -> "DataSpec":
        """The data of a task."""
        return cls(**{field.name: getattr(task, field.name) for field in dataclasses.fields(cls)})


def make_splits(spec: DataSpec, raw: RawDataset) -> Dataset:
    """Split the training examples into training and validation.

    In this order: only `spec.classes` are kept, `spec.validation` of the examples are held out by
    `spec.split_seed`, `spec.subset` of the rest is trained on, and both parts are corrupted. The
    test split is never corrupted.
    """
    if spec.classes:
        raw = _of_classes(spec, raw)
    train = raw.train
    count = _held_out(spec, len(train))
    order = np.random.default_rng([spec.split_seed, VALIDATION_STREAM]).permutation(len(train))
    held, kept = (frozen(np.sort(train.rows[part])) for part in (order[:count], order[count:]))
    held_out = Split(train.source, train.source_labels, held)
    blocks = held_out.blocks(batch_size(train.source.shape[1:]))
    mean, std = _moments(raw.histogram - sum(histogram(images) for images, _ in blocks))
    seen = frozen(kept[sampling.subset(train.source_labels[kept], spec.subset, spec.split_seed)])
    labels, shuffle = train.source_labels, None
    if spec.corrupt == "random_labels":
        labels = labels.copy()
        for part, rows in (("train", seen), ("validation", held)):
            labels[rows] = sampling.permuted(labels[rows], spec.split_seed, part)
        frozen(labels)
    elif spec.corrupt == "shuffled_pixels":
        shuffle = spec.split_seed
    identity = [raw.image, raw.classes, raw.digests, digest(held)]
    # Defaults add nothing, so that a new option changes no existing fingerprint.
    identity += [["classes", *spec.classes]] if spec.classes else []
    identity += [["part", digest(seen)]] if len(seen) < len(kept) else []
    identity += [["corrupt", spec.corrupt, spec.split_seed]] if spec.corrupt != "none" else []
    return Dataset(
        name=spec.data,
        classes=raw.classes,
        image=raw.image,
        train=Split(train.source, labels, seen, shuffle),
        validation=Split(train.source, labels, held, shuffle),
        mean=mean,
        std=std,
        fingerprint=hashlib.sha256(json.dumps(identity).encode()).hexdigest()[:16],
        nbytes=(len(seen) + len(held) + len(raw.test)) * math.prod(raw.image),
        held_out=raw.test,
    )


def test_split(spec: DataSpec, raw: RawDataset) -> Split:
    """The test split alone: the examples of `spec.classes`, never corrupted."""
    return _split_of_classes(raw.test, spec) if spec.classes else raw.test


def _split_of_classes(split: Split, spec: DataSpec) -> Split:
    """The examples of `spec.classes`, numbered in that order; no image is copied."""
    labels = sampling.renumbered(split.source_labels, spec.classes)
    rows = split.rows[labels[split.rows] >= 0]
    return Split(split.source, frozen(labels), frozen(rows))


def _of_classes(spec: DataSpec, raw: RawDataset) -> RawDataset:
    """The examples of `spec.classes`, numbered in that order; no image is copied."""
    classes = spec.classes
    sampling.check_classes(f"Task.classes of {spec.data!r}", classes, raw.classes)
    train, test = (_split_of_classes(split, spec) for split in (raw.train, raw.test))
    counts = np.zeros_like(raw.histogram)
    for images, _ in train.blocks(batch_size(train.source.shape[1:])):
        counts += histogram(images)
    return dataclasses.replace(raw, classes=len(classes), train=train, test=test, histogram=counts)


def _held_out(spec: DataSpec, examples: int) -> int:
    """How many of the training examples are held out for validation."""
    validation = spec.validation
    if isinstance(validation, bool) or not isinstance(validation, numbers.Real):
        raise UsageError(f"validation: expected a number or a fraction, got {validation!r}")
    whole = isinstance(validation, numbers.Integral)
    if not whole and not 0 < validation < 1:
        raise UsageError(f"validation: expected a fraction in (0, 1), got {validation!r}")
    count = int(validation) if whole else round(float(validation) * examples)
    if not 1 <= count < examples:
        raise UsageError(
            f"validation={validation!r} holds out {count} of the {examples} training examples of "
            f"{spec.data!r}: expected 1 to {examples - 1}"
        )
    return count


def _moments(counts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean and standard deviation of each channel, float32; 1 in place of a deviation of 0."""
    values = np.arange(256)
    total = counts.sum(axis=1, keepdims=True)
    mean = counts @ values[:, None] / total
    std = np.sqrt((counts * (values - mean) ** 2).sum(axis=1, keepdims=True) / total)
    mean, std = mean[:, 0].astype(np.float32), std[:, 0].astype(np.float32)
    return frozen(mean), frozen(np.where(std == 0, np.float32(1), std))


def histogram(images: np.ndarray) -> np.ndarray:
    """How often each channel has each value: int64 [channels, 256]."""
    channels = images.shape[-1]
    return np.stack([np.bincount(images[..., c].ravel(), minlength=256) for c in range(channels)])


def batch_size(*shapes: tuple[int, ...]) -> int:
    """How many images of the largest of these shapes are processed at once."""
    return max(1, BATCH_BYTES // max(math.prod(shape) for shape in shapes))


def checked_image(image: Any) -> Image:
    """The shape as three ints; UsageError if it is not (height, width, channels)."""
    valid = isinstance(image, (tuple, list)) and len(image) == 3
    if not valid or not all(isinstance(n, numbers.Integral) and int(n) > 0 for n in image):
        raise UsageError(f"image: expected (height, width, channels), got {image!r}")
    height, width, channels = (int(n) for n in image)
    return height, width, channels


def digest(array: np.ndarray) -> str:
    """The SHA-256 of the values in C order."""
    return hashlib.sha256(np.ascontiguousarray(array).data).hexdigest()


def frozen(array: np.ndarray) -> np.ndarray:
    """The array itself, made read-only."""
    array.setflags(write=False)
    return array
