"""Image cache: mapped, resident, damaged or half-written, it gives the same images."""

import errno
import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from data_sets import cache_of
from hypothesis import given, settings
from hypothesis import strategies as st

from ltx.core.errors import CorruptError, StoreFullError, UsageError
from ltx.data import image_cache, loading, split
from ltx.data.dataset import Image


def test_large_sets_are_mapped_and_give_the_same(
    shared: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    resident = loading.load("digits", data_dir=shared)
    monkeypatch.setattr(image_cache, "RESIDENT_BYTES", 1)
    monkeypatch.setattr(split, "BATCH_BYTES", 1000)
    mapped = loading.load("digits", data_dir=shared)
    assert isinstance(mapped.train.source, np.memmap)
    assert not isinstance(resident.train.source, np.memmap)
    assert mapped.fingerprint == resident.fingerprint
    np.testing.assert_array_equal(mapped.mean, resident.mean)
    np.testing.assert_array_equal(mapped.train.inputs, resident.train.inputs)
    np.testing.assert_array_equal(mapped.train.take(slice(3))[0], resident.train.inputs[:3])


def truncate(folder: Path) -> None:
    os.truncate(folder / "train_images.npy", (folder / "train_images.npy").stat().st_size - 1)


def empty(folder: Path) -> None:
    os.truncate(folder / "test_labels.npy", 0)


def flip(folder: Path) -> None:
    stored = bytearray((folder / "test_images.npy").read_bytes())
    stored[-1] ^= 1
    (folder / "test_images.npy").write_bytes(stored)


def relabel(folder: Path) -> None:
    labels = np.load(folder / "train_labels.npy")
    np.save(folder / "train_labels.npy", labels[::-1])


def halve(folder: Path) -> None:
    (folder / "meta.json").write_text((folder / "meta.json").read_text()[:200])


def forget(folder: Path) -> None:
    meta = json.loads((folder / "meta.json").read_text())
    del meta["train"]["histogram"]
    (folder / "meta.json").write_text(json.dumps(meta))


def lose(folder: Path) -> None:
    (folder / "meta.json").unlink()


@pytest.mark.parametrize("mapped", [False, True])
@pytest.mark.parametrize("damage", [truncate, empty, flip, relabel, halve, forget, lose])
def test_a_damaged_cache_is_made_again(
    own: str, damage: Any, mapped: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if mapped:
        monkeypatch.setattr(image_cache, "RESIDENT_BYTES", 1)
    before = loading.load("digits", data_dir=own)
    images, labels = np.array(before.test.inputs), before.train.targets
    damage(cache_of(own))
    after = loading.load("digits", data_dir=own)
    assert after.fingerprint == before.fingerprint
    np.testing.assert_array_equal(after.train.targets, labels)
    # of images too many to read at once only the size is checked
    assert np.array_equal(after.test.inputs, images) != (mapped and damage is flip)


def test_a_cache_of_other_data_is_made_again(own: str) -> None:
    info = Path(own) / "digits" / "1.0.0" / "dataset_info.json"
    info.write_text(json.dumps({**json.loads(info.read_text()), "description": "other"}))
    before = (cache_of(own) / "meta.json").read_text()
    loading.load("digits", data_dir=own)
    assert (cache_of(own) / "meta.json").read_text() != before


def test_a_full_disk_leaves_nothing_half_written(own: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(file: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(image_cache.os, "fsync", full)
        with pytest.raises(StoreFullError, match="no space left under"):
            loading.load("digits", image=(12, 12, 1), data_dir=own)
    assert [path.name for path in cache_of(own).parent.iterdir()] == ["8x8x1"]
    assert loading.load("digits", image=(12, 12, 1), data_dir=own).image == (12, 12, 1)


def test_images_that_no_disk_holds_are_refused_before_one_is_made(
    own: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def none(*_: object) -> None:
        raise AssertionError("an image is converted")

    usage = image_cache.shutil.disk_usage(own)._replace(free=2**30)
    monkeypatch.setattr(image_cache.shutil, "disk_usage", lambda folder: usage)
    monkeypatch.setattr(image_cache, "convert", none)
    says = r"image \(4096, 4096, 1\): 1,797 images.*28\.1 GiB in .*has 1\.0 GiB free; set a smaller"
    with pytest.raises(UsageError, match=says):
        loading.load("digits", image=(4096, 4096, 1), data_dir=own)
    assert [path.name for path in cache_of(own).parent.iterdir()] == ["8x8x1"]


def test_what_a_killed_process_left_is_in_nobodys_way(own: str) -> None:
    left = cache_of(own, "digits/1.0.0/12x12x1-pad.building")
    left.mkdir()
    (left / "train_images.npy").write_bytes(b"half")
    loading.load("digits", image=(12, 12, 1), fit="pad", data_dir=own)
    assert not left.exists()


def test_a_promise_that_tfds_does_not_keep_is_told(tmp_path: Path) -> None:
    batch = (np.zeros((2, 1, 1, 1), np.uint8), np.zeros(2, np.int64))
    parts = {"train": (3, iter([batch])), "test": (2, iter([batch]))}
    with pytest.raises(CorruptError, match="promised 3 train examples, not 2"):
        image_cache.write(tmp_path / "set", parts, {"image": (1, 1, 1), "classes": 2})
    assert not list(tmp_path.iterdir())


def test_labels_outside_the_classes_are_refused(tmp_path: Path) -> None:
    batch = (np.zeros((2, 1, 1, 1), np.uint8), np.array([0, 2]))
    with pytest.raises(UsageError, match=r"train labels are not all in 0\.\.1"):
        image_cache.write(
            tmp_path / "set", {"train": (2, iter([batch]))}, {"image": (1, 1, 1), "classes": 2}
        )


def test_a_folder_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(UsageError, match=r"cannot be written.*TFDS_DATA_DIR"):
        loading.load("digits", data_dir=str(tmp_path / "file" / "below"))


# --- conversion


def test_grey_becomes_colour_and_colour_its_luma(shared: str) -> None:
    grey = loading.load("digits", data_dir=shared).test.inputs
    colour = loading.load("digits", image=(8, 8, 3), data_dir=shared).test.inputs
    np.testing.assert_array_equal(colour, np.repeat(grey, 3, axis=-1))
    rgb = loading.load("ltx_tiny", data_dir=shared).test.inputs
    luma = loading.load("ltx_tiny", image=(6, 4, 1), data_dir=shared).test.inputs[..., 0]
    assert np.abs(rgb @ np.array([0.2989, 0.587, 0.114]) - luma).max() <= 0.51


def test_pad_centres_and_crops(shared: str) -> None:
    native = loading.load("digits", data_dir=shared)
    padded = loading.load("digits", image=(12, 10, 1), fit="pad", data_dir=shared)
    cropped = loading.load("digits", image=(4, 6, 1), fit="pad", data_dir=shared)
    np.testing.assert_array_equal(padded.train.inputs[:, 2:10, 1:9], native.train.inputs)
    assert padded.train.inputs.sum() == native.train.inputs.sum()
    np.testing.assert_array_equal(cropped.test.inputs, native.test.inputs[:, 2:6, 1:7])


@pytest.mark.parametrize("image", [(16, 16, 1), (4, 4, 1), (16, 4, 3), (1, 1, 1)])
def test_resize_keeps_labels_order_and_brightness(shared: str, image: Image) -> None:
    native = loading.load("digits", data_dir=shared)
    resized = loading.load("digits", image=image, data_dir=shared)
    assert resized.train.inputs.shape == (len(native.train), *image)
    assert resized.train.inputs.dtype == np.uint8
    np.testing.assert_array_equal(resized.train.rows, native.train.rows)
    np.testing.assert_array_equal(resized.test.targets, native.test.targets)
    means = [part.inputs.mean(axis=(1, 2, 3)) for part in (native.test, resized.test)]
    assert np.corrcoef(*means)[0, 1] > 0.8
    assert abs(means[0].mean() - means[1].mean()) < 20


def test_downsizing_does_not_alias() -> None:
    stripes = np.zeros((1, 16, 16, 1), np.uint8)
    stripes[:, 1::4] = stripes[:, 2::4] = 200  # where plain bilinear sampling would look
    small = image_cache.convert(stripes, (4, 4, 1), "resize").numpy()
    assert np.abs(small.astype(int) - 100).max() <= 40


@settings(deadline=None, max_examples=20)
@given(
    value=st.integers(0, 255),
    image=st.tuples(st.integers(1, 9), st.integers(1, 9), st.sampled_from([1, 3])),
    channels=st.sampled_from([1, 3]),
)
def test_a_plain_picture_stays_plain(value: int, image: Image, channels: int) -> None:
    plain = np.full((2, 5, 4, channels), value, np.uint8)
    assert set(np.unique(image_cache.convert(plain, image, "resize").numpy())) == {value}


@pytest.mark.parametrize("image", [(8, 8), (8, 8, 0), (8.0, 8, 1), "8x8x1", (8, 8, 2), (8, 8, 4)])
def test_a_shape_that_cannot_be_made_is_refused(shared: str, image: Any) -> None:
    with pytest.raises(UsageError, match=r"image: expected|channels cannot become"):
        loading.load("digits", image=image, data_dir=shared)


def test_an_unknown_fit_lists_the_known(shared: str) -> None:
    with pytest.raises(UsageError, match="did you mean resize"):
        loading.load("digits", fit="rezise", data_dir=shared)
