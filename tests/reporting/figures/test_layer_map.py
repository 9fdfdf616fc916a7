"""Layer map: means in the layers' natural order, and what is unknown stays so."""

import math

import numpy as np
from matplotlib.colors import Normalize

from ltx.reporting.figures.layer_map import LayerMap

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
