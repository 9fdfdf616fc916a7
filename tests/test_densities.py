"""Densities: exact totals, the shares of the papers, and no layer beyond its size."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ltx import Weight
from ltx.densities import RULES, counts, erk, uniform

LENET = (
    Weight("dense_1/kernel", (784, 300)),
    Weight("dense_2/kernel", (300, 100)),
    Weight("output/kernel", (100, 10), is_output=True),
)
shapes = st.lists(
    st.lists(st.integers(1, 20), min_size=1, max_size=4).map(tuple), min_size=1, max_size=6
)


@given(shapes, st.floats(0.001, 0.999), st.sampled_from(sorted(RULES)))
def test_totals_are_exact_and_no_layer_overflows(
    made: list[tuple[int, ...]], density: float, rule: str
) -> None:
    weights = [Weight(str(number), shape) for number, shape in enumerate(made)]
    kept = counts(weights, density, RULES[rule])
    assert sum(kept.values()) == round(density * sum(w.size for w in weights))
    assert all(0 <= kept[w.name] <= w.size for w in weights)


def test_uniform_gives_every_layer_its_share() -> None:
    assert counts(LENET, 0.1, uniform) == {
        "dense_1/kernel": 23520,
        "dense_2/kernel": 3000,
        "output/kernel": 100,
    }


def test_erk_gives_small_layers_more_and_fills_them_first() -> None:
    kept = counts(LENET, 0.05, erk)
    # (784 + 300) : (300 + 100) : (100 + 10) connections, as the paper has it.
    scale = 13310 / (1084 + 400 + 110)
    for weight in LENET:
        assert kept[weight.name] == pytest.approx(scale * sum(weight.shape), abs=1)
    filled = counts(LENET, 0.2, erk)
    assert filled["output/kernel"] == 1000
    assert filled["dense_2/kernel"] / filled["dense_1/kernel"] == pytest.approx(400 / 1084, 1e-3)


def test_erk_of_a_convolution_counts_its_window() -> None:
    assert erk(Weight("conv/kernel", (3, 3, 16, 32), kind="conv")) == (3 + 3 + 16 + 32) / 4608
