"""Time axis: marks that a reader of clocks expects, wherever the numbers lie."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ltx.reporting.figures import axes


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.00123, "1.23 ms"),
        (0.5, "500 ms"),
        (0.9999, "1 s"),
        (59.0, "59 s"),
        (59.99, "1 min"),
        (90.0, "1.5 min"),
        (3600.0, "1 h"),
        (7200.0, "2 h"),
        (129600.0, "1.5 d"),
    ],
)
def test_seconds_are_told_in_their_unit(seconds: float, text: str) -> None:
    assert axes.brief(seconds) == text


@given(st.floats(1e-5, 1e7), st.floats(1.3, 1e6))
def test_marks_are_few_and_inside(least: float, times: float) -> None:
    most = least * times
    marks = axes.marks(least, most)
    assert 2 <= len(marks) <= 6
    assert list(marks) == sorted(set(marks))
    assert all(least <= mark <= most for mark in marks)


def test_marks_are_round_where_there_is_room() -> None:
    def told(least: float, most: float) -> list[str]:
        return [axes.brief(mark) for mark in axes.marks(least, most)]

    assert told(0.8, 700) == ["1 s", "10 s", "1 min", "10 min"]
    assert told(25, 400) == ["30 s", "1 min", "2 min", "5 min"]
    assert told(61, 100) == ["1.02 min", "1.67 min"]
