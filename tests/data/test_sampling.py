"""Sampling: subsets are nested and stratified, epochs complete, and all follow from the seed."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ltx import UsageError
from ltx.data import sampling

LABELS = np.random.default_rng(0).choice(4, 400, p=(0.4, 0.3, 0.2, 0.1))


@given(size=st.one_of(st.integers(2, 400), st.floats(0.01, 1.0)), seed=st.integers(0, 99))
def test_a_subset_is_a_part_of_that_size_with_every_class_by_its_share(
    size: int | float, seed: int
) -> None:
    rows = sampling.subset(LABELS, size, seed)
    assert len(rows) == (size if isinstance(size, int) else round(size * 400))
    assert (np.diff(rows) > 0).all()
    assert 0 <= rows[0] <= rows[-1] < 400
    shares = np.bincount(LABELS) * len(rows) / 400
    assert np.abs(np.bincount(LABELS[rows], minlength=4) - shares).max() < 2


@given(sizes=st.lists(st.integers(2, 400), min_size=2, max_size=2), seed=st.integers(0, 99))
def test_a_smaller_subset_is_part_of_a_larger_one(sizes: list[int], seed: int) -> None:
    one, two = (set(sampling.subset(LABELS, size, seed)) for size in sorted(sizes))
    assert one <= two


def test_another_seed_is_another_subset() -> None:
    drawn = {tuple(sampling.subset(LABELS, 20, seed)) for seed in range(20)}
    assert len(drawn) == 20


@pytest.mark.parametrize("size", [401, 0.001])
def test_a_subset_of_nothing_or_of_too_much_is_refused(size: int | float) -> None:
    with pytest.raises(UsageError, match=r"Task\.subset.*of the 400"):
        sampling.subset(LABELS, size, 0)


@given(st.permutations(range(6)), st.integers(2, 6))
def test_classes_are_numbered_in_the_order_asked_for(order: list[int], count: int) -> None:
    chosen = tuple(order[:count])
    labels = np.arange(6).repeat(3)
    places = sampling.renumbered(labels, chosen)
    for label, place in zip(labels, places, strict=True):
        assert place == (chosen.index(label) if label in chosen else -1)


def test_a_class_that_is_not_there_is_refused() -> None:
    sampling.check_classes("x", (0, 9), 10)
    with pytest.raises(UsageError, match=r"x: there is no class 10: the set has 10, 0 to 9"):
        sampling.check_classes("x", (0, 10), 10)


def test_permuted_labels_are_the_same_labels_about_chance_of_them_in_place() -> None:
    labels = sampling.permuted(LABELS, 0, "train")
    np.testing.assert_array_equal(np.bincount(labels), np.bincount(LABELS))
    assert 0.2 < (labels == LABELS).mean() < 0.4  # the squared frequencies add up to 0.3
    assert (sampling.permuted(LABELS, 0, "validation") != labels).any()
    np.testing.assert_array_equal(labels, sampling.permuted(LABELS, 0, "train"))


def test_shuffled_images_keep_their_pixels_whole_each_in_its_own_order() -> None:
    images = np.random.default_rng(1).integers(0, 256, (5, 6, 4, 3), np.uint8)
    images[1] = images[0]
    rows = np.array([3, 8, 9, 20, 21])
    shuffled = sampling.shuffled(images, rows, 0)
    assert (shuffled[0] != shuffled[1]).any()
    for old, new in zip(images.reshape(5, 24, 3), shuffled.reshape(5, 24, 3), strict=True):
        assert (old != new).any()
        assert sorted(map(tuple, old)) == sorted(map(tuple, new))
    np.testing.assert_array_equal(sampling.shuffled(images[2:3], rows[2:3], 0), shuffled[2:3])
    assert (sampling.shuffled(images, rows, 1) != shuffled).any()
    assert sampling.shuffled(images[:0], rows[:0], 0).shape == (0, 6, 4, 3)


# Order


def test_an_epoch_sees_no_example_twice() -> None:
    table = sampling.batch_table(0, "order", 23, 5, 0, 8)
    assert table.shape == (8, 5)
    assert table.dtype == np.int32
    for epoch in (table[:4], table[4:]):
        assert len(set(epoch.ravel())) == 20
        assert set(epoch.ravel()) <= set(range(23))
    assert (table[:4] != table[4:]).any()


@given(st.lists(st.integers(0, 30), min_size=3, max_size=3), st.integers(1, 9))
def test_a_cut_changes_nothing(cuts: list[int], batch: int) -> None:
    low, middle, high = sorted(cuts)
    parts = [
        sampling.batch_table(1, "order", 20, batch, a, b)
        for a, b in ((low, middle), (middle, high))
    ]
    whole = sampling.batch_table(1, "order", 20, batch, low, high)
    np.testing.assert_array_equal(np.concatenate(parts), whole)
    np.testing.assert_array_equal(sampling.batch_table(1, "order", 20, batch, 0, high)[low:], whole)


def test_seed_and_stream_change_the_order() -> None:
    tables = [sampling.batch_table(s, n, 50, 50, 0, 1) for s, n in ((0, "a"), (1, "a"), (0, "b"))]
    assert len({table.tobytes() for table in tables}) == 3


def test_a_batch_larger_than_the_set_is_refused() -> None:
    with pytest.raises(UsageError, match="61 is more than the 60"):
        sampling.steps_per_epoch(60, 61)
    assert sampling.steps_per_epoch(60, 60) == 1
