"""Adjacency: pairs of neighbours are counted, and chance is that of all masks with such counts."""

import itertools

import numpy as np
import pytest

import ltx
from ltx.core.errors import UsageError


def columns(n: int, k: int) -> np.ndarray:
    """All masks of n inputs that keep k, one a column."""
    chosen = list(itertools.combinations(range(n), k))
    keep = np.zeros((n, len(chosen)), bool)
    for column, rows in enumerate(chosen):
        keep[list(rows), column] = True
    return keep


@pytest.mark.parametrize(
    ("n", "k"), [(1, 1), (2, 1), (2, 2), (3, 2), (5, 0), (5, 3), (7, 4), (6, 6)]
)
def test_chance_is_the_mean_and_deviation_of_all_masks(n: int, k: int) -> None:
    every = columns(n, k)
    pairs = (every[1:] & every[:-1]).sum(0)
    one = ltx.adjacency(every[:, :1])
    assert one.pairs == pairs[0]
    assert one.expected == pytest.approx(pairs.mean())
    assert one.spread == pytest.approx(pairs.std(), abs=1e-7)
    if k > 1:
        assert ltx.adjacency(every).ratio == pytest.approx(1)


def test_units_are_summed() -> None:
    run, apart = np.array([1, 1, 1, 0, 0, 0], bool), np.array([1, 0, 1, 0, 1, 0], bool)
    one, other = (ltx.adjacency(keep[:, None]) for keep in (run, apart))
    both = ltx.adjacency(np.stack([run, apart], 1))
    assert (one.pairs, other.pairs, both.pairs) == (2, 0, 2)
    assert one.ratio == 2
    assert both.ratio == 1
    assert both.spread == pytest.approx(np.hypot(one.spread, other.spread))
    assert np.isnan(ltx.adjacency(np.zeros((5, 2), bool)).ratio)


@pytest.mark.parametrize("keep", [np.ones((3, 3)), np.ones(3, bool), np.ones((3, 0), bool)])
def test_what_is_no_mask_of_a_dense_kernel_is_refused(keep: np.ndarray) -> None:
    with pytest.raises(UsageError, match="adjacency: expected"):
        ltx.adjacency(keep)
