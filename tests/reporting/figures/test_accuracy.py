"""Figures: every plot is drawn from the numbers it is given, and nothing is drawn of none."""

import dataclasses
from typing import Any
from xml.etree import ElementTree

from figure_inputs import CELLS, cell, curve, lines_of
from hypothesis import given, settings
from hypothesis import strategies as st

from ltx.analysis.paired_tests import Interval
from ltx.reporting.figures import accuracy

NAN = float("nan")


def test_the_lines_go_through_the_points() -> None:
    one = curve()
    steps, flops = accuracy.costs("task", [one])  # of no point the seconds are known
    assert lines_of(steps).tolist() == [[1, 1], [10, 0.5], [100, 0.1]]
    assert lines_of(flops).tolist() == [[1e6, 1], [5e5, 0.5], [1e5, 0.1]]
    assert lines_of(accuracy.accuracies("task", [one])).tolist() == [[1, 1], [0.5, 0.5], [0.1, 0.1]]
    stop = accuracy.early_stops("task", [one])
    assert stop is not None
    assert lines_of(stop).tolist() == [[1, 10], [0.5, 10], [0.1, 10]]


def test_seconds_are_drawn_where_they_are_known() -> None:
    one = curve()
    timed = tuple(
        dataclasses.replace(point, seconds=seconds)
        for point, seconds in zip(one.points, (30.0, NAN, 7200.0), strict=True)
    )
    known, unknown = dataclasses.replace(one, points=timed), curve("old", 1)
    assert len(accuracy.costs("task", [unknown])) == 2
    seconds = accuracy.costs("task", [known, unknown])[2]
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
    (band,) = accuracy.accuracies("task", [curve()]).figure.axes[0].collections
    corners = {tuple(round(float(v), 6) for v in corner) for corner in band.get_paths()[0].vertices}
    assert {(0.5, 0.4), (0.5, 0.6), (0.1, 0.0), (0.1, 0.2)} <= corners


def test_a_control_is_dashed() -> None:
    plot = accuracy.accuracies("task", [curve(), curve("reinit", 1)])
    imp, reinit, *_ = plot.figure.axes[0].lines
    assert (imp.get_linestyle(), reinit.get_linestyle()) == ("-", "--")


def test_what_a_point_lacks_is_left_out() -> None:
    one = curve()
    none = Interval(NAN, NAN, NAN)
    first = dataclasses.replace(one.points[0], early_stop=none)
    gap = dataclasses.replace(one, points=(first, *one.points[1:]))
    plot = accuracy.early_stops("task", [gap])
    assert plot is not None
    assert len(lines_of(plot)) == 2
    empty = tuple(dataclasses.replace(point, early_stop=none) for point in one.points)
    assert accuracy.early_stops("task", [dataclasses.replace(one, points=empty)]) is None


@settings(max_examples=5)
@given(
    st.lists(st.floats(1e-4, 1), min_size=1, max_size=5, unique=True),
    st.integers(1, 9),
    st.text(max_size=30),
)
def test_every_study_can_be_drawn(densities: list[float], count: int, name: str) -> None:
    many = [curve(f"{name}{n}", n, tuple(sorted(densities)[::-1])) for n in range(count)]
    for plot in (*accuracy.costs(name, many), accuracy.accuracies(name, many)):
        legends = [t for legend in plot.figure.legends for t in legend.get_texts()]
        assert len([*plot.figure.texts, *legends]) == count
        assert ElementTree.fromstring(plot.svg()).tag.endswith("svg")


def test_names_of_lines_do_not_cover_one_another() -> None:
    many = [curve(f"finder_{n}", n) for n in range(6)]  # all of them end in one point
    places = [t.get_position() for t in accuracy.accuracies("task", many).figure.texts]
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
    plot = accuracy.layers("task", "imp", lines[:-1])
    axes = plot.figure.axes[0]
    assert [t.get_text() for t in axes.get_yticklabels()] == ["conv_9", "conv_10"]
    assert [t.get_text() for t in axes.texts] == ["100", "x", "100", "30"]
    assert "conv_9/kernel 0.00%" in plot.text


def texts(plot: Any) -> tuple[list[str], list[str], list[str]]:
    axes = plot.figure.axes[0]
    rows, columns = axes.get_yticklabels(), axes.get_xticklabels()
    return tuple([t.get_text() for t in some] for some in (rows, columns, axes.texts))  # type: ignore[return-value]


def test_maps_compare_at_a_level_that_all_reached() -> None:
    native, mask, sign = accuracy.transferred(CELLS)
    assert {plot.title.rpartition(" ")[2] for plot in (native, mask, sign)} == {"1"}
    assert texts(native) == (["imp", "dense"], ["a", "c"], ["95.0", "95.0", "98.0", "98.0"])
    # Nothing was carried from a to c, and no signs to c.
    assert texts(mask) == (["a", "b"], ["a", "c"], ["+0.0", "-", "-3.0", "+5.0"])
    assert texts(sign) == (["b"], ["a", "c"], ["-1.0", "-"])
    assert "b on c: missing" in sign.text
    assert len({plot.name for plot in (native, mask, sign)}) == 3


def test_all_maps_of_gaps_have_one_scale() -> None:
    _, mask, sign = accuracy.transferred(CELLS)
    scales = [plot.figure.axes[0].images[0].norm for plot in (mask, sign)]
    assert {(norm.vmin, norm.vmax) for norm in scales} == {(-5.0, 5.0)}


def test_one_source_and_one_target_make_no_map() -> None:
    assert accuracy.transferred([CELLS[2], CELLS[4]]) == []
    assert accuracy.transferred([]) == []


def test_what_has_no_native_tickets_is_missing_from_its_map() -> None:
    cells = [cell(task, "b", "mask", 1, None) for task in "ac"]
    native, mask = accuracy.transferred(cells)
    assert texts(native) == (["dense"], ["a", "c"], ["98.0", "98.0"])
    assert texts(mask) == (["b"], ["a", "c"], ["-", "-"])
