"""Plots of the page: no names that the key has, tips at every point, and the files as before."""

import json
import re
from html import unescape

from figure_inputs import curve

from ltx.reporting import page_plots
from ltx.reporting.figures import by_density, heat_map
from ltx.reporting.figures.style import Plot


def tips(svg: str) -> list[str]:
    return [unescape(tip) for tip in re.findall(r"<use [^>]*><title>([^<]*)</title></use>", svg)]


def width(svg: str) -> float:
    box = re.search(r'viewBox="0 0 ([\d.]+) ([\d.]+)"', svg)
    assert box is not None
    return float(box[1])


def test_every_point_has_a_tip_with_its_value() -> None:
    plot = by_density.values("task", [curve("<b>"), curve("reinit", 1)])
    found = tips(page_plots.svg(plot, "a1"))
    assert len(found) == 2 * 3
    assert found[1] == "<b>: 50.00% ± 10.00 at density 50.00%, 3 seeds"
    assert found[5] == "reinit: 10.00% ± 10.00 at density 10.00%, 3 seeds"


def test_names_are_left_to_the_key() -> None:
    for count in (2, 8):  # at the ends of lines, and in a legend
        plot = by_density.values("task", [curve(f"finder_{n}", n) for n in range(count)])
        shown = re.sub("<(desc|title).*?</", "", page_plots.svg(plot, "a1"), flags=re.S)
        assert "finder_" not in shown
        assert plot.svg().count("finder_1") == 1


def test_a_plot_alone_is_wider_and_the_figure_stays_that_of_the_files() -> None:
    plot = by_density.values("task", [curve(f"finder_{n}", n) for n in range(8)])
    before = plot.svg()
    alone, beside = (page_plots.svg(plot, "a1", alone) for alone in (True, False))
    assert width(alone) > 1.5 * width(beside)
    assert plot.svg() == before
    assert page_plots.svg(plot, "a1") == beside


def test_cells_say_their_values_wherever_the_map_is() -> None:
    shares = {("<layer>", 0): [1.0], ("<layer>", 3): [0.25], ("other", 0): [0.0]}
    layers = heat_map.LayerMap.of(shares)
    plot = layers.plot("layers", "task", "imp", "density", heat_map.Normalize(0, 1), ".1%")
    svg = page_plots.svg(plot, "l1", alone=True)
    (overlay,) = re.findall(r"<rect ([^>]*data-rows[^>]*)/>", svg)
    data = {k: json.loads(unescape(v)) for k, v in re.findall(r'data-(\w+)="([^"]*)"', overlay)}
    assert data == {
        "rows": ["<layer>", "other"],
        "columns": ["level 0", "level 3"],
        "values": [["100.00% density", "25.00% density"], ["0.00% density", "missing"]],
    }
    place = {k: float(v) for k, v in re.findall(r'(x|y|width|height)="([\d.]+)"', overlay)}
    assert width(svg) / 2 < place["width"] < width(svg) - place["x"]


def test_plots_fill_their_rows() -> None:
    assert [page_plots.row_of(n) for n in (1, 2, 3, 4, 5)] == [
        *("alone", "pairs", "threes", "pairs", "threes")
    ]


def test_markers_that_are_not_drawn_move_no_tip_to_another() -> None:
    plot = by_density.values("task", [curve()])
    fewer = Plot(plot.name, plot.title, plot.text, plot.figure, {"line-0": ["one", "two"]})
    assert tips(page_plots.svg(fewer, "a1")) == []
