"""Accuracy and early stop by density: drawn from the numbers given, and nothing drawn of none."""

import dataclasses
from xml.etree import ElementTree

from figure_inputs import curve, lines_of
from hypothesis import given, settings
from hypothesis import strategies as st

from ltx.analysis.paired_tests import Interval
from ltx.reporting.figures import by_density, cost

NAN = float("nan")


def test_the_lines_go_through_the_points() -> None:
    plot = by_density.values("task", [curve()])
    assert lines_of(plot).tolist() == [[1, 1], [0.5, 0.5], [0.1, 0.1]]
    stop = by_density.early_stops("task", [curve()])
    assert stop is not None
    assert lines_of(stop).tolist() == [[1, 10], [0.5, 10], [0.1, 10]]


def test_bands_are_the_intervals() -> None:
    (band,) = by_density.values("task", [curve()]).figure.axes[0].collections
    corners = {tuple(round(float(v), 6) for v in corner) for corner in band.get_paths()[0].vertices}
    assert {(0.5, 0.4), (0.5, 0.6), (0.1, 0.0), (0.1, 0.2)} <= corners


def test_a_control_is_dashed() -> None:
    plot = by_density.values("task", [curve(), curve("reinit", 1)])
    imp, reinit, *_ = plot.figure.axes[0].lines
    assert (imp.get_linestyle(), reinit.get_linestyle()) == ("-", "--")


def test_what_a_point_lacks_is_left_out() -> None:
    one = curve()
    none = Interval(NAN, NAN, NAN)
    first = dataclasses.replace(one.points[0], early_stop=none)
    gap = dataclasses.replace(one, points=(first, *one.points[1:]))
    plot = by_density.early_stops("task", [gap])
    assert plot is not None
    assert len(lines_of(plot)) == 2
    empty = tuple(dataclasses.replace(point, early_stop=none) for point in one.points)
    assert by_density.early_stops("task", [dataclasses.replace(one, points=empty)]) is None


@settings(max_examples=5)
@given(
    st.lists(st.floats(1e-4, 1), min_size=1, max_size=5, unique=True),
    st.integers(1, 9),
    st.text(max_size=30),
)
def test_every_study_can_be_drawn(densities: list[float], count: int, name: str) -> None:
    many = [curve(f"{name}{n}", n, tuple(sorted(densities)[::-1])) for n in range(count)]
    for plot in (*cost.costs(name, many), by_density.values(name, many)):
        legends = [t for legend in plot.figure.legends for t in legend.get_texts()]
        assert len([*plot.figure.texts, *legends]) == count
        assert ElementTree.fromstring(plot.svg()).tag.endswith("svg")
