"""Folders of images: a folder for each class, and a test split beside or drawn."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from data_sets import tiny_image

from ltx.core.errors import UsageError
from ltx.data import image_cache, loading

PARTS = {"train": 6, "test": 3}


def write(root: Path, *, size: Any = (6, 4), parts: dict[str, int] | None = None) -> Path:
    """Images of two classes; those of "cat" have even numbers."""
    tf = image_cache.tensorflow()
    for part, count in (parts or PARTS).items():
        for number in range(2 * count):
            folder = root / part / ("cat", "dog")[number % 2]
            folder.mkdir(parents=True, exist_ok=True)
            pixels = tiny_image(number, size(number) if callable(size) else size)
            data = tf.io.encode_png(pixels).numpy()
            (folder / f"{number:02}.{'PNG' if number % 3 else 'png'}").write_bytes(data)
    return root


def test_images_are_as_they_were_drawn(tmp_path: Path) -> None:
    made = loading.load(f"folder:{write(tmp_path)}", validation=2)
    assert made.targets.names == ("cat", "dog")
    assert made.is_images
    drawn = {tiny_image(n, (6, 4)).tobytes(): n % 2 for n in range(12)}
    for split in (made.train, made.validation, made.test):
        for image, label in zip(split.inputs, split.targets, strict=True):
            assert drawn[image.tobytes()] == label
    assert (len(made.train), len(made.validation), len(made.test)) == (10, 2, 6)


def test_one_level_of_classes_needs_a_share_for_the_test(tmp_path: Path) -> None:
    root = write(tmp_path, parts={"": 10})
    made = loading.load(f"folder:{root}", test=0.2)
    assert np.bincount(made.test.targets).tolist() == [2, 2]
    with pytest.raises(UsageError, match=r"set Task\.test"):
        loading.load(f"folder:{root}")


def test_images_are_converted_as_those_of_tfds_are(tmp_path: Path) -> None:
    root = write(tmp_path, size=lambda n: (5 + n, 4))
    with pytest.raises(UsageError, match=r"many sizes, 00\.png of \(5, 4, 3\).*Task\.image"):
        loading.load(f"folder:{root}")
    for fit in ("resize", "pad"):
        made = loading.load(f"folder:{root}", image=(5, 4, 1), fit=fit)
        assert made.image == (5, 4, 1)
        expected = image_cache.convert(tiny_image(0, (5, 4)), (5, 4, 1), fit).numpy()
        np.testing.assert_array_equal(made.train.source[0], expected)


def test_grey_transparent_and_other_formats_are_read(tmp_path: Path) -> None:
    tf = image_cache.tensorflow()
    write(tmp_path)
    (tmp_path / "train" / "cat" / ".DS_Store").write_bytes(b"x")
    pixels = tiny_image(0, (6, 4))
    alpha = np.concatenate([pixels, pixels[..., :1]], axis=-1)
    (tmp_path / "train" / "cat" / "alpha.png").write_bytes(tf.io.encode_png(alpha).numpy())
    (tmp_path / "train" / "dog" / "photo.JPG").write_bytes(tf.io.encode_jpeg(pixels).numpy())
    made = loading.load(f"folder:{tmp_path}")
    assert made.image == (6, 4, 3)
    assert len(made.train) + len(made.validation) == 14
    assert made.notes == ()
    (tmp_path / "train" / "dog" / "grey.png").write_bytes(tf.io.encode_png(pixels[..., :1]).numpy())
    with pytest.raises(UsageError, match=r"of \(6, 4, 1\); set one shape"):
        loading.load(f"folder:{tmp_path}")
    assert loading.load(f"folder:{tmp_path}", image=(6, 4, 3)).image == (6, 4, 3)


def test_what_is_no_image_is_left_out_and_said(tmp_path: Path) -> None:
    write(tmp_path)
    (tmp_path / "train" / "cat" / "notes.txt").write_text("x")
    [note] = loading.load(f"folder:{tmp_path}").notes
    assert note == f"1 files are no images and are left out, the first {Path('cat/notes.txt')}"


def spoil_image(root: Path) -> None:
    (root / "train" / "cat" / "00.png").write_bytes(b"\x89PNG nothing")


def new_class(root: Path) -> None:
    (root / "test" / "cow").mkdir()


def no_images(root: Path) -> None:
    for file in (root / "test").rglob("*.*"):
        file.rename(file.with_suffix(".tiff"))


def one_class(root: Path) -> None:
    (root / "train" / "cat").rename(root / "cat")


@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        (spoil_image, r"00\.png cannot be read as an image"),
        (new_class, "class 'cow' is only in the test split"),
        (no_images, "there is no image in the class folders"),
        (one_class, "at least 2 classes in .*train, got dog"),
    ],
)
def test_a_folder_that_cannot_be_used_is_one_line(tmp_path: Path, spoil: Any, says: str) -> None:
    spoil(write(tmp_path))
    with pytest.raises(UsageError, match=says) as error:
        loading.load(f"folder:{tmp_path}")
    assert "\n" not in str(error.value)


def test_a_folder_that_is_not_there_is_said() -> None:
    with pytest.raises(UsageError, match="there is no folder none"):
        loading.load("folder:none")
    with pytest.raises(UsageError, match="expected folder:WHAT"):
        loading.load("folder")
