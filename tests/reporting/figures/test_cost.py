"""Cost figures: lines go through the points, and a time axis is marked at round times."""

import dataclasses

from figure_inputs import curve, lines_of
from hypothesis import given
from hypothesis import strategies as st

from ltx.reporting.figures import cost
from ltx.reporting.format import brief_duration

NAN = float("nan")


def test_the_lines_go_through_the_points() -> None:
    steps, flops = cost.costs("task", [curve()])  # of no point the seconds are known
    assert lines_of(steps).tolist() == [[1, 1], [10, 0.5], [100, 0.1]]
    assert lines_of(flops).tolist() == [[1e6, 1], [5e5, 0.5], [1e5, 0.1]]


def test_seconds_are_drawn_where_they_are_known() -> None:
    one = curve()
    timed = tuple(
        dataclasses.replace(point, seconds=seconds)
        for point, seconds in zip(one.points, (30.0, NAN, 7200.0), strict=True)
    )
    known, unknown = dataclasses.replace(one, points=timed), curve("old", 1)
    assert len(cost.costs("task", [unknown])) == 2
    seconds = cost.costs("task", [known, unknown])[2]
    assert (seconds.name, seconds.title) == (
        "cost-seconds-task",
        "task: accuracy against cost in seconds",
    )
    assert lines_of(seconds).tolist() == [[30, 1], [7200, 0.1]]
    assert len(seconds.figure.axes[0].lines) == 1
    marks = [t.get_text() for t in seconds.figure.axes[0].get_xticklabels()]
    assert {"1 min", "10 min", "1 h"} <= set(marks)
    assert "imp reaches 100.0% at density 100.0% for 30 s" in seconds.text
    assert "old reaches 100.0% at density 100.0% for an unknown cost" in seconds.text


@given(st.floats(1e-5, 1e7), st.floats(1.3, 1e6))
def test_marks_are_few_and_inside(least: float, times: float) -> None:
    most = least * times
    marks = cost.marks(least, most)
    assert 3 <= len(marks) <= 6
    assert list(marks) == sorted(set(marks))
    assert all(least <= mark <= most for mark in marks)


def test_marks_are_round_where_there_is_room() -> None:
    def told(least: float, most: float) -> list[str]:
        return [brief_duration(mark) for mark in cost.marks(least, most)]

    assert told(0.8, 700) == ["1 s", "10 s", "1 min", "10 min"]
    assert told(25, 400) == ["30 s", "1 min", "2 min", "5 min"]
    assert told(61, 100) == ["1.2 min", "1.4 min", "1.6 min"]
    assert told(0.8, 2.9) == ["1 s", "1.5 s", "2 s", "2.5 s"]
    assert told(3000, 5500) == ["1 h", "1.2 h", "1.4 h"]
