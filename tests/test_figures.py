"""Figures: every plot is drawn from the numbers it is given, and nothing is drawn of none."""

import dataclasses
from typing import Any
from xml.etree import ElementTree

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from ltx import figures
from ltx.curve import Curve, Point
from ltx.figures import Carried
from ltx.paired import Interval
from ltx.verdict import Level

NAN = float("nan")


def curve(
    finder: str = "imp", place: int = 0, densities: tuple[float, ...] = (1.0, 0.5, 0.1)
) -> Curve:
    points = tuple(
        Point(n, d, Interval(d, d - 0.1, d + 0.1, 3), Interval(10, 5, 15, 3), 10.0**n, 1e6 * d, 3)
        for n, d in enumerate(densities)
    )
    return Curve("task", finder, finder == "reinit", place, points)


def lines_of(plot: Any, label: int = 0) -> np.ndarray:
    return plot.figure.axes[0].lines[label].get_xydata()


def test_the_lines_go_through_the_points() -> None:
    one = curve()
    steps, flops = figures.costs("task", [one])  # of no point the seconds are known
    assert lines_of(steps).tolist() == [[1, 1], [10, 0.5], [100, 0.1]]
    assert lines_of(flops).tolist() == [[1e6, 1], [5e5, 0.5], [1e5, 0.1]]
    assert lines_of(figures.accuracies("task", [one])).tolist() == [[1, 1], [0.5, 0.5], [0.1, 0.1]]
    stop = figures.early_stops("task", [one])
    assert stop is not None
    assert lines_of(stop).tolist() == [[1, 10], [0.5, 10], [0.1, 10]]


def test_seconds_are_drawn_where_they_are_known() -> None:
    one = curve()
    timed = tuple(
        dataclasses.replace(point, seconds=seconds)
        for point, seconds in zip(one.points, (30.0, NAN, 7200.0), strict=True)
    )
    known, unknown = dataclasses.replace(one, points=timed), curve("old", 1)
    assert len(figures.costs("task", [unknown])) == 2
    seconds = figures.costs("task", [known, unknown])[2]
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


def test_bands_are_the_intervals() -> None:
    (band,) = figures.accuracies("task", [curve()]).figure.axes[0].collections
    corners = {tuple(round(float(v), 6) for v in corner) for corner in band.get_paths()[0].vertices}
    assert {(0.5, 0.4), (0.5, 0.6), (0.1, 0.0), (0.1, 0.2)} <= corners


def test_a_control_is_dashed() -> None:
    plot = figures.accuracies("task", [curve(), curve("reinit", 1)])
    imp, reinit, *_ = plot.figure.axes[0].lines
    assert (imp.get_linestyle(), reinit.get_linestyle()) == ("-", "--")


def test_what_a_point_lacks_is_left_out() -> None:
    one = curve()
    none = Interval(NAN, NAN, NAN)
    first = dataclasses.replace(one.points[0], early_stop=none)
    gap = dataclasses.replace(one, points=(first, *one.points[1:]))
    plot = figures.early_stops("task", [gap])
    assert plot is not None
    assert len(lines_of(plot)) == 2
    empty = tuple(dataclasses.replace(point, early_stop=none) for point in one.points)
    assert figures.early_stops("task", [dataclasses.replace(one, points=empty)]) is None


@settings(max_examples=5)
@given(
    st.lists(st.floats(1e-4, 1), min_size=1, max_size=5, unique=True),
    st.integers(1, 9),
    st.text(max_size=30),
)
def test_every_study_can_be_drawn(densities: list[float], count: int, name: str) -> None:
    many = [curve(f"{name}{n}", n, tuple(sorted(densities)[::-1])) for n in range(count)]
    for plot in (*figures.costs(name, many), figures.accuracies(name, many)):
        legends = [t for legend in plot.figure.legends for t in legend.get_texts()]
        assert len([*plot.figure.texts, *legends]) == count
        assert ElementTree.fromstring(plot.svg()).tag.endswith("svg")


def test_names_of_lines_do_not_cover_one_another() -> None:
    many = [curve(f"finder_{n}", n) for n in range(6)]  # all of them end in one point
    places = [t.get_position() for t in figures.accuracies("task", many).figure.texts]
    assert len(set(places)) == 6
    for x, y in places:
        near = [p for p in places if abs(p[0] - x) < 0.01 and p != (x, y)]
        assert all(abs(p[1] - y) * 216 > 5 for p in near)


def test_layers_are_means_in_their_natural_order() -> None:
    lines = [
        {"layer": f"conv_{n}/kernel", "level": level, "density": density}
        for n in (10, 9)
        for level, values in ((0, (1.0, 1.0)), (1, (0.0, 0.0) if n == 9 else (0.2, 0.4)))
        for density in values
    ]
    plot = figures.layers("task", "imp", lines[:-1])
    axes = plot.figure.axes[0]
    assert [t.get_text() for t in axes.get_yticklabels()] == ["conv_9", "conv_10"]
    assert [t.get_text() for t in axes.texts] == ["100", "x", "100", "30"]
    assert "conv_9/kernel 0.00%" in plot.text


def level(task: str, density: float, gain: float | None) -> Level:
    made = {f.name: None for f in dataclasses.fields(Level)}
    interval = None if gain is None else Interval(gain, NAN, NAN, 1)
    return Level(**{**made, "task": task, "level": 1, "density": density, "gain": interval})  # type: ignore[arg-type]


def test_transfers_compare_at_a_density_that_all_reached() -> None:
    cells = [
        Carried("a", "imp", "", (level("a", 0.5, 0.01), level("a", 0.1, 0.02))),
        Carried("a", "from_b", "b", (level("a", 0.5, -0.03), level("a", 0.2, -0.04))),
        Carried("c", "from_b", "b", (level("c", 0.22, 0.05),)),
    ]
    plot = figures.transfers(cells)
    assert plot is not None
    assert "22.0%" in plot.title
    axes = plot.figure.axes[0]
    assert [t.get_text() for t in axes.get_xticklabels()] == ["a", "c"]
    assert [t.get_text() for t in axes.get_yticklabels()] == ["its own (imp)", "b (from_b)"]
    # IMP on a has no ticket near 22%, and none on c at all.
    assert [t.get_text() for t in axes.texts] == ["-", "-", "-4.0", "+5.0"]
    assert figures.transfers(cells[:2]) is None
    nothing = [dataclasses.replace(c, levels=(level("a", 0.5, None),)) for c in cells]
    assert figures.transfers(nothing) is None
