"""Channels: their places in kernels, flattened and concatenated, and what dropping them leaves."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ltx.core.prunable import Axis, Channels

sizes = st.integers(1, 4)


@given(sizes, sizes, sizes, st.integers(0, 3), st.integers(0, 3), st.sampled_from([0, 1]))
def test_split_finds_each_channel_where_places_says_it_is(
    size: int, outer: int, inner: int, start: int, after: int, axis: int
) -> None:
    total = start + size + after
    length = outer * total * inner
    where = Axis("kernel", axis, size, start, total, outer, inner)
    array = np.moveaxis(np.arange(length * 5).reshape(length, 5), 0, axis)
    for channel, values in enumerate(where.split(array)):
        chosen = np.arange(size) == channel
        expected = np.compress(where.places(chosen), array, axis)
        assert sorted(values) == sorted(expected.reshape(-1))


@given(sizes, sizes, sizes, st.integers(0, 3), st.sampled_from([0, 1]))
def test_filling_reaches_the_entries_that_split_reads(
    size: int, outer: int, inner: int, start: int, axis: int
) -> None:
    total = start + size + 1
    where = Axis("kernel", axis, size, start, total, outer, inner)
    array = np.moveaxis(np.zeros((outer * total * inner, 5)), 0, axis)
    where.fill(array, np.arange(1.0, size + 1))
    for channel, values in enumerate(where.split(array), 1):
        assert (values == channel).all()
    assert np.count_nonzero(array) == outer * size * inner * 5


@pytest.fixture
def flattened() -> Channels:
    """Three maps of 2x2 positions, flattened into a dense layer of five."""
    return Channels(
        3, (Axis("conv", 3, 3),), (Axis("dense", 0, 3, outer=4),), followers=("conv/bias",)
    )


def test_dropping_takes_what_makes_and_what_takes_a_channel(flattened: Channels) -> None:
    mask = {"conv": np.ones((3, 3, 2, 3), np.bool_), "dense": np.ones((12, 5), np.bool_)}
    dead = np.array([False, True, False])
    left = flattened.drop(mask, dead)
    assert not left["conv"][..., 1].any()
    assert left["conv"][..., [0, 2]].all()
    assert np.flatnonzero(~left["dense"].all(axis=1)).tolist() == [1, 4, 7, 10]
    assert mask["conv"].all()
    np.testing.assert_array_equal(flattened.alive(left), ~dead)


def test_a_channel_that_nobody_takes_is_dead(flattened: Channels) -> None:
    mask = {"conv": np.ones((3, 3, 2, 3), np.bool_), "dense": np.ones((12, 5), np.bool_)}
    mask["dense"][[0, 3, 6, 9]] = False
    assert flattened.alive(mask).tolist() == [False, True, True]


def test_the_mean_is_that_of_the_survivors_that_make_a_channel(flattened: Channels) -> None:
    mask = {"conv": np.ones((3, 3, 2, 3), np.bool_), "dense": np.ones((12, 5), np.bool_)}
    values = {"conv": np.arange(54.0).reshape(3, 3, 2, 3)}
    np.testing.assert_allclose(flattened.mean(values, mask), values["conv"].mean(axis=(0, 1, 2)))
    mask["conv"][:, :, 0] = False
    mask["conv"][..., 2] = False
    values["conv"][..., 2] = np.nan
    expected = values["conv"][:, :, 1].mean(axis=(0, 1))
    np.testing.assert_allclose(flattened.mean(values, mask), [*expected[:2], 0])
