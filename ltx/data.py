"""Data set: labelled images, read once through TFDS and held as plain arrays, cut by a seed."""

import contextlib
import difflib
import errno
import functools
import hashlib
import io
import json
import logging
import math
import numbers
import os
import re
import shutil
import struct
import tempfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import filelock
import numpy as np

from ltx.errors import CorruptError, LtxError, StoreFullError, UsageError, unknown

CACHE = "ltx-cache"
CACHE_FORMAT = 1
RESIDENT_BYTES = 256 * 2**20  # larger sets are mapped, so that they do not eat the memory
BATCH_BYTES = 8 * 2**20
FITS = ("resize", "pad")
DIGITS = "digits"
DIGITS_VERSION = "1.0.0"
VALIDATION_STREAM = zlib.crc32(b"validation")
NAME = re.compile(r"([a-z]\w*)(?:/([\w+-][\w.+-]*))?(?::(\d+\.\d+\.\d+))?")
VERSION = re.compile(r"\d+\.\d+\.\d+")

Image = tuple[int, int, int]
Batches = Iterator[tuple[np.ndarray, np.ndarray]]


@dataclass(frozen=True, eq=False)
class Split:
    """Labelled images: the `rows` of a larger array, copied only when asked for.

    `source` is uint8 [m, height, width, channels], in memory or mapped; `source_labels` is int32
    [m]; `rows` is int64 [n], ascending.
    """

    source: np.ndarray
    source_labels: np.ndarray
    rows: np.ndarray

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def nbytes(self) -> int:
        """What `images` takes in memory."""
        return len(self.rows) * math.prod(self.source.shape[1:])

    @property
    def images(self) -> np.ndarray:
        """All images, read-only uint8 [n, height, width, channels]; a new copy if n < m."""
        return self._whole(self.source)

    @property
    def labels(self) -> np.ndarray:
        """All labels, read-only int32 [n]."""
        return self._whole(self.source_labels)

    def take(self, indices: np.ndarray | slice) -> tuple[np.ndarray, np.ndarray]:
        """The images and labels at these positions of the split."""
        rows = self.rows[indices]
        return np.asarray(self.source[rows]), self.source_labels[rows]

    def _whole(self, array: np.ndarray) -> np.ndarray:
        if len(self.rows) == len(array):
            return array
        return _frozen(np.asarray(array[self.rows]))


@dataclass(frozen=True, eq=False)
class Dataset:
    """An image-classification set of which a part of the training images is held out.

    `mean` and `std` are float32 [channels] over `train` alone, in raw 0..255 units; the std of a
    constant channel is 1. `fingerprint` follows the images, the labels and the cut: two sets that
    share it train alike.
    """

    name: str
    classes: int
    image: Image
    train: Split
    validation: Split
    test: Split
    mean: np.ndarray
    std: np.ndarray
    fingerprint: str


@dataclass(frozen=True, eq=False)
class _Cache:
    """The cached arrays of one set in one shape, and what meta.json says of them."""

    meta: dict[str, Any]
    train: Split
    test: Split


def load(
    name: str,
    *,
    image: Image | None = None,
    fit: str = "resize",
    validation: int | float = 0.1,
    split_seed: int = 0,
    data_dir: str | None = None,
) -> Dataset:
    """The data set `name` of this disk; never touches the network.

    `image` converts every picture to (height, width, channels): "resize" is bilinear with
    antialiasing, "pad" centres in black or crops the centre, grey is repeated to colour, colour
    becomes its ITU-R 601 luma. `validation` is the number (int) or fraction (float) of training
    examples to hold out, drawn uniformly by `split_seed`. A set without labelled test images is
    tested on its own "validation" split.
    """
    root = _root(data_dir)
    image = None if image is None else _checked_image(image)
    if fit not in FITS:
        raise unknown("fit", fit, FITS)
    if isinstance(split_seed, bool) or not isinstance(split_seed, numbers.Integral):
        raise UsageError(f"split_seed: expected an integer, got {split_seed!r}")
    if int(split_seed) < 0:
        raise UsageError(f"split_seed: expected 0 or more, got {split_seed}")
    folder = _prepared(name, root)
    if folder is None and _parse(name)[0] == DIGITS:
        prepare(name, data_dir)
        folder = _prepared(name, root)
    if folder is None:
        raise _absent(name, root)
    cache = _cached(name, root, folder, image, fit)
    return _cut(name, cache, _held_out(name, validation, len(cache.train)), int(split_seed))


def prepare(name: str, data_dir: str | None = None) -> str:
    """Downloads and prepares `name` through TFDS, unless it is on the disk; says what it did."""
    root = _root(data_dir)
    if folder := _prepared(name, root):
        return f"{name} {folder.name} is already prepared in {folder}."
    base = _parse(name)[0]
    _require_known(name)
    with _quiet(), _locked(root, base):
        try:
            builder = _tfds().builder(name, data_dir=str(root))
        except (ValueError, AssertionError) as error:
            raise UsageError(f"data set {name!r}: {_one_line(error)}") from error
        _described(name, builder.info.features.to_json())
        # another process may have finished while this one waited for the lock
        if _prepared(name, root) is None:
            _download(name, builder)
    return f"{name} {builder.version} is prepared in {builder.data_dir}."


def import_fashion_mnist(source_dir: str, data_dir: str | None = None) -> str:
    """Prepares fashion_mnist from the four files of `source_dir`, without the network.

    They may be Zalando's own or Debian's (package dataset-fashion-mnist). Debian rewrote the gzip
    headers and kept the compressed bytes; with the original headers TFDS's checksums match, so
    the stock builder prepares them with every check on.
    """
    root = _root(data_dir)
    if folder := _prepared("fashion_mnist", root):
        return f"fashion_mnist {folder.name} is already prepared in {folder}."
    builder = _tfds().builder("fashion_mnist", data_dir=str(root))
    checksums = {info.filename: info.checksum for info in builder.url_infos.values()}
    with tempfile.TemporaryDirectory() as rebuilt:
        for file, checksum in sorted(checksums.items()):
            original = _original_gzip(Path(source_dir) / file)
            # checked here because TFDS would try the network for a file it does not accept
            if hashlib.sha256(original).hexdigest() != checksum:
                raise UsageError(
                    f"{Path(source_dir) / file} is not the {file} of Fashion-MNIST (expected "
                    f"sha256 {checksum} under its original gzip header); take it from Debian's "
                    "package dataset-fashion-mnist or from github.com/zalandoresearch"
                )
            (Path(rebuilt) / file).write_bytes(original)
        config = _tfds().download.DownloadConfig(manual_dir=rebuilt)
        with _quiet(), _locked(root, "fashion_mnist"):
            if _prepared("fashion_mnist", root) is None:
                _download("fashion_mnist", builder, download_config=config)
    return f"fashion_mnist {builder.version} is prepared in {builder.data_dir}."


def available(data_dir: str | None = None) -> list[tuple[str, str]]:
    """Name and status of every data set on this disk, the embedded digits first."""
    root = _root(data_dir)
    prepared = {
        "/".join(info.parent.parent.relative_to(root).parts)
        for depth in ("*/*", "*/*/*")
        for info in root.glob(f"{depth}/dataset_info.json")
    }
    rows = [(DIGITS, f"embedded {DIGITS_VERSION}, 8x8x1, 10 classes")]
    for name in sorted(prepared - {DIGITS}):
        folder = _prepared(name, root) if NAME.fullmatch(name) else None
        if folder is not None:
            rows.append((name, _status(name, root, folder)))
    return rows


def _status(name: str, root: Path, folder: Path) -> str:
    try:
        native, classes = _described(name, json.loads((folder / "features.json").read_text()))
    except (UsageError, OSError, ValueError):
        return f"{folder.name}, not an image-classification set"
    sides = "images of many sizes" if None in native else "x".join(map(str, native))
    cached = ", cached" if (root / CACHE / folder.relative_to(root)).is_dir() else ""
    return f"{folder.name}, {sides}, {classes} classes{cached}"


# --- names and folders


def _root(data_dir: str | None) -> Path:
    chosen = data_dir or os.environ.get("TFDS_DATA_DIR") or "~/tensorflow_datasets"
    return Path(chosen).expanduser().absolute()


def _parse(name: str) -> tuple[str, str | None, str | None]:
    match = NAME.fullmatch(str(name))
    if match is None:
        raise UsageError(f"data set: expected name, name/config or name:1.0.0, got {str(name)!r}")
    base, config, version = match.groups()
    return base, config, version


def _prepared(name: str, root: Path) -> Path | None:
    """The folder TFDS prepared for `name`: the version asked for, else the newest."""
    base, config, version = _parse(name)
    folder = root / base
    default = folder / ".config" / "metadata.json"
    if config is None and default.exists():
        config = json.loads(default.read_text())["default_config_name"]
    folder = folder / config if config else folder
    found = [info.parent for info in folder.glob("*/dataset_info.json")]
    found = [f for f in found if VERSION.fullmatch(f.name) and version in (None, f.name)]
    return max(found, key=lambda f: tuple(map(int, f.name.split("."))), default=None)


def _require_known(name: str) -> None:
    base, config, _ = _parse(name)
    names = _tfds().list_builders(with_community_datasets=False)
    if base not in names:
        raise _unknown("data set", base, names)
    if config is not None:
        configs = list(_tfds().builder_cls(base).builder_configs)
        if config not in configs:
            raise _unknown(f"configuration of data set {base}", config, configs)


def _unknown(kind: str, name: str, known: list[str]) -> UsageError:
    """Like errors.unknown, without the list of everything: TFDS knows some 450 names."""
    close = difflib.get_close_matches(name, known, n=3, cutoff=0.5)
    hint = f": did you mean {' or '.join(close)}?" if close else f", TFDS has {len(known)} others."
    return UsageError(f"unknown {kind} {name!r}{hint} `ltx data list` shows what is on this disk.")


def _absent(name: str, root: Path) -> UsageError:
    _require_known(name)
    remedy = f"run `ltx data prepare {name}`"
    if _parse(name)[0] == "fashion_mnist":
        remedy += " or, without a network, `ltx data import fashion_mnist --from DIR`"
    return UsageError(f"data set {name!r} is not prepared in {root}: {remedy}")


def _described(name: str, features: dict[str, Any]) -> tuple[tuple[int | None, ...], int]:
    """Image shape (None: varies) and number of classes, from TFDS's features as JSON."""
    parts = (features.get("featuresDict") or features.get("content") or {}).get("features", {})
    image = parts.get("image", {}).get("image")
    classes = int(parts.get("label", {}).get("classLabel", {}).get("numClasses", 0))
    if image is None or classes < 2 or image.get("dtype", "uint8") != "uint8":
        kinds = [f"{key} ({part['pythonClassName'].split('.')[-1]})" for key, part in parts.items()]
        raise UsageError(
            f"data set {name!r} is not image classification: expected features image (Image, "
            f"uint8) and label (ClassLabel), got {', '.join(kinds) or 'none'}"
        )
    sides = [int(side) for side in image["shape"]["dimensions"]]
    return tuple(None if side < 0 else side for side in sides), classes


# --- TFDS


@functools.cache
def _tfds() -> Any:
    """TFDS, with the digits registered."""
    os.environ.setdefault("TF_USE_LEGACY_KERAS", "1")
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    import tensorflow_datasets as tfds
    from tensorflow_datasets.core.download import downloader

    downloader.MAX_RETRIES = 4  # TFDS's own 10 are 200 silent seconds where there is no network
    tfds.disable_progress_bar()
    # its threads go on retrying, and saying so, after a failed download has been reported
    logging.getLogger("urllib3").setLevel(logging.ERROR)
    _register_digits(tfds)
    return tfds


def _register_digits(tfds: Any) -> None:
    class Digits(tfds.core.GeneratorBasedBuilder):
        """The 1797 grey 8x8 digits that come with scikit-learn.

        Pixels, 0..16 in the source, are stored times 15: resizing rounds to whole numbers and
        would lose much of so short a range. Sorted by class and then as in the source, every
        fifth example is a test example (360 of them, 1437 for training).

        Reference: https://archive.ics.uci.edu/dataset/80
        """

        VERSION = tfds.core.Version(DIGITS_VERSION)

        def _info(self) -> Any:
            image = tfds.features.Image(shape=(8, 8, 1))
            label = tfds.features.ClassLabel(num_classes=10)
            return tfds.core.DatasetInfo(
                builder=self,
                description="Optical recognition of handwritten digits, test part.",
                homepage="https://archive.ics.uci.edu/dataset/80",
                features=tfds.features.FeaturesDict({"image": image, "label": label}),
                supervised_keys=("image", "label"),
            )

        def _split_generators(self, dl_manager: Any) -> dict[str, Any]:
            del dl_manager
            from sklearn.datasets import load_digits

            images, labels = load_digits().images, load_digits().target
            order = np.argsort(labels, kind="stable")
            test = np.arange(len(order)) % 5 == 0
            images = (images * 15).astype(np.uint8)[..., None]
            return {
                "train": self._generate_examples(images, labels, order[~test]),
                "test": self._generate_examples(images, labels, order[test]),
            }

        def _generate_examples(self, images: Any, labels: Any, rows: Any) -> Iterator[Any]:
            for row in rows:
                yield int(row), {"image": images[row], "label": int(labels[row])}


def _download(name: str, builder: Any, **options: Any) -> None:
    try:
        builder.download_and_prepare(**options)
    except Exception as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise
        raise LtxError(f"data set {name!r} could not be prepared: {_one_line(error)}") from error


def _one_line(error: Exception) -> str:
    text = f"{type(error).__name__}: {error}"
    return " ".join(re.sub(r"\x1b\[\d+m", "", text).split())[:400]


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Keeps what TFDS prints and logs off the terminal."""
    logger = logging.getLogger("absl")
    level = logger.level
    try:
        logger.setLevel(logging.ERROR)
        with contextlib.redirect_stdout(io.StringIO()):
            yield
    finally:
        logger.setLevel(level)


@contextlib.contextmanager
def _locked(root: Path, base: str) -> Iterator[None]:
    """Alone among processes in writing what belongs to one data set."""
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


def _original_gzip(path: Path) -> bytes:
    """The file of `path` under the gzip header that Zalando published it with."""
    try:
        packed = path.read_bytes()
    except OSError as error:
        raise UsageError(
            f"{path} cannot be read ({error.strerror}); expected a folder with the four "
            "Fashion-MNIST files, such as those of Debian's package dataset-fashion-mnist"
        ) from error
    stamp = 1504176606 if path.name.startswith("train-") else 1504176627
    header = struct.pack("<4sIBB", b"\x1f\x8b\x08\x08", stamp, 0, 3) + path.stem.encode() + b"\0"
    named = packed[3:4] == b"\x08"
    return header + packed[packed.find(b"\0", 10) + 1 if named else 10 :]


# --- the cache


def _checked_image(image: Any) -> Image:
    good = isinstance(image, (tuple, list)) and len(image) == 3
    if not good or not all(isinstance(n, numbers.Integral) and int(n) > 0 for n in image):
        raise UsageError(f"image: expected (height, width, channels), got {image!r}")
    height, width, channels = (int(n) for n in image)
    return height, width, channels


def _cached(name: str, root: Path, folder: Path, image: Image | None, fit: str) -> _Cache:
    """The set in the shape asked for; read, or converted, and written if it is not there yet."""
    native, classes = _described(name, json.loads((folder / "features.json").read_text()))
    if image is None and None in native:
        raise UsageError(
            f"data set {name!r} has images of many sizes, {native}: ask for one shape, "
            "such as image=(64, 64, 3)"
        )
    image = image or _checked_image(native)
    if native[2] != image[2] and {native[2], image[2]} != {1, 3}:
        raise UsageError(
            f"data set {name!r}: {native[2]} channels cannot become {image[2]}; only 1 and 3 "
            "can become each other"
        )
    shape = "x".join(map(str, image))
    target = (
        root / CACHE / folder.relative_to(root) / (shape if image == native else f"{shape}-{fit}")
    )
    stamp = hashlib.sha256((folder / "dataset_info.json").read_bytes()).hexdigest()
    if cache := _open(target, stamp):
        return cache
    source = None if image == native or None in native else _cached(name, root, folder, None, fit)
    with _quiet(), _locked(root, _parse(name)[0]):
        if cache := _open(target, stamp):
            return cache
        if source is None:
            parts = _read(name, folder, None if image == native else image, fit)
        else:
            splits = {"train": source.train, "test": source.test}
            parts = {key: (len(s), _converted(s, image, fit)) for key, s in splits.items()}
        _write(target, parts, {"source": stamp, "image": image, "classes": classes})
    if cache := _open(target, stamp):
        return cache
    raise CorruptError(f"data set {name!r}: {target} does not read back as it was written")


def _open(folder: Path, stamp: str) -> _Cache | None:
    """The cache in `folder`; None unless it is whole and made from the data that `stamp` names."""
    try:
        meta = json.loads((folder / "meta.json").read_text())
        if (meta["format"], meta["source"]) != (CACHE_FORMAT, stamp):
            return None
        images = sum(meta[part]["examples"] for part in ("train", "test"))
        mapped = images * math.prod(meta["image"]) >= RESIDENT_BYTES
        train, test = (_open_split(folder, part, meta, mapped) for part in ("train", "test"))
    except (OSError, ValueError, KeyError, TypeError, EOFError):
        return None
    return _Cache(meta, train, test)


def _open_split(folder: Path, part: str, meta: dict[str, Any], mapped: bool) -> Split:
    """One split; ValueError if it is not what was written. A mapped one is checked for size only,
    as its digest would cost reading all of it."""
    says = meta[part]
    images = np.load(folder / f"{part}_images.npy", mmap_mode="r" if mapped else None)
    labels = np.load(folder / f"{part}_labels.npy")
    if images.shape != (says["examples"], *meta["image"]) or images.dtype != np.uint8:
        raise ValueError("another shape")
    if labels.shape != (says["examples"],) or _digest(labels) != says["labels"]:
        raise ValueError("other labels")
    if not mapped and _digest(images) != says["images"]:
        raise ValueError("other images")
    return Split(_frozen(images), _frozen(labels), _frozen(np.arange(len(labels))))


def _digest(array: np.ndarray) -> str:
    return hashlib.sha256(np.ascontiguousarray(array).data).hexdigest()


def _frozen(array: np.ndarray) -> np.ndarray:
    array.setflags(write=False)
    return array


def _read(name: str, folder: Path, image: Image | None, fit: str) -> dict[str, tuple[int, Batches]]:
    """Train and test as TFDS prepared them: number of examples, batches."""
    tfds = _tfds()
    builder = tfds.builder_from_directory(folder)
    decoders = tfds.decode.PartialDecoding({"image": True, "label": True})

    def batches(split: str, size: int) -> Batches:
        stream = builder.as_dataset(split=split, decoders=decoders)
        stream = stream.map(lambda example: (example["image"], example["label"]))
        if image is not None:
            stream = stream.map(
                lambda picture, label: (_convert(picture, image, fit), label),
                num_parallel_calls=os.cpu_count(),
            )
        yield from stream.batch(size).prefetch(1).as_numpy_iterator()

    def labelled(split: str) -> bool:
        first = next(batches(f"{split}[:1]", 1), None) if split in builder.info.splits else None
        return first is not None and first[1][0] >= 0

    test = next((split for split in ("test", "validation") if labelled(split)), None)
    if test is None or "train" not in builder.info.splits:
        raise UsageError(
            f"data set {name!r}: expected the split train and a labelled test or validation, got "
            f"{', '.join(builder.info.splits) or 'none'}"
        )
    size = _batch(image or builder.info.features["image"].shape)
    examples = {part: builder.info.splits[part].num_examples for part in ("train", test)}
    return {
        "train": (examples["train"], batches("train", size)),
        "test": (examples[test], batches(test, size)),
    }


def _batch(*shapes: tuple[int, ...]) -> int:
    """How many images of the largest of these shapes are worked on at once."""
    return max(1, BATCH_BYTES // max(math.prod(shape) for shape in shapes))


def _blocks(split: Split, size: int) -> Batches:
    for start in range(0, len(split), size):
        yield split.take(slice(start, start + size))


def _converted(split: Split, image: Image, fit: str) -> Batches:
    import tensorflow as tf

    for images, labels in _blocks(split, _batch(split.source.shape[1:], image)):
        with tf.device("/CPU:0"):  # a GPU may round otherwise, and the bytes are the identity
            yield _convert(images, image, fit).numpy(), labels


def _convert(images: Any, image: Image, fit: str) -> Any:
    """uint8 [..., h, w, c] as uint8 [..., *image]."""
    import tensorflow as tf

    height, width, channels = image
    have = images.shape[-1]
    images = tf.cast(images, tf.float32)
    if (have, channels) == (3, 1):
        images = tf.image.rgb_to_grayscale(images)
    if fit == "pad":
        images = tf.image.resize_with_crop_or_pad(images, height, width)
    else:
        images = tf.image.resize(images, (height, width), antialias=True)
    if (have, channels) == (1, 3):
        images = tf.image.grayscale_to_rgb(images)
    return tf.cast(tf.clip_by_value(tf.round(images), 0.0, 255.0), tf.uint8)


def _write(target: Path, parts: dict[str, tuple[int, Batches]], meta: dict[str, Any]) -> None:
    """Writes a cache beside `target` and moves it there whole; to be called under the lock."""
    building = target.with_name(target.name + ".building")
    shutil.rmtree(building, ignore_errors=True)
    building.mkdir(parents=True)
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


def _write_split(
    folder: Path, part: str, examples: int, batches: Batches, meta: dict[str, Any]
) -> dict[str, Any]:
    shape = (examples, *meta["image"])
    digest, seen = hashlib.sha256(), [np.zeros(0, np.int32)]
    histogram = np.zeros((shape[-1], 256), np.int64)
    # written in order and not through a map: a full disk is then an error, not a signal
    with _synced(folder / f"{part}_images.npy") as file:
        header = {"descr": "|u1", "fortran_order": False, "shape": shape}
        np.lib.format.write_array_header_1_0(file, header)
        for images, given in batches:
            file.write(images.tobytes())
            digest.update(images.tobytes())
            histogram += _histogram(images)
            seen.append(given.astype(np.int32))
    labels = np.concatenate(seen)
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
        "images": digest.hexdigest(),
        "labels": _digest(labels),
        "histogram": histogram.tolist(),
    }


@contextlib.contextmanager
def _synced(path: Path) -> Iterator[Any]:
    with path.open("wb") as file:
        yield file
        file.flush()
        os.fsync(file.fileno())


# --- the cut


def _held_out(name: str, validation: int | float, examples: int) -> int:
    if isinstance(validation, bool) or not isinstance(validation, numbers.Real):
        raise UsageError(f"validation: expected a number or a fraction, got {validation!r}")
    whole = isinstance(validation, numbers.Integral)
    if not whole and not 0 < validation < 1:
        raise UsageError(f"validation: expected a fraction in (0, 1), got {validation!r}")
    count = int(validation) if whole else round(float(validation) * examples)
    if not 1 <= count < examples:
        raise UsageError(
            f"validation={validation!r} holds out {count} of the {examples} training examples of "
            f"{name!r}: expected 1 to {examples - 1}"
        )
    return count


def _cut(name: str, cache: _Cache, count: int, split_seed: int) -> Dataset:
    whole, meta = cache.train, cache.meta
    order = np.random.default_rng([split_seed, VALIDATION_STREAM]).permutation(len(whole))
    held, kept = (_frozen(np.sort(part)) for part in (order[:count], order[count:]))
    validation = Split(whole.source, whole.source_labels, held)
    histogram = np.asarray(meta["train"]["histogram"])
    blocks = _blocks(validation, _batch(whole.source.shape[1:]))
    mean, std = _moments(histogram - sum(_histogram(images) for images, _ in blocks))
    bytes_of = [meta[part][what] for part in ("train", "test") for what in ("images", "labels")]
    identity = [meta["image"], meta["classes"], bytes_of, _digest(held)]
    return Dataset(
        name=name,
        classes=meta["classes"],
        image=_checked_image(meta["image"]),
        train=Split(whole.source, whole.source_labels, kept),
        validation=validation,
        test=cache.test,
        mean=mean,
        std=std,
        fingerprint=hashlib.sha256(json.dumps(identity).encode()).hexdigest()[:16],
    )


def _histogram(images: np.ndarray) -> np.ndarray:
    """How often each channel has each value: int64 [channels, 256]."""
    channels = images.shape[-1]
    return np.stack([np.bincount(images[..., c].ravel(), minlength=256) for c in range(channels)])


def _moments(histogram: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean and standard deviation of each channel, float32; 1 in place of a deviation of 0."""
    values = np.arange(256)
    total = histogram.sum(axis=1, keepdims=True)
    mean = histogram @ values[:, None] / total
    std = np.sqrt((histogram * (values - mean) ** 2).sum(axis=1, keepdims=True) / total)
    mean, std = mean[:, 0].astype(np.float32), std[:, 0].astype(np.float32)
    return _frozen(mean), _frozen(np.where(std == 0, np.float32(1), std))
