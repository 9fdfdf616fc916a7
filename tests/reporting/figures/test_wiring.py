"""Wiring: a line for each surviving weight, grey dots for dead units, maps of what is too large."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from matplotlib.colors import to_rgb
from matplotlib.path import Path

from ltx.reporting import page_plots
from ltx.reporting.figures import mask_maps, style, wiring
from ltx.reporting.figures.style import Plot


def lines(plot: Plot) -> int:
    codes = [patch.get_path().codes for patch in plot.figure.axes[0].patches]
    return sum(int((code == Path.MOVETO).sum()) for code in codes if code is not None)


def dots(plot: Plot, kind: str) -> dict[int, int]:
    found = {str(line.get_gid()): line for line in plot.figure.axes[0].lines}
    colour = {"dead": style.FAINT, "unit": style.INK}[kind]
    assert all(one.get_color() == colour for gid, one in found.items() if gid.startswith(kind))
    return {
        int(gid.partition("-")[2]): len(line.get_xdata())
        for gid, line in found.items()
        if gid.startswith(kind)
    }


@settings(max_examples=15, deadline=None)
@given(
    sizes=st.lists(st.integers(1, 9), min_size=2, max_size=4),
    density=st.floats(0.05, 1),
    seed=st.integers(0, 99),
    known=st.booleans(),
)
def test_every_survivor_is_a_line_and_dead_units_are_grey(
    sizes: list[int], density: float, seed: int, known: bool
) -> None:
    rng = np.random.default_rng(seed)
    masks = {
        f"dense_{n}/kernel": rng.random(shape) < density
        for n, shape in enumerate(itertools.pairwise(sizes))
    }
    weights = {name: rng.normal(size=keep.shape) for name, keep in masks.items()} if known else {}
    chain = wiring.connections(masks, weights)
    assert chain is not None
    plot = wiring.plot("task", "imp", "level 1, seed 0", chain)
    assert lines(plot) == sum(keep.sum() for keep in masks.values())
    living = [np.ones(n, bool) for n in sizes]
    for place, keep in enumerate(masks.values()):
        living[place] &= keep.any(axis=1)
        living[place + 1] &= keep.any(axis=0)
    units, dead = dots(plot, "unit"), dots(plot, "dead")
    for place, own in enumerate(living):
        assert (units.get(place, 0), dead.get(place, 0)) == (own.sum(), (~own).sum())
    told = [tip for tips in plot.tips.values() for tip in tips]
    assert len(told) == sum(sizes)
    assert sum("dead" in tip for tip in told) == sum(dead.values())


def test_signs_are_colours_and_magnitudes_are_widths() -> None:
    masks = {"a/kernel": np.ones((2, 2), bool)}
    chain = wiring.connections(masks, {"a/kernel": np.array([[1.0, -1.0], [0.1, -0.1]])})
    assert chain is not None
    patches = wiring.plot("task", "imp", "level 1", chain).figure.axes[0].patches
    blue, orange = style.COLOURS[:2]
    drawn = {(p.get_edgecolor()[:3], p.get_linewidth()) for p in patches}
    assert drawn == {(to_rgb(c), w) for c in (blue, orange) for w in (0.3, 1.9)}


def test_convolutions_are_wired_by_channels_also_behind_a_flattening() -> None:
    conv = np.zeros((3, 3, 1, 2), bool)
    conv[0, 1, 0, 1] = conv[2, 2, 0, 1] = True
    dense = np.zeros((8, 3), bool)  # 4 places of 2 channels
    dense[5, 2] = True
    weights = {"conv/kernel": np.full(conv.shape, -1.0)}
    chain = wiring.connections({"conv/kernel": conv, "out/kernel": dense}, weights)
    assert chain is not None
    assert [one.keep.tolist() for one in chain] == [
        [[False, True]],
        [[False, False, False], [False, False, True]],
    ]
    assert chain[0].values[0, 1] == -1
    assert np.isnan(chain[1].values).all()
    assert [units.tolist() for units in wiring.alive(chain)] == [
        [True],
        [False, True],
        [False, False, True],
    ]


def test_layers_that_are_no_chain_have_none() -> None:
    gru = {"kernel": np.ones((4, 9), bool), "recurrent": np.ones((3, 9), bool)}
    assert wiring.connections(gru, {}) is None
    assert wiring.connections({"factor": np.ones(4, bool)}, {}) is None


def test_what_is_too_large_is_a_map_of_each_layer() -> None:
    masks = {"a/kernel": np.zeros((784, 300), bool), "b/kernel": np.ones((300, 10), bool)}
    masks["a/kernel"][:10] = True
    chain = wiring.connections(masks, {})
    assert chain is not None
    assert not wiring.fits(chain)
    plot = mask_maps.plot("task", "imp", "level 1, seed 0", masks)
    assert len(plot.figure.axes[0].images) == 2
    assert plot.tips["map-0"] == ["a/kernel 784x300: 1.28% survive"]
    cells = mask_maps.binned(masks["a/kernel"])
    assert cells.shape == (48, 48)
    assert cells[0].min() > 0.6 > cells[1].max() == 0
    many = {f"layer_{n}/kernel": np.ones((2, 2), bool) for n in range(40)}
    assert "16 more layers are not shown" in mask_maps.plot("task", "imp", "x", many).text


@pytest.mark.parametrize("count", [1, 3])
def test_every_dot_says_its_weights_on_the_page(count: int) -> None:
    masks = {"a/kernel": np.eye(4, dtype=bool)[:, :count]}
    chain = wiring.connections(masks, {})
    assert chain is not None
    svg = page_plots.svg(wiring.plot("task", "imp", "level 1", chain), "w1", alone=True)
    assert svg.count("<title>") == 4 + count
    assert "<title>inputs 0: 1 out</title>" in svg
    assert "<title>inputs 3: 0 out, dead</title>" in svg


def test_a_full_diagram_stays_small() -> None:
    rng = np.random.default_rng(0)
    masks = {
        "a/kernel": rng.random((784, 300)) < 0.01,
        "b/kernel": rng.random((300, 100)) < 0.015,
        "c/kernel": rng.random((100, 10)) < 0.1,
    }
    chain = wiring.connections(masks, {n: rng.normal(size=k.shape) for n, k in masks.items()})
    assert chain is not None
    assert wiring.fits(chain)
    assert len(page_plots.svg(wiring.plot("task", "imp", "level 1", chain), "w1")) < 500_000
