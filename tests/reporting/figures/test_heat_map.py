"""Heat map: a number stands where there is one, and what is missing or zero is no colour."""

import math

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LogNorm, Normalize

from ltx.reporting.figures import heat_map


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
