"""Words: each is corrected by itself, and the first that is shown is said."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ltx.analysis.multiple_testing import INCONCLUSIVE, CorrectedTests, first_shown, span
from ltx.analysis.paired_tests import ALPHA, Paired, holm

PLAIN = {"high": [0.001, 0.04, 0.9], "low": [0.9, 0.5, 0.02]}


def test_each_word_is_corrected_over_all_cells_and_not_for_other_words() -> None:
    words = CorrectedTests.of(PLAIN)
    for word, p in PLAIN.items():
        corrected, level = holm(p)
        assert [words.settle(cell, str, len).p[word] for cell in range(3)] == corrected
        assert words.thresholds[word] == level
    assert words.cells == 3
    assert CorrectedTests.of({"high": [], "low": []}).cells == 0


def test_the_first_word_that_is_shown_is_said() -> None:
    order = ("high", "low", "neither")
    assert first_shown({"high": ALPHA, "low": 0.0}, order) == "high"
    assert first_shown({"high": 0.051, "low": 0.05}, order) == "low"
    assert first_shown({"high": 0.051, "low": 0.051}, order) == "neither"
    assert first_shown({}, order) == "neither"


def test_a_cell_is_settled_by_the_first_claim_that_is_shown() -> None:
    tests = CorrectedTests.of({"high": [0.001, 0.9, 0.9], "low": [0.01, 0.001, 0.9]})
    found = [tests.settle(cell, "so {}".format, len) for cell in range(3)]
    assert [one.verdict for one in found] == ["high", "low", INCONCLUSIVE]
    assert (found[0].reason, found[0].more_seeds, found[0].claims) == ("so high", 4, 3)
    assert [one.decisive_p for one in found] == [pytest.approx(p) for p in (0.003, 0.003, 0.9)]
    none = tests.untested()
    assert (none.verdict, none.decisive_p, none.more_seeds) == ("", None, 0)


def test_an_interval_has_the_ends_that_decide_its_words() -> None:
    words, gap = CorrectedTests.of(PLAIN), Paired((0.01, 0.02, 0.04))
    assert words.interval(gap, "high", "low") == gap.interval(
        words.thresholds["high"], words.thresholds["low"]
    )
    assert words.interval(Paired(()), "high", "low") is None


@given(st.lists(st.floats(-1, 1), min_size=2, max_size=6), st.floats(-1, 1))
def test_more_seeds_are_at_least_one_on_the_side_where_the_mean_lies(
    values: list[float], bound: float
) -> None:
    words, gap = CorrectedTests.of(PLAIN), Paired(tuple(values))
    more = words.more_seeds(gap, bound, above="high", below="low")
    assert more >= 1
    turned = words.more_seeds(gap.turned, -bound, above="low", below="high")
    if not math.isclose(gap.mean, bound, abs_tol=1e-12):
        assert turned == pytest.approx(more)


def test_one_seed_cannot_tell_how_many_more_are_needed() -> None:
    more = CorrectedTests.of(PLAIN).more_seeds(Paired((0.1,)), 0.0, above="high", below="low")
    assert math.isnan(more)


def test_a_span_is_one_number_where_all_are_the_same() -> None:
    assert (span([5, 3, 4]), span({2})) == ("3 to 5", "2")
