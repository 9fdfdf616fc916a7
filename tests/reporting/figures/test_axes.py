"""Time axis: marks that a reader of clocks expects, wherever the numbers lie."""

from hypothesis import given
from hypothesis import strategies as st

from ltx.reporting.figures import axes
from ltx.reporting.format import brief_duration


@given(st.floats(1e-5, 1e7), st.floats(1.3, 1e6))
def test_marks_are_few_and_inside(least: float, times: float) -> None:
    most = least * times
    marks = axes.marks(least, most)
    assert 2 <= len(marks) <= 6
    assert list(marks) == sorted(set(marks))
    assert all(least <= mark <= most for mark in marks)


def test_marks_are_round_where_there_is_room() -> None:
    def told(least: float, most: float) -> list[str]:
        return [brief_duration(mark) for mark in axes.marks(least, most)]

    assert told(0.8, 700) == ["1 s", "10 s", "1 min", "10 min"]
    assert told(25, 400) == ["30 s", "1 min", "2 min", "5 min"]
    assert told(61, 100) == ["1.02 min", "1.67 min"]
