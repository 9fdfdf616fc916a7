"""Dataset: a cut is a partition, its moments are the training part's, and its identity follows."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ltx import data
from ltx.errors import UsageError


@settings(deadline=None, max_examples=25)
@given(count=st.integers(1, 1436), seed=st.integers(0, 2**40))
def test_train_and_validation_are_disjoint_and_everything(
    shared: str, count: int, seed: int
) -> None:
    digits = data.load("digits", validation=count, split_seed=seed, data_dir=shared)
    rows = np.concatenate([digits.train.rows, digits.validation.rows])
    assert len(digits.validation) == count
    np.testing.assert_array_equal(np.sort(rows), np.arange(1437))
    for split in (digits.train, digits.validation):
        assert (np.diff(split.rows) > 0).all()
        assert len(split) == len(split.images) == len(split.labels)
        assert split.nbytes == split.images.nbytes


def test_fingerprint_follows_the_cut_and_nothing_else(shared: str) -> None:
    def fingerprint(**options: Any) -> str:
        return data.load("digits", data_dir=shared, **options).fingerprint

    base = fingerprint(validation=100)
    assert base == fingerprint(validation=100) == fingerprint(validation=100 / 1437)
    assert (
        base
        == fingerprint(validation=100, image=(8, 8, 1))
        == fingerprint(validation=100.0 / 1437, fit="pad")
    )
    others = [
        fingerprint(validation=101),
        fingerprint(validation=100, split_seed=1),
        fingerprint(validation=100, image=(8, 8, 3)),
        fingerprint(validation=100, image=(10, 10, 1)),
        fingerprint(validation=100, image=(10, 10, 1), fit="pad"),
        data.load("ltx_tiny", data_dir=shared).fingerprint,
    ]
    assert len({base, *others}) == 7


def test_no_global_random_state_is_touched(shared: str) -> None:
    np.random.seed(1)
    before = np.random.get_state()[1].copy()  # type: ignore[index]
    first = data.load("digits", data_dir=shared).validation.rows
    np.random.seed(2)
    np.testing.assert_array_equal(first, data.load("digits", data_dir=shared).validation.rows)
    np.random.seed(1)
    data.load("digits", data_dir=shared)
    np.testing.assert_array_equal(before, np.random.get_state()[1])  # type: ignore[index]


@pytest.mark.parametrize("validation", [0, -1, 1437, 0.0, 1.0, 1e-9, 0.9999, True, "x", None])
def test_a_cut_that_leaves_one_side_empty_is_refused(shared: str, validation: Any) -> None:
    with pytest.raises(UsageError, match="validation"):
        data.load("digits", validation=validation, data_dir=shared)


@pytest.mark.parametrize("seed", [-1, 0.5, None, True])
def test_a_seed_that_is_none_is_refused(shared: str, seed: Any) -> None:
    with pytest.raises(UsageError, match="split_seed"):
        data.load("digits", split_seed=seed, data_dir=shared)


@pytest.mark.parametrize("name", ["digits", "ltx_tiny"])
def test_moments_are_those_of_the_training_part(shared: str, name: str) -> None:
    loaded = data.load(name, validation=0.3, data_dir=shared)
    images = loaded.train.images.astype(np.float64)
    std = images.std(axis=(0, 1, 2))
    assert loaded.mean.dtype == loaded.std.dtype == np.float32
    np.testing.assert_allclose(loaded.mean, images.mean(axis=(0, 1, 2)), rtol=1e-6)
    np.testing.assert_allclose(loaded.std, np.where(std == 0, 1, std), rtol=1e-6)
    if name == "ltx_tiny":
        assert (loaded.mean[2], loaded.std[2]) == (7, 1)


def test_take_and_images_agree_and_what_is_shared_is_read_only(shared: str) -> None:
    digits = data.load("digits", data_dir=shared)
    indices = np.array([5, 0, 5, 143])
    images, labels = digits.validation.take(indices)
    np.testing.assert_array_equal(images, digits.validation.images[indices])
    np.testing.assert_array_equal(labels, digits.validation.labels[indices])
    for array in (digits.test.images, digits.train.images, digits.train.source, digits.mean):
        with pytest.raises(ValueError, match="read-only"):
            array[0] = 0
    assert digits.test.images is digits.test.source
