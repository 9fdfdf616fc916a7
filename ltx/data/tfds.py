"""Data sets on this disk, prepared and read through TFDS; the only importer of TFDS."""

import contextlib
import difflib
import functools
import hashlib
import io
import logging
import math
import os
import re
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ltx.core import environment
from ltx.core.errors import CorruptError, LtxError, UsageError
from ltx.data import digits, fashion_mnist, image_cache, prepared
from ltx.data.dataset import DataSpec, Image, checked_image
from ltx.data.image_cache import CACHE, Parts, locked
from ltx.data.images import RawDataset
from ltx.data.split import Batches, batch_size

__all__ = [
    "available",
    "examples",
    "features_of",
    "folder_of",
    "import_fashion_mnist",
    "prepare",
    "raw",
]


def raw(spec: DataSpec, data_dir: str | None) -> RawDataset:
    """The data set before its training examples are split."""
    name = spec.data
    folder = folder_of(name, data_dir)
    return _cached(name, prepared.root(data_dir), folder, spec.image, spec.fit)


def folder_of(name: str, data_dir: str | None) -> Path:
    """The folder of a prepared data set; UsageError with the remedy where there is none."""
    root = prepared.root(data_dir)
    folder = prepared.folder(name, root)
    if folder is None and prepared.parse(name)[0] == digits.NAME:
        prepare(name, data_dir)
        folder = prepared.folder(name, root)
    if folder is None:
        raise _not_prepared(name, root)
    return folder


def features_of(folder: Path) -> dict[str, tuple[str, ...]]:
    """The features of a prepared set, each with the names of its classes if it has some."""
    features = _tfds().builder_from_directory(folder).info.features
    return {name: tuple(getattr(part, "names", None) or ()) for name, part in features.items()}


def examples(folder: Path, split: str, names: list[str]) -> list[dict[str, Any]] | None:
    """These features of all examples of a split, as TFDS's NumPy values; None without the split."""
    image_cache.tensorflow()
    builder = _tfds().builder_from_directory(folder)
    if split not in builder.info.splits:
        return None
    decoders = _tfds().decode.PartialDecoding(dict.fromkeys(names, True))
    return list(builder.as_dataset(split=split, decoders=decoders).as_numpy_iterator())


def prepare(name: str, data_dir: str | None = None) -> str:
    """Download and prepare `name` through TFDS unless it is on this disk; returns a message."""
    root = prepared.root(data_dir)
    if folder := prepared.folder(name, root):
        return f"{name} {folder.name} is already prepared in {folder}."
    base = prepared.parse(name)[0]
    _require_known(name)
    with _quiet(), locked(root, base):
        try:
            builder = _tfds().builder(name, data_dir=str(root))
        except (ValueError, AssertionError) as error:
            raise UsageError(f"data set {name!r}: {_one_line(error)}") from error
        prepared.check_usable(name, builder.info.features.to_json())
        # Another process may have finished while this one waited for the lock.
        if prepared.folder(name, root) is None:
            _download(name, builder)
    return f"{name} {builder.version} is prepared in {builder.data_dir}."


def import_fashion_mnist(source_dir: str, data_dir: str | None = None) -> str:
    """Prepare fashion_mnist from the four files of `source_dir`, without the network.

    They may be Zalando's own or Debian's (package dataset-fashion-mnist). Debian rewrote the gzip
    headers and kept the compressed bytes; with the original headers TFDS's checksums match, so
    the stock builder prepares them with every check on.
    """
    root = prepared.root(data_dir)
    if folder := prepared.folder("fashion_mnist", root):
        return f"fashion_mnist {folder.name} is already prepared in {folder}."
    builder = _tfds().builder("fashion_mnist", data_dir=str(root))
    checksums = {info.filename: info.checksum for info in builder.url_infos.values()}
    with tempfile.TemporaryDirectory() as rebuilt:
        fashion_mnist.rebuild(Path(source_dir), checksums, Path(rebuilt))
        config = _tfds().download.DownloadConfig(manual_dir=rebuilt)
        with _quiet(), locked(root, "fashion_mnist"):
            if prepared.folder("fashion_mnist", root) is None:
                _download("fashion_mnist", builder, download_config=config)
    return f"fashion_mnist {builder.version} is prepared in {builder.data_dir}."


def available(data_dir: str | None = None) -> list[tuple[str, str]]:
    """Name and status of every data set on this disk, the embedded digits first."""
    root = prepared.root(data_dir)
    rows = [(digits.NAME, f"embedded {digits.VERSION}, 8x8x1, 10 classes")]
    for name, folder in prepared.every(root):
        if name != digits.NAME:
            cached = ", cached" if (root / CACHE / folder.relative_to(root)).is_dir() else ""
            rows.append((name, prepared.status(name, folder) + cached))
    return rows


# --- TFDS


def _require_known(name: str) -> None:
    base, config, _ = prepared.parse(name)
    names = _tfds().list_builders(with_community_datasets=False)
    if base not in names:
        raise _unknown("data set", base, names)
    if config is not None:
        configs = list(_tfds().builder_cls(base).builder_configs)
        if config not in configs:
            raise _unknown(f"configuration of data set {base}", config, configs)


def _unknown(kind: str, name: str, known: list[str]) -> UsageError:
    """Like errors.unknown, without a list of all names: TFDS has some 450."""
    close = difflib.get_close_matches(name, known, n=3, cutoff=0.5)
    hint = f": did you mean {' or '.join(close)}?" if close else f", TFDS has {len(known)} others."
    return UsageError(f"unknown {kind} {name!r}{hint} `ltx data list` shows what is on this disk.")


def _not_prepared(name: str, root: Path) -> UsageError:
    _require_known(name)
    remedy = f"run `ltx data prepare {name}`"
    if prepared.parse(name)[0] == "fashion_mnist":
        remedy += " or, without a network, `ltx data import fashion_mnist --from DIR`"
    return UsageError(f"data set {name!r} is not prepared in {root}: {remedy}")


@functools.cache
def _tfds() -> Any:
    """TFDS, with the digits registered."""
    environment.prepare_tensorflow()
    with environment.hush_stderr():
        import tensorflow_datasets as tfds
        from tensorflow_datasets.core.download import downloader

    downloader.MAX_RETRIES = 4  # TFDS's default of 10 means 200 silent seconds without a network
    tfds.disable_progress_bar()
    # Its threads retry and log warnings even after a failed download has been reported.
    logging.getLogger("urllib3").setLevel(logging.ERROR)
    digits.register(tfds)
    return tfds


def _download(name: str, builder: Any, **options: Any) -> None:
    image_cache.tensorflow()
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
    """Hide what TFDS prints and logs."""
    logger = logging.getLogger("absl")
    level = logger.level
    try:
        logger.setLevel(logging.ERROR)
        with contextlib.redirect_stdout(io.StringIO()):
            yield
    finally:
        logger.setLevel(level)


# --- from TFDS to arrays


def _cached(name: str, root: Path, folder: Path, image: Image | None, fit: str) -> RawDataset:
    """The data set in one image shape, from the cache; converted and cached if it is missing."""
    native, classes = prepared.shape_and_classes(name, prepared.features(folder))
    image = _shape(name, native, image)
    shape = "x".join(map(str, image))
    target = (
        root / CACHE / folder.relative_to(root) / (shape if image == native else f"{shape}-{fit}")
    )
    stamp = hashlib.sha256((folder / "dataset_info.json").read_bytes()).hexdigest()
    if cached := image_cache.read(target, stamp):
        return cached
    source = None if image == native or None in native else _cached(name, root, folder, None, fit)
    with _quiet(), locked(root, prepared.parse(name)[0]):
        if cached := image_cache.read(target, stamp):
            return cached
        if source is None:
            parts = _read(name, folder, None if image == native else image, fit)
        else:
            parts = image_cache.converted(source, image, fit)
        meta = {"source": stamp, "image": image, "classes": classes}
        image_cache.write(target, parts, meta)
    if cached := image_cache.read(target, stamp):
        return cached
    raise CorruptError(f"data set {name!r}: {target} does not read back as it was written")


def _shape(name: str, native: tuple[int | None, ...], image: Image | None) -> Image:
    """The requested shape, or the native one; UsageError if a conversion is impossible."""
    if image is None and None in native:
        raise UsageError(
            f"data set {name!r} has images of many sizes, {native}: set one shape, "
            "such as image=(64, 64, 3)"
        )
    image = image or checked_image(native)
    if native[2] != image[2] and {native[2], image[2]} != {1, 3}:
        raise UsageError(
            f"data set {name!r}: {native[2]} channels cannot become {image[2]}; only 1 and 3 "
            "can become each other"
        )
    return image


def _read(name: str, folder: Path, image: Image | None, fit: str) -> Parts:
    """Training and test examples as TFDS prepared them: their number and batches."""
    image_cache.tensorflow()
    tfds = _tfds()
    builder = tfds.builder_from_directory(folder)
    decoders = tfds.decode.PartialDecoding({"image": True, "label": True})

    def batches(split: str, size: int) -> Batches:
        stream = builder.as_dataset(split=split, decoders=decoders)
        stream = stream.map(lambda example: (example["image"], example["label"]))
        if image is not None:
            stream = stream.map(
                lambda picture, label: (image_cache.convert(picture, image, fit), label),
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
    size = batch_size(math.prod(image or builder.info.features["image"].shape))
    examples = {part: builder.info.splits[part].num_examples for part in ("train", test)}
    return {
        "train": (examples["train"], batches("train", size)),
        "test": (examples[test], batches(test, size)),
    }
