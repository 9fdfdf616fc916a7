"""History: curves join, are cut, and tell when to stop."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ltx import History, Metrics

CURVE = History((10, 20, 30), (0.5, 0.2, 0.2), (0.7, 0.9, 0.8))


def test_the_first_of_the_least_losses_stops() -> None:
    assert CURVE.early_stop == 20
    assert History().early_stop is None


@given(st.integers(0, 40))
def test_a_cut_curve_joins_to_the_whole(step: int) -> None:
    before = History(*(v[: sum(s <= step for s in CURVE.steps)] for v in vars(CURVE).values()))
    assert before + CURVE.after(step) == CURVE
    assert all(s > step for s in CURVE.after(step).steps)


def test_last_is_the_end() -> None:
    assert CURVE.last == Metrics(0.2, 0.8)
    with pytest.raises(IndexError):
        _ = History().last
