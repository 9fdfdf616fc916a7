"""Heat map: a number stands where there is one, and what is missing or zero is no colour."""

import math

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LogNorm, Normalize

from ltx.reporting.figures import heat_map
from ltx.reporting.figures.heat_map import LayerMap


def drawn(values: np.ndarray, norm: Normalize) -> Axes:
    rows, columns = (list(map(str, range(count))) for count in values.shape)
    figure, axes = heat_map.grid(len(rows), rows, columns)
    heat_map.cells(figure, axes, values, norm, "cividis", "unit", lambda v: f"{v:g}")
    return axes


def test_a_missing_value_is_a_dash_and_zero_an_x_where_it_has_no_logarithm() -> None:
    values = np.array([[1.0, 0.0], [math.nan, 0.5]])
    for norm, zero in ((LogNorm(0.1, 1), "x"), (Normalize(0, 1), "0")):
        axes = drawn(values, norm)
        assert [text.get_text() for text in axes.texts] == ["1", zero, "-", "0.5"]
        hidden = np.ma.getmaskarray(axes.images[0].get_array())
        assert hidden.tolist() == [[False, zero == "x"], [True, False]]


def test_numbers_are_left_out_where_they_do_not_fit() -> None:
    values = np.full((1, 8), 0.5)
    values[0, 3] = math.nan
    assert [text.get_text() for text in drawn(values, Normalize(0, 1)).texts] == ["-"]


def test_of_many_columns_some_are_named() -> None:
    axes = drawn(np.zeros((1, 20)), Normalize(0, 1))
    assert [label.get_text() for label in axes.get_xticklabels()] == [*map(str, range(0, 20, 3))]


FOUND = {
    ("conv_10/kernel", 0): [0.5],
    ("conv_9/kernel", 0): [0.25, 0.75],
    ("conv_9/kernel", 2): [0.125],
}


def test_values_are_means_in_natural_order_and_nan_where_unknown() -> None:
    made = LayerMap.of(FOUND)
    assert (made.names, made.levels) == (["conv_9/kernel", "conv_10/kernel"], [0, 2])
    assert np.array_equal(made.values, [[0.5, 0.125], [0.5, math.nan]], equal_nan=True)


def test_the_plot_names_layers_and_says_their_last_level() -> None:
    long = {(f"{'block/' * 5}conv/kernel", 0): [1.0]}
    plot = LayerMap.of(FOUND | long).plot("dead units", "a", "imp", "dead", Normalize(0, 1), ".1%")
    axes = plot.figure.axes[0]
    names = [label.get_text() for label in axes.get_yticklabels()]
    assert names == ["…block/block/block/conv", "conv_9", "conv_10"]
    assert (plot.name, plot.title) == ("dead-units-a-imp", "imp on a: dead units")
    assert "conv_9/kernel 12.5%, conv_10/kernel nan%" in plot.text
