"""Selection: the lowest of many, against the plain way to find them."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from ltx.pruning.top_k import prune_lowest

SHAPES = {"a": (3, 4), "b": (5,), "c": (2, 2, 3), "empty": (0, 3)}
values = st.sampled_from([0.0, -0.0, 1.5, -2.0, np.inf, -np.inf, 1e-30, 3.0])
kinds = st.sampled_from([np.float16, np.float32, np.float64])


@st.composite
def cases(draw: st.DrawFn) -> tuple[dict, dict, int]:
    """Scores of one or several types, masks, and a count of survivors to drop."""
    kind = draw(kinds)
    scores = {
        name: draw(hnp.arrays(draw(st.sampled_from([kind, np.float64])), shape, elements=values))
        if name != "b"
        else draw(hnp.arrays(kind, shape, elements=values))
        for name, shape in SHAPES.items()
    }
    mask = {name: draw(hnp.arrays(np.bool_, shape)) for name, shape in SHAPES.items()}
    alive = sum(int(keep.sum()) for keep in mask.values())
    return scores, mask, draw(st.integers(0, alive))


def plainly(scores: dict, mask: dict, count: int) -> dict[str, np.ndarray]:
    """Sort the survivors; the ties at the threshold go in the documented order."""
    places = [(name, index) for name in mask for index in np.argwhere(mask[name])]
    found = np.array([float(scores[name][tuple(index)]) for name, index in places])
    left = {name: keep.copy() for name, keep in mask.items()}
    if count:
        threshold = np.sort(found)[count - 1]
        ties = np.flatnonzero(found == threshold)
        missing = count - int((found < threshold).sum())
        if missing < ties.size:
            ties = np.random.default_rng(ties.size).permutation(ties)[:missing]
        for number in (*np.flatnonzero(found < threshold), *ties):
            name, index = places[number]
            left[name][tuple(index)] = False
    return left


@given(cases())
def test_the_lowest_go_as_if_sorted(case: tuple[dict, dict, int]) -> None:
    scores, mask, count = case
    before = {name: array.copy() for name, array in (scores | {}).items()}
    kept = {name: keep.copy() for name, keep in mask.items()}
    left, expected = prune_lowest(scores, mask, count), plainly(scores, mask, count)
    for name in mask:
        np.testing.assert_array_equal(left[name], expected[name])
        np.testing.assert_array_equal(mask[name], kept[name])
        np.testing.assert_array_equal(scores[name], before[name])


@given(cases())
def test_the_layout_in_memory_does_not_matter(case: tuple[dict, dict, int]) -> None:
    scores, mask, count = case
    turned = [{n: np.asfortranarray(a) for n, a in arrays.items()} for arrays in (scores, mask)]
    left, expected = prune_lowest(*turned, count), prune_lowest(scores, mask, count)
    for name in mask:
        np.testing.assert_array_equal(left[name], expected[name])


@pytest.mark.parametrize("size", [10, 1000, 100_000])
def test_a_shuffle_in_place_is_the_permutation_that_masks_were_made_with(size: int) -> None:
    ties = np.arange(size, dtype=np.int32)
    np.random.default_rng(size).shuffle(ties)
    np.testing.assert_array_equal(ties, np.random.default_rng(size).permutation(np.arange(size)))


def test_memory_stays_within_a_few_times_the_scores() -> None:
    import tracemalloc

    rng = np.random.default_rng(0)
    scores = {str(n): rng.random((100, 1000), np.float32) for n in range(10)}
    mask = {name: np.ones(array.shape, np.bool_) for name, array in scores.items()}
    for found in (scores, {name: 0 * array for name, array in scores.items()}):
        tracemalloc.start()
        prune_lowest(found, mask, 300_000)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert peak < 4 * 4e6
