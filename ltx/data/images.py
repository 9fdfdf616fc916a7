"""Image data sets: raw images as arrays, split, and the moments that normalise them."""

import dataclasses
import hashlib
import json
import zlib
from dataclasses import dataclass

import numpy as np

from ltx.core.objectives.objective import Targets
from ltx.data import sampling
from ltx.data.dataset import Dataset, DataSpec, Image, InputSpec, held_out_count
from ltx.data.split import Split, batch_size, digest, frozen

VALIDATION_STREAM = zlib.crc32(b"validation")


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


def make_splits(spec: DataSpec, raw: RawDataset) -> Dataset:
    """Split the training examples into training and validation.

    In this order: only `spec.classes` are kept, `spec.validation` of the examples are held out by
    `spec.split_seed`, `spec.subset` of the rest is trained on, and both parts are corrupted. The
    test split is never corrupted.
    """
    if spec.classes:
        raw = _of_classes(spec, raw)
    train = raw.train
    count = held_out_count(spec, len(train))
    order = np.random.default_rng([spec.split_seed, VALIDATION_STREAM]).permutation(len(train))
    held, kept = (frozen(np.sort(train.rows[part])) for part in (order[:count], order[count:]))
    held_out = Split(train.source, train.source_targets, held)
    blocks = held_out.blocks(batch_size(train.example_bytes))
    mean, std = moments(raw.histogram - sum(histogram(images) for images, _ in blocks))
    seen = frozen(kept[sampling.subset(train.source_targets[kept], spec.subset, spec.split_seed)])
    labels, shuffle = train.source_targets, None
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
        inputs=InputSpec(raw.image),
        targets=Targets(classes=raw.classes),
        train=Split(train.source, labels, seen, shuffle),
        validation=Split(train.source, labels, held, shuffle),
        mean=mean,
        std=std,
        fingerprint=hashlib.sha256(json.dumps(identity).encode()).hexdigest()[:16],
        nbytes=(len(seen) + len(held) + len(raw.test)) * train.example_bytes,
        held_out=raw.test,
    )


def test_split(spec: DataSpec, raw: RawDataset) -> Split:
    """The test split alone: the examples of `spec.classes`, never corrupted."""
    return _split_of_classes(raw.test, spec) if spec.classes else raw.test


def _split_of_classes(split: Split, spec: DataSpec) -> Split:
    """The examples of `spec.classes`, numbered in that order; no image is copied."""
    labels = sampling.renumbered(split.source_targets, spec.classes)
    rows = split.rows[labels[split.rows] >= 0]
    return Split(split.source, frozen(labels), frozen(rows))


def _of_classes(spec: DataSpec, raw: RawDataset) -> RawDataset:
    """The examples of `spec.classes`, numbered in that order; no image is copied."""
    classes = spec.classes
    sampling.check_classes(f"Task.classes of {spec.data!r}", classes, raw.classes)
    train, test = (_split_of_classes(split, spec) for split in (raw.train, raw.test))
    counts = np.zeros_like(raw.histogram)
    for images, _ in train.blocks(batch_size(train.example_bytes)):
        counts += histogram(images)
    return dataclasses.replace(raw, classes=len(classes), train=train, test=test, histogram=counts)


def moments(counts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
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
