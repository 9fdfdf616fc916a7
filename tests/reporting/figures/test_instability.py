"""Valleys: every plot goes through the numbers it is given, and says them in words."""

import math
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest
from compared_copies import compared

from ltx.analysis import instability_curves
from ltx.analysis.instability_curves import StabilityCurve
from ltx.reporting.figures import instability
from ltx.reporting.figures.style import Plot

FINDERS = ["imp", "reinit"]


def strands(at: str = "ticket", start: int = 0, **changed: Any) -> list[StabilityCurve]:
    found = [
        compared(level, seed, finder, middle=0.18 + 0.01 * level, at=at, start=start, **changed)
        for finder in FINDERS
        for level in range(3)
        for seed in range(2)
    ]
    return instability_curves.stability_curves(found, FINDERS)


def points(plot: Plot, label: str) -> np.ndarray:
    (line,) = [one for one in plot.figure.axes[0].lines if one.get_label() == label]
    return np.asarray(line.get_xydata())


def test_barriers_are_drawn_by_density_beside_the_line_of_stability() -> None:
    plot = instability.barriers("task", strands())
    np.testing.assert_allclose(points(plot, "imp"), [[1, 0.05], [0.5, 0.05], [0.25, 0.05]])
    axes = plot.figure.axes[0]
    assert 0.02 in [line.get_ydata()[0] for line in axes.lines]  # type: ignore[index]
    assert axes.get_ylim()[0] == 0
    assert "imp: 5.0%, 0 of 2 stable at density 100.0%" in plot.text
    assert "from the ticket's own weights" in plot.title
    assert "from 10% of dense training" in instability.barriers("task", strands("10%")).title


def test_a_flat_line_shows_the_two_percent_all_the_same() -> None:
    flat = strands(errors=(0.1, 0.1, 0.1))
    plot = instability.barriers("task", flat)
    assert plot.figure.axes[0].get_ylim()[1] > 0.02
    assert "2 of 2 stable" in plot.text


def test_the_error_between_two_copies_is_drawn_at_three_densities() -> None:
    plot = instability.errors(strands()[0])
    drawn = [line.get_xydata() for line in plot.figure.axes[0].lines]
    np.testing.assert_allclose(drawn[0], [[0, 0.1], [0.5, 0.18], [1, 0.2]])
    np.testing.assert_allclose(drawn[2], [[0, 0.1], [0.5, 0.2], [1, 0.2]])
    assert [text.get_text() for text in plot.figure.texts] == ["100%", "50%", "25%"]
    assert "at density 25.0% from 10.0% over at most 20.0% to 20.0%" in plot.text


def test_distances_and_angles_are_of_data_order_and_of_pruning() -> None:
    plots = instability.distances("task", strands())
    assert [plot.name for plot in plots] == [
        "distance-data-order-ticket-task",
        "angle-data-order-ticket-task",
        "distance-pruning-ticket-task",
        "angle-pruning-ticket-task",
    ]
    np.testing.assert_allclose(points(plots[0], "imp")[:, 1], [1.75, 1.75, 1.75])
    np.testing.assert_allclose(points(plots[1], "imp"), [[0.5, 90], [0.25, 90]])
    np.testing.assert_allclose(points(plots[2], "reinit"), [[0.5, 0.5], [0.25, 0.5]])
    assert not any("nan" in plot.text for plot in plots)
    assert "imp: 0.5 at density 50.0%, 0.5 at 25.0%" in plots[2].text


def test_without_a_dense_training_there_is_no_plot_of_pruning() -> None:
    plots = instability.distances("task", strands(to_pruning=None))
    assert [plot.name.split("-")[1] for plot in plots] == ["data", "data"]


def test_rewind_points_are_drawn_by_their_steps() -> None:
    every = [*strands(), *strands("10%", 20), *strands("50%", 100)]
    plot = instability.barriers_by_rewind("task", instability_curves.rewind_curves(every), "test")
    np.testing.assert_allclose(points(plot, "imp")[:, 0], [0, 20, 100])
    assert points(plot, "dense").shape == (3, 2)
    assert "from step 100" in plot.text


@pytest.mark.parametrize("finder", ["<imp>", "a$b$", "x" * 60])
def test_any_name_makes_a_sound_document(finder: str) -> None:
    found = [
        compared(level, finder=finder, at=at, start=n)
        for level in range(2)
        for n, at in enumerate(("ticket", "10%"))
    ]
    made = instability_curves.stability_curves(found, [finder])
    plots = [
        instability.barriers("task", made[:1]),
        instability.errors(made[0]),
        *instability.distances("task", made[:1]),
    ]
    for plot in plots:
        ElementTree.fromstring(plot.svg())
        assert not math.isnan(plot.figure.get_figwidth())
