"""Mask overlap: packed masks are counted like plain ones, random ones overlap as expected."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from ltx import Mask
from ltx.evaluation import mask_overlap
from ltx.store import manifest

SHAPES = {"a/kernel": (7, 5), "b/kernel": (3, 3, 2, 4), "c/kernel": (1, 3)}
SIZES = {name: int(np.prod(shape)) for name, shape in SHAPES.items()}


def drawn(seed: int, density: float) -> Mask:
    rng = np.random.default_rng(seed)
    return Mask({name: rng.random(shape) < density for name, shape in SHAPES.items()})


@given(st.lists(st.floats(0, 1), min_size=2, max_size=5), st.integers(0, 99))
def test_packed_masks_share_what_plain_ones_do(densities: list[float], seed: int) -> None:
    masks = [drawn(seed + n, density) for n, density in enumerate(densities)]
    packed = [manifest.packed(mask) for mask in masks]
    found = mask_overlap.among(packed, SIZES)
    pairs = list(itertools.combinations(masks, 2))
    assert found.keys() == {*SHAPES, ""}
    assert found[""].pairs == len(pairs)
    shared = [2 * (a & b).kept / (a.kept + b.kept) if a.kept + b.kept else 1 for a, b in pairs]
    assert found[""].shared == pytest.approx(np.mean(shared))
    jaccard = [(a & b).kept / (a | b).kept if (a | b).kept else 1 for a, b in pairs]
    assert found[""].jaccard == pytest.approx(np.mean(jaccard))
    for name in SHAPES:
        each = [
            2 * (a[name] & b[name]).sum() / max(1, a[name].sum() + b[name].sum())
            + (not a[name].any() and not b[name].any())
            for a, b in pairs
        ]
        assert found[name].shared == pytest.approx(np.mean(each))
    if len(masks) == 2:
        assert mask_overlap.between(packed[:1], packed[1:], SIZES) == found


def test_the_same_mask_shares_all_and_where_nothing_can_vary_chance_does_too() -> None:
    packed = manifest.packed(drawn(0, 0.5))
    same = mask_overlap.between([packed], [packed], SIZES)[""]
    assert same.shared == same.jaccard == 1 > same.chance_shared > same.chance_jaccard
    whole = manifest.packed(Mask({name: np.ones(shape) for name, shape in SHAPES.items()}))
    full = mask_overlap.between([whole], [whole], SIZES)[""]
    assert full.shared == full.chance_shared == full.chance_jaccard == 1
    assert full.chance_spread == 0


@given(st.integers(1, 60), st.data())
def test_chance_is_hypergeometric(size: int, data: st.DataObject) -> None:
    one, other = (data.draw(st.integers(0, size)) for _ in range(2))
    mean, variance = mask_overlap.chance(*(np.array([n], np.int64) for n in (size, one, other)))
    both = np.arange(size + 1)
    chances = stats.hypergeom(size, one, other).pmf(both)
    assert mean[0] == pytest.approx(chances @ both)
    assert variance[0] == pytest.approx(chances @ (both - mean[0]) ** 2, abs=1e-9)


def test_shuffled_masks_stray_from_chance_as_far_as_it_says() -> None:
    one, rng = drawn(1, 0.4), np.random.default_rng(2)
    others = [one.shuffled(rng) for _ in range(2000)]
    packed = manifest.packed(one)
    each = [mask_overlap.between([packed], [manifest.packed(o)], SIZES)[""] for o in others]
    shared = np.array([found.shared for found in each])
    assert shared.mean() == pytest.approx(each[0].chance_shared, abs=0.01)
    assert shared.std() == pytest.approx(each[0].chance_spread, rel=0.1)
    assert np.mean([f.jaccard for f in each]) == pytest.approx(each[0].chance_jaccard, abs=0.02)
