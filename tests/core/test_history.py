"""History: curves join, are cut, and tell when to stop."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ltx import History, Metrics

CURVE = History((10, 20, 30), (0.5, 0.2, 0.2), (0.7, 0.9, 0.8))


def test_the_first_of_the_least_losses_stops() -> None:
    assert CURVE.early_stop == 20
    assert History().early_stop is None


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_a_loss_that_is_not_finite_is_never_the_least(bad: float) -> None:
    assert History((1, 2, 3), (bad, 0.5, 0.4), (0.1, 0.7, 0.8)).early_stop == 3
    assert History((1, 2, 3), (0.3, bad, 0.4), (0.1, 0.7, 0.8)).early_stop == 1
    assert History((1,), (bad,), (0.1,)).early_stop is None
    assert History((1, 2), (0.3, bad), (0.1, 0.7)).diverged == 2
    assert History((1, 2), (0.3, 0.2), (bad, 0.7)).diverged == 1
    assert CURVE.diverged is History().diverged is None


@given(st.integers(0, 40))
def test_a_cut_curve_joins_to_the_whole(step: int) -> None:
    before = History(*(v[: sum(s <= step for s in CURVE.steps)] for v in vars(CURVE).values()))
    assert before + CURVE.after(step) == CURVE
    assert all(s > step for s in CURVE.after(step).steps)


def test_last_is_the_end() -> None:
    assert CURVE.last == Metrics(0.2, 0.8)
    with pytest.raises(IndexError):
        _ = History().last
