"""Mask: immutable, boolean, compared by content, combined and checked by name and shape."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from ltx import Mask, UsageError, Weight

bools = hnp.arrays(np.bool_, (3, 4))
masks = st.builds(lambda a, b: Mask({"a": a, "b": b}), bools, hnp.arrays(np.bool_, 5))
WEIGHTS = (Weight("a", (3, 4)), Weight("b", (5,)))


def test_ones_keeps_everything() -> None:
    mask = Mask.ones(WEIGHTS)
    assert (mask.kept, mask.size, mask.density) == (17, 17, 1.0)
    assert mask.densities() == {"a": 1.0, "b": 1.0}


@given(masks)
def test_counts_are_those_of_the_arrays(mask: Mask) -> None:
    assert mask.kept == int(mask["a"].sum() + mask["b"].sum())
    assert mask.density == mask.kept / 17
    assert mask.empty() == [name for name in mask if mask[name].sum() == 0]


@given(masks, masks)
def test_masks_form_a_lattice(one: Mask, other: Mask) -> None:
    assert one & other == other & one
    assert one & other <= one <= one | other
    assert (one <= other) == all(not (one[n] & ~other[n]).any() for n in one)
    assert one & one == one == one | one


@given(masks, masks)
def test_overlap_is_the_share_of_survivors(one: Mask, other: Mask) -> None:
    assert 0 <= one.overlap(other) <= 1
    assert (one.overlap(other) == 1) == (one <= other)


@given(masks)
def test_equal_content_is_equal(mask: Mask) -> None:
    again = Mask({name: mask[name].astype(np.float32) for name in reversed(list(mask))})
    assert again == mask
    assert hash(again) == hash(mask)
    assert again.id == mask.id
    assert again != dict(mask)


@given(masks, st.integers(0, 5))
def test_shuffling_keeps_the_count_of_every_tensor(mask: Mask, seed: int) -> None:
    shuffled = mask.shuffled(np.random.default_rng(seed))
    assert shuffled.densities() == mask.densities()
    assert shuffled == mask.shuffled(np.random.default_rng(seed))


def test_shuffling_moves_something() -> None:
    mask = Mask({"a": np.arange(100) < 50})
    assert mask.shuffled(np.random.default_rng(0)) != mask


@given(masks, hnp.arrays(np.float32, (3, 4)))
def test_apply_zeroes_what_is_pruned_and_nothing_else(mask: Mask, array: np.ndarray) -> None:
    other = np.ones(2)
    given_arrays = {"a": array, "b": np.ones(5, np.float32), "bias": other}
    before = array.copy()
    zeroed = mask.apply(given_arrays)
    assert (zeroed["a"][~mask["a"]] == 0).all()
    np.testing.assert_array_equal(zeroed["a"][mask["a"]], before[mask["a"]])
    assert zeroed["a"].dtype == np.float32
    assert zeroed["bias"] is other
    np.testing.assert_array_equal(array, before)


def test_apply_zeroes_infinities_too() -> None:
    zeroed = Mask({"a": np.array([0, 1])}).apply({"a": np.array([np.inf, 2.0])})
    assert zeroed["a"].tolist() == [0.0, 2.0]


def test_a_mask_cannot_be_changed() -> None:
    array = np.ones(3, np.bool_)
    mask = Mask({"a": array})
    array[0] = False
    assert mask.kept == 3
    with pytest.raises(ValueError, match="read-only"):
        mask["a"][0] = False
    with pytest.raises(TypeError):
        mask["a"] = array  # type: ignore[index]


@pytest.mark.parametrize("values", [[0, 2], [0.5], [np.nan], [-1, 1]])
def test_only_zeros_and_ones_make_a_mask(values: list[float]) -> None:
    with pytest.raises(UsageError, match="mask of a"):
        Mask({"a": np.array(values)})


def test_check_returns_what_fits() -> None:
    mask = Mask.ones(WEIGHTS)
    assert mask.check(WEIGHTS) is mask


@pytest.mark.parametrize(
    ("arrays", "words"),
    [
        ({"a": np.ones((3, 4))}, "b is missing from"),
        ({"a": np.ones((3, 4)), "b": np.ones(5), "c": np.ones(1)}, "c is unknown in"),
        ({"a": np.ones((4, 3)), "b": np.ones(5)}, r"expected shape \(3, 4\), got \(4, 3\)"),
        ({"a": np.zeros((3, 4)), "b": np.zeros(5)}, "no weight survives"),
    ],
)
def test_check_names_what_does_not_fit(arrays: dict[str, np.ndarray], words: str) -> None:
    with pytest.raises(UsageError, match=words):
        Mask(arrays).check(WEIGHTS)


def test_masks_of_different_models_do_not_combine() -> None:
    with pytest.raises(UsageError, match="different models"):
        Mask({"a": np.ones(1)}) & Mask({"b": np.ones(1)})
