"""Paired: known answers of known tests, and what has no spread or no pair."""

import math

import numpy as np
import pytest
import scipy.stats
from hypothesis import given, settings
from hypothesis import strategies as st
from statsmodels.stats.multitest import multipletests

from ltx.analysis import paired_tests
from ltx.analysis.paired_tests import Interval, Paired

VALUES = st.lists(st.floats(-1, 1), min_size=2, max_size=8).filter(lambda v: np.std(v) > 1e-6)


def test_only_seeds_that_both_have_are_paired() -> None:
    made = Paired.of({0: 3.0, 1: 5.0, 2: math.nan, 4: 1.0}, {1: 1.0, 2: 1.0, 3: 9.0, 4: 4.0})
    assert made.values == (4.0, -3.0)
    assert made.turned.values == (-4.0, 3.0)


@given(VALUES, st.floats(-1, 1))
def test_the_test_is_students(values: list[float], bound: float) -> None:
    ours = Paired(tuple(values))
    greater = scipy.stats.ttest_1samp(values, bound, alternative="greater").pvalue
    assert ours.above(bound) == pytest.approx(greater, abs=1e-9)
    assert ours.below(bound) == pytest.approx(1 - greater, abs=1e-9)
    assert ours.at_most(bound) == ours.below(bound)


@given(VALUES, st.sampled_from([0.05, 0.01, 0.2]), st.sampled_from([0.05, 0.003]))
def test_an_end_is_where_p_is_the_level(values: list[float], lower: float, upper: float) -> None:
    ours = Paired(tuple(values))
    interval = ours.interval(lower, upper)
    assert ours.above(interval.low) == pytest.approx(lower, rel=1e-6)
    assert ours.below(interval.high) == pytest.approx(upper, rel=1e-6)
    assert interval.count == len(values)


def test_a_tie_is_left_to_the_sign_test() -> None:
    # Shifted alike, but not to the last bit: rounding is no spread.
    ours = Paired(tuple(0.1 + v - v for v in (0.3, 0.7, 0.9, 0.25, 0.1)))
    assert ours.tied
    assert ours.above(0) == 1 / 32
    assert ours.above(0.1) == ours.above(0.2) == 1
    assert ours.below(0.2) == 1 / 32
    assert ours.at_most(0.11) == 1 / 32
    assert Paired((0.0, 0.0, 0.0)).at_most(0) == 1 / 8
    assert Paired((0.0, 0.0, 0.0)).below(0) == 1
    assert ours.interval(0.05, 0.05).low == pytest.approx(0.1)
    assert math.isnan(ours.interval(0.01, 0.05).low)
    assert ours.seeds_above(0, 0.01) == 7


@pytest.mark.parametrize("values", [(), (0.5,)])
def test_one_pair_shows_nothing(values: tuple[float, ...]) -> None:
    ours = Paired(values)
    assert ours.above(-9) == ours.below(9) == ours.at_most(9) == 1
    assert math.isnan(ours.interval(0.05, 0.05).low)
    assert math.isnan(ours.seeds_above(0, 0.05))


def test_many_samples_are_tested_as_each_alone() -> None:
    values = np.random.default_rng(0).normal(0.1, 1, (4, 3, 5))
    values[0, 0] = 0.25
    for p, alone in (
        (paired_tests.above(values, 0.2), Paired.above),
        (paired_tests.at_most(values, 0.2), Paired.at_most),
    ):
        one = [[alone(Paired(tuple(seeds)), 0.2) for seeds in level] for level in values]
        np.testing.assert_allclose(p, one)


def test_an_unknown_value_is_left_out_of_the_mean() -> None:
    assert Interval.of([1.0, math.nan, 2.0]).mean == 1.5
    assert Interval.of([1.0, math.nan, 2.0]).count == 2
    assert math.isnan(Interval.of([math.nan]).mean)


def scaled(effect: float, count: int = 4) -> Paired:
    """Differences with exactly this mean, in standard deviations."""
    values = np.arange(count) - (count - 1) / 2
    return Paired(tuple(values / values.std(ddof=1) + effect))


def test_the_seeds_needed_are_those_of_the_textbook() -> None:
    # Cohen (1988): d = 0.5, one-sided 5 %, power 80 %: 27 pairs; d = 0.8: 12; d = 0.2: 156.
    assert scaled(0.5).seeds_above(0, 0.05) == 27
    assert scaled(0.8).seeds_above(0, 0.05) == 12
    assert scaled(0.8).seeds_above(0.3, 0.05) == 27
    assert scaled(-0.5).seeds_below(0, 0.05) == 27
    assert scaled(0.2).seeds_above(0, 0.05) == math.inf
    assert scaled(-0.5).seeds_above(0, 0.05) == math.inf
    for effect in (40.0, 1e4, 1e6):
        assert scaled(effect).seeds_above(0, 0.05) <= 3


@given(st.floats(0.5, 3), st.floats(0.001, 0.05))
def test_a_stricter_level_or_a_smaller_effect_needs_more_seeds(effect: float, level: float) -> None:
    needed = scaled(effect).seeds_above(0, level)
    assert scaled(effect).seeds_above(0, level / 2) >= needed
    assert scaled(effect / 2).seeds_above(0, level) >= needed


def test_the_seeds_needed_do_show_it_four_times_in_five() -> None:
    needed = int(scaled(0.9).seeds_above(0, 0.01))
    drawn = np.random.default_rng(1).normal(0.9, 1, (20000, needed))
    assert 0.79 < (paired_tests.above(drawn, 0) <= 0.01).mean() < 0.85


@given(st.lists(st.sampled_from([0.0, 1e-9, 0.01, 0.02, 0.05, 1.0]) | st.floats(0, 1), min_size=1))
@settings(max_examples=20)  # statsmodels collects all garbage at every call
def test_holm_is_that_of_statsmodels(p: list[float]) -> None:
    shown, theirs, _, _ = multipletests(p, alpha=paired_tests.ALPHA, method="holm")
    ours, level = paired_tests.holm(p)
    assert ours == theirs.tolist()
    assert [value <= paired_tests.ALPHA for value in ours] == shown.tolist()
    assert level == paired_tests.ALPHA / max(len(p) - shown.sum(), 1)


def test_holm_by_an_example_done_by_hand() -> None:
    corrected, level = paired_tests.holm([0.01, 0.04, 0.03, 0.005])
    assert corrected == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert level == 0.05 / 2
    assert paired_tests.holm([]) == ([], 0.05)


@given(st.lists(st.floats(0, 1), min_size=1, max_size=9))
def test_the_level_parts_what_is_shown_from_what_is_not(p: list[float]) -> None:
    corrected, level = paired_tests.holm(p)
    assert [c <= 0.05 for c in corrected] == [v <= level for v in p]
    assert all(c >= v for c, v in zip(corrected, p, strict=True))
