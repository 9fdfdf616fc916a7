"""Folders of images: one folder for each class."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from ltx.core.errors import UsageError
from ltx.data import image_cache
from ltx.data.arrays import Arrays
from ltx.data.dataset import Image

_ENDINGS = (".png", ".jpg", ".jpeg", ".bmp", ".gif")


def load(argument: str, image: Image | None, fit: str) -> Arrays:
    """`folder:DIR`, PNG, JPEG, BMP or GIF images in DIR/CLASS, or in DIR/train/CLASS and
    DIR/test/CLASS.

    `Task.image` converts them to one shape; without it all must have the same.
    """
    data, root = f"folder:{argument}", Path(argument).expanduser()
    if not root.is_dir():
        raise UsageError(f"data set {data!r}: there is no folder {root}")
    parts = [root / "train", root / "test"] if (root / "train").is_dir() else [root]
    if len(parts) == 2 and not parts[1].is_dir():
        parts.pop()
    classes = [folder.name for folder in _folders(parts[0])]
    if len(classes) < 2:
        raise UsageError(
            f"data set {data!r}: expected a folder for each of at least 2 classes in {parts[0]},"
            f" got {', '.join(classes) or 'none'}"
        )
    notes: list[str] = []
    read = [_part(data, part, classes, image, fit, notes) for part in parts]
    test_inputs, test_targets = read[1] if len(read) > 1 else (None, None)
    return Arrays(*read[0], test_inputs, test_targets, tuple(classes), tuple(notes))


def _folders(root: Path) -> list[Path]:
    return sorted(f for f in root.iterdir() if f.is_dir() and not f.name.startswith("."))


def _part(
    data: str, root: Path, classes: list[str], image: Image | None, fit: str, notes: list[str]
) -> tuple[np.ndarray, np.ndarray]:
    """The images and class numbers of one split."""
    if new := [folder.name for folder in _folders(root) if folder.name not in classes]:
        raise UsageError(f"data set {data!r}: class {new[0]!r} is only in the test split")
    files = [
        (file, number)
        for number, name in enumerate(classes)
        if (root / name).is_dir()
        for file in sorted((root / name).rglob("*"))
        if file.is_file() and not file.name.startswith(".")
    ]
    images = [(file, number) for file, number in files if file.suffix.lower() in _ENDINGS]
    if other := [file for file, _ in files if file.suffix.lower() not in _ENDINGS]:
        shown = other[0].relative_to(root)
        notes.append(f"{len(other)} files are no images and are left out, the first {shown}")
    if not images:
        raise UsageError(
            f"data set {data!r}: there is no image in the class folders of {root}; expected files"
            f" that end in {', '.join(_ENDINGS)}"
        )
    pictures = _pictures(data, [file for file, _ in images], image, fit)
    first = next(pictures)
    result = np.empty((len(images), *first.shape), np.uint8)
    result[0] = first
    for row, picture in enumerate(pictures, 1):
        if picture.shape != first.shape:
            raise UsageError(
                f"data set {data!r}: images of many sizes, {images[0][0].name} of {first.shape} and"
                f" {images[row][0].name} of {picture.shape}; set one shape by Task.image"
            )
        result[row] = picture
    return result, np.array([number for _, number in images], np.int32)


def _pictures(data: str, files: list[Path], image: Image | None, fit: str) -> Iterator[np.ndarray]:
    """The images as uint8 [height, width, channels], of the shape `image` if it is given."""
    tf = image_cache.tensorflow()
    for file in files:
        try:
            with tf.device("/CPU:0"):
                picture = tf.io.decode_image(file.read_bytes(), expand_animations=False)
        except tf.errors.InvalidArgumentError as error:
            raise UsageError(
                f"data set {data!r}: {file} cannot be read as an image; remove or repair it"
            ) from error
        channels = picture.shape[-1]
        picture = picture[..., : 3 if channels > 2 else 1]  # without transparency
        if image is not None:
            with tf.device("/CPU:0"):
                picture = image_cache.convert(picture, image, fit)
        yield picture.numpy()
