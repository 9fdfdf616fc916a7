"""Layer figures: means in the layers' natural order, and missing ones stay missing."""

from ltx.reporting.figures import layers


def test_layers_are_means_in_their_natural_order() -> None:
    lines = [
        {"layer": f"conv_{n}/kernel", "level": level, "density": density}
        for n in (10, 9)
        for level, values in ((0, (1.0, 1.0)), (1, (0.0, 0.0) if n == 9 else (0.2, 0.4)))
        for density in values
    ]
    plot = layers.densities("task", "imp", lines[:-1])
    axes = plot.figure.axes[0]
    assert [t.get_text() for t in axes.get_yticklabels()] == ["conv_9", "conv_10"]
    assert [t.get_text() for t in axes.texts] == ["100", "x", "100", "30"]
    assert "conv_9/kernel 0.00%" in plot.text


def test_dead_units_are_shares_and_missing_ones_stay_missing() -> None:
    lines = [
        {"layer": name, "level": level, "units": units, "dead_units": dead}
        for level, name, units, dead in [
            (0, "conv_2/kernel", None, None),
            (1, "conv_10/kernel", 20, 5),
            (1, "conv_2/kernel", 10, 0),
            (2, "conv_2/kernel", 10, 1),
            (2, "conv_2/kernel", 10, 2),
        ]
    ]
    plot = layers.dead_units("task", "imp", lines)
    assert plot is not None
    axes = plot.figure.axes[0]
    assert [t.get_text() for t in axes.get_yticklabels()] == ["conv_2", "conv_10"]
    assert [t.get_text() for t in axes.texts] == ["0", "15", "25", "-"]
    assert layers.dead_units("task", "imp", lines[2:3]) is None  # none is dead
    assert layers.dead_units("task", "imp", lines[:1]) is None  # none is known
