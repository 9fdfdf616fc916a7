"""Image cache: the images of a data set in one shape, as .npy files next to TFDS's folder."""

import contextlib
import errno
import functools
import hashlib
import json
import math
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import filelock
import numpy as np

from ltx.core import environment
from ltx.core.errors import CorruptError, StoreFullError, UsageError
from ltx.data.dataset import Image, checked_image
from ltx.data.images import RawDataset, histogram
from ltx.data.split import Batches, Split, batch_size, digest, frozen

CACHE = "ltx-cache"
CACHE_FORMAT = 1
RESIDENT_BYTES = 256 * 2**20  # larger sets are memory-mapped

Parts = dict[str, tuple[int, Batches]]


def read(folder: Path, stamp: str) -> RawDataset | None:
    """The cache in `folder`; None unless it is intact and from the source with this `stamp`."""
    try:
        meta = json.loads((folder / "meta.json").read_text())
        if (meta["format"], meta["source"]) != (CACHE_FORMAT, stamp):
            return None
        images = sum(meta[part]["examples"] for part in ("train", "test"))
        mapped = images * math.prod(meta["image"]) >= RESIDENT_BYTES
        train, test = (_read_split(folder, part, meta, mapped) for part in ("train", "test"))
        return RawDataset(
            classes=meta["classes"],
            image=checked_image(meta["image"]),
            train=train,
            test=test,
            histogram=np.asarray(meta["train"]["histogram"]),
            digests=tuple(
                meta[part][what] for part in ("train", "test") for what in ("images", "labels")
            ),
        )
    except (OSError, ValueError, KeyError, TypeError, EOFError):
        return None


def _read_split(folder: Path, part: str, meta: dict[str, Any], mapped: bool) -> Split:
    """One split; ValueError if it is not as it was written.

    Memory-mapped images are checked by size only: a digest would read all of them.
    """
    expected = meta[part]
    images = np.load(folder / f"{part}_images.npy", mmap_mode="r" if mapped else None)
    labels = np.load(folder / f"{part}_labels.npy")
    if images.shape != (expected["examples"], *meta["image"]) or images.dtype != np.uint8:
        raise ValueError("wrong shape")
    if labels.shape != (expected["examples"],) or digest(labels) != expected["labels"]:
        raise ValueError("wrong labels")
    if not mapped and digest(images) != expected["images"]:
        raise ValueError("wrong images")
    return Split(frozen(images), frozen(labels), frozen(np.arange(len(labels))))


def write(target: Path, parts: Parts, meta: dict[str, Any]) -> None:
    """Write a cache in a temporary folder and rename it to `target`; call it within `locked`.

    `meta` holds the `source` that `read` compares, `image` and `classes`. UsageError, before the
    first example is read, where the disk has no room for all of them.
    """
    building = target.with_name(target.name + ".building")
    shutil.rmtree(building, ignore_errors=True)
    target.parent.mkdir(parents=True, exist_ok=True)
    _require_room(target.parent, sum(count for count, _ in parts.values()), meta["image"])
    building.mkdir()
    try:
        meta = {"format": CACHE_FORMAT, **meta}
        for part, (examples, batches) in parts.items():
            meta[part] = _write_split(building, part, examples, batches, meta)
        with _synced(building / "meta.json") as file:
            file.write(json.dumps(meta).encode())
        shutil.rmtree(target, ignore_errors=True)
        building.replace(target)
    finally:
        shutil.rmtree(building, ignore_errors=True)


def _require_room(folder: Path, examples: int, image: Image) -> None:
    """Raise UsageError unless the disk has room for that many images, a byte for each value."""
    needed, free = examples * math.prod(image), shutil.disk_usage(folder).free
    if needed > free:
        raise UsageError(
            f"image {tuple(image)}: {examples:,} images of this shape take"
            f" {needed / 2**30:,.1f} GiB in {folder}, which has {free / 2**30:,.1f} GiB free; set a"
            " smaller Task.image, or TFDS_DATA_DIR to a folder on a larger disk"
        )


def _write_split(
    folder: Path, part: str, examples: int, batches: Batches, meta: dict[str, Any]
) -> dict[str, Any]:
    shape = (examples, *meta["image"])
    sha, label_parts = hashlib.sha256(), [np.zeros(0, np.int32)]
    counts = np.zeros((shape[-1], 256), np.int64)
    # Written in order, not through a memory map: a full disk is then an error, not a signal.
    with _synced(folder / f"{part}_images.npy") as file:
        header = {"descr": "|u1", "fortran_order": False, "shape": shape}
        np.lib.format.write_array_header_1_0(file, header)
        for images, labels in batches:
            file.write(images.tobytes())
            sha.update(images.tobytes())
            counts += histogram(images)
            label_parts.append(labels.astype(np.int32))
    labels = np.concatenate(label_parts)
    if len(labels) != examples:
        raise CorruptError(
            f"{folder.parent}: TFDS promised {examples} {part} examples, not {len(labels)}"
        )
    if labels.size and not 0 <= labels.min() <= labels.max() < meta["classes"]:
        raise UsageError(f"{folder.parent}: {part} labels are not all in 0..{meta['classes'] - 1}")
    with _synced(folder / f"{part}_labels.npy") as file:
        np.save(file, labels)
    return {
        "examples": examples,
        "images": sha.hexdigest(),
        "labels": digest(labels),
        "histogram": counts.tolist(),
    }


@contextlib.contextmanager
def _synced(path: Path) -> Iterator[Any]:
    with path.open("wb") as file:
        yield file
        file.flush()
        os.fsync(file.fileno())


@contextlib.contextmanager
def locked(root: Path, base: str) -> Iterator[None]:
    """Hold the lock of one data set, so that a single process writes to it."""
    try:
        (root / CACHE).mkdir(parents=True, exist_ok=True)
        with filelock.FileLock(root / CACHE / f"{base}.lock"):
            yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise StoreFullError(f"data set {base!r}: no space left under {root}") from error
        if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOTDIR, errno.EEXIST):
            raise UsageError(
                f"data set {base!r}: {root} cannot be written ({error.strerror}); set "
                "TFDS_DATA_DIR to a folder of your own"
            ) from error
        raise


def converted(whole: RawDataset, image: Image, fit: str) -> Parts:
    """The training and test images converted to another shape."""
    splits = {"train": whole.train, "test": whole.test}
    return {part: (len(split), _converted(split, image, fit)) for part, split in splits.items()}


def _converted(split: Split, image: Image, fit: str) -> Batches:
    tf = tensorflow()
    for images, labels in split.blocks(batch_size(split.example_bytes, math.prod(image))):
        with tf.device("/CPU:0"):  # a GPU may round differently, and the bytes are hashed
            yield convert(images, image, fit).numpy(), labels


def convert(images: Any, image: Image, fit: str) -> Any:
    """Convert images, uint8 [..., h, w, c], to uint8 [..., *image]."""
    tf = tensorflow()
    height, width, channels = image
    source_channels = images.shape[-1]
    images = tf.cast(images, tf.float32)
    if (source_channels, channels) == (3, 1):
        images = tf.image.rgb_to_grayscale(images)
    if fit == "pad":
        images = tf.image.resize_with_crop_or_pad(images, height, width)
    else:
        images = tf.image.resize(images, (height, width), antialias=True)
    if (source_channels, channels) == (1, 3):
        images = tf.image.grayscale_to_rgb(images)
    return tf.cast(tf.clip_by_value(tf.round(images), 0.0, 255.0), tf.uint8)


@functools.cache
def tensorflow() -> Any:
    """Import TensorFlow without its start-up messages."""
    environment.prepare_tensorflow()
    with environment.hush_stderr():
        import tensorflow as tf

        tf.config.list_physical_devices()  # the first call prints messages of the device drivers
    return tf
