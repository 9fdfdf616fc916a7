"""Dataset: splits partition the examples, moments are the training part's, hashes follow both."""

import dataclasses
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ltx.core.errors import UsageError
from ltx.core.task import Task
from ltx.data import loading
from ltx.data.dataset import DataSpec


@settings(deadline=None, max_examples=25)
@given(count=st.integers(1, 1436), seed=st.integers(0, 2**40))
def test_train_and_validation_are_disjoint_and_everything(
    shared: str, count: int, seed: int
) -> None:
    digits = loading.load("digits", validation=count, split_seed=seed, data_dir=shared)
    rows = np.concatenate([digits.train.rows, digits.validation.rows])
    assert len(digits.validation) == count
    np.testing.assert_array_equal(np.sort(rows), np.arange(1437))
    for split in (digits.train, digits.validation):
        assert (np.diff(split.rows) > 0).all()
        assert len(split) == len(split.inputs) == len(split.targets)
        assert split.nbytes == split.inputs.nbytes


def test_fingerprint_follows_the_cut_and_nothing_else(shared: str) -> None:
    def fingerprint(**options: Any) -> str:
        return loading.load("digits", data_dir=shared, **options).fingerprint

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
        loading.load("ltx_tiny", data_dir=shared).fingerprint,
    ]
    assert len({base, *others}) == 7


def test_no_global_random_state_is_touched(shared: str) -> None:
    np.random.seed(1)
    before = np.random.get_state()[1].copy()  # type: ignore[index]
    first = loading.load("digits", data_dir=shared).validation.rows
    np.random.seed(2)
    np.testing.assert_array_equal(first, loading.load("digits", data_dir=shared).validation.rows)
    np.random.seed(1)
    loading.load("digits", data_dir=shared)
    np.testing.assert_array_equal(before, np.random.get_state()[1])  # type: ignore[index]


@pytest.mark.parametrize("validation", [0, -1, 1437, 0.0, 1.0, 1e-9, 0.9999, True, "x", None])
def test_a_cut_that_leaves_one_side_empty_is_refused(shared: str, validation: Any) -> None:
    with pytest.raises(UsageError, match="validation"):
        loading.load("digits", validation=validation, data_dir=shared)


@pytest.mark.parametrize("seed", [-1, 0.5, None, True])
def test_a_seed_that_is_none_is_refused(shared: str, seed: Any) -> None:
    with pytest.raises(UsageError, match="split_seed"):
        loading.load("digits", split_seed=seed, data_dir=shared)


def test_a_spec_is_the_data_of_a_task(shared: str) -> None:
    fields = {field.name for field in dataclasses.fields(DataSpec)}
    assert {field.name for field in dataclasses.fields(Task)} - fields == {
        *("model", "model_args", "recipe", "head", "objective")
    }
    options: dict[str, Any] = {"validation": 77, "split_seed": 3, "subset": 0.5, "classes": (4, 2)}
    task = Task(image=(6, 6, 1), fit="pad", corrupt="random_labels", **options)
    loaded = loading.load(
        "digits", image=(6, 6, 1), fit="pad", corrupt="random_labels", data_dir=shared, **options
    )
    assert loaded.fingerprint == loading.load_spec(DataSpec.of(task), shared).fingerprint


@pytest.mark.parametrize("name", ["digits", "ltx_tiny"])
def test_moments_are_those_of_the_training_part(shared: str, name: str) -> None:
    loaded = loading.load(name, validation=0.3, data_dir=shared)
    images = loaded.train.inputs.astype(np.float64)
    std = images.std(axis=(0, 1, 2))
    assert loaded.mean.dtype == loaded.std.dtype == np.float32
    np.testing.assert_allclose(loaded.mean, images.mean(axis=(0, 1, 2)), rtol=1e-6)
    np.testing.assert_allclose(loaded.std, np.where(std == 0, 1, std), rtol=1e-6)
    if name == "ltx_tiny":
        assert (loaded.mean[2], loaded.std[2]) == (7, 1)


def test_take_and_images_agree_and_what_is_shared_is_read_only(shared: str) -> None:
    digits = loading.load("digits", data_dir=shared)
    indices = np.array([5, 0, 5, 143])
    images, labels = digits.validation.take(indices)
    np.testing.assert_array_equal(images, digits.validation.inputs[indices])
    np.testing.assert_array_equal(labels, digits.validation.targets[indices])
    for array in (digits.test.inputs, digits.train.inputs, digits.train.source, digits.mean):
        with pytest.raises(ValueError, match="read-only"):
            array[0] = 0
    assert digits.test.inputs is digits.test.source


# Parts of a set, and spoilt ones


def test_a_subset_is_a_part_of_what_is_trained_on_and_of_nothing_else(shared: str) -> None:
    whole = loading.load("digits", data_dir=shared)
    few = loading.load("digits", subset=0.1, data_dir=shared)
    assert len(few.train) == 129
    assert set(few.train.rows) < set(whole.train.rows)
    np.testing.assert_array_equal(few.validation.rows, whole.validation.rows)
    np.testing.assert_array_equal(few.test.inputs, whole.test.inputs)
    # What a subset finds must meet the same pictures in the whole set.
    np.testing.assert_array_equal((few.mean, few.std), (whole.mean, whole.std))


def test_classes_are_a_set_of_their_own(shared: str) -> None:
    whole, half = (loading.load("digits", classes=c, data_dir=shared) for c in ((), (9, 7, 5)))
    assert half.classes == 3
    for name in ("train", "validation", "test"):
        split: Any = getattr(half, name)
        full: Any = getattr(whole, name)
        np.testing.assert_array_equal(
            full.source_targets[split.rows], np.array([9, 7, 5])[split.targets]
        )
    pixels = half.train.inputs.astype(np.float64)
    np.testing.assert_allclose(half.mean, pixels.mean(axis=(0, 1, 2)), rtol=1e-6)
    counts = [len(half.train) + len(half.validation), len(half.test)]
    train = np.concatenate([whole.train.targets, whole.validation.targets])
    assert counts == [np.isin(x, (5, 7, 9)).sum() for x in (train, whole.test.targets)]


def test_spoilt_labels_are_those_of_others_and_the_test_is_true(shared: str) -> None:
    true = loading.load("digits", data_dir=shared)
    spoilt = loading.load("digits", corrupt="random_labels", data_dir=shared)
    for name in ("train", "validation"):
        one, two = getattr(true, name), getattr(spoilt, name)
        np.testing.assert_array_equal(one.inputs, two.inputs)
        np.testing.assert_array_equal(np.bincount(one.targets), np.bincount(two.targets))
        assert (one.targets == two.targets).mean() < 0.2
    np.testing.assert_array_equal(true.test.targets, spoilt.test.targets)
    np.testing.assert_array_equal(true.test.inputs, spoilt.test.inputs)


def test_shuffled_pixels_are_the_same_however_they_are_read(shared: str) -> None:
    true = loading.load("digits", data_dir=shared)
    spoilt = loading.load("digits", corrupt="shuffled_pixels", data_dir=shared)
    for name in ("train", "validation"):
        one, two = getattr(true, name), getattr(spoilt, name)
        np.testing.assert_array_equal(one.targets, two.targets)
        assert ((one.inputs != two.inputs).any(axis=(1, 2, 3))).all()
        np.testing.assert_array_equal(two.take(np.array([7, 2, 7]))[0], two.inputs[[7, 2, 7]])
        blocks = np.concatenate([images for images, _ in two.blocks(100)])
        np.testing.assert_array_equal(blocks, two.inputs)
        with pytest.raises(ValueError, match="read-only"):
            two.inputs[0] = 0
    assert spoilt.test.inputs is spoilt.test.source
    np.testing.assert_array_equal((spoilt.mean, spoilt.std), (true.mean, true.std))


def test_no_image_is_copied_for_a_part_of_a_set(shared: str) -> None:
    whole = loading.load("digits", data_dir=shared).train.source
    for options in ({"subset": 50}, {"classes": (0, 1)}, {"corrupt": "random_labels"}):
        made: Any = loading.load("digits", data_dir=shared, **options)  # type: ignore[arg-type]
        assert made.train.source.shape == whole.shape
        assert made.train.source is made.validation.source


def test_every_option_moves_the_fingerprint_and_no_default_does(shared: str) -> None:
    def fingerprint(**options: Any) -> str:
        return loading.load("digits", data_dir=shared, **options).fingerprint

    base = fingerprint()
    assert base == fingerprint(subset=1.0, corrupt="none", classes=()) == fingerprint(subset=1293)
    others = [
        fingerprint(subset=0.5),
        fingerprint(subset=646),
        fingerprint(classes=(0, 1)),
        fingerprint(classes=(1, 0)),
        fingerprint(classes=tuple(range(10)), validation=144),
        fingerprint(corrupt="random_labels"),
        fingerprint(corrupt="shuffled_pixels"),
        fingerprint(corrupt="shuffled_pixels", subset=0.5),
    ]
    assert len({base, *others}) == 8  # 646 is half of them


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"classes": (3, 10)}, "there is no class 10: the set has 10"),
        ({"subset": 1294}, "1294 of the 1293 training examples"),
        ({"subset": 1e-4}, "0 of the 1293 training examples"),
    ],
)
def test_a_part_that_is_not_there_is_refused(shared: str, options: Any, words: str) -> None:
    with pytest.raises(UsageError, match=words):
        loading.load("digits", data_dir=shared, **options)
