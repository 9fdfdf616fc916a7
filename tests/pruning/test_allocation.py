"""Densities: exact totals, the shares of the papers, and no layer beyond its size."""

from collections.abc import Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ltx import Weight
from ltx.pruning import allocation
from ltx.pruning.allocation import RULES, erk, smart

LENET = (
    Weight("dense_1/kernel", (784, 300)),
    Weight("dense_2/kernel", (300, 100)),
    Weight("output/kernel", (100, 10), is_output=True),
)


def counts(weights: Iterable[Weight], density: float, scope: str) -> dict[str, int]:
    return allocation.allocate({weight.name: weight for weight in weights}, density, scope)


shapes = st.lists(
    st.lists(st.integers(1, 20), min_size=1, max_size=4).map(tuple), min_size=1, max_size=6
)


@given(shapes, st.floats(0.001, 0.999), st.sampled_from(sorted(RULES)))
def test_totals_are_exact_and_no_layer_overflows(
    made: list[tuple[int, ...]], density: float, rule: str
) -> None:
    weights = [Weight(str(number), shape) for number, shape in enumerate(made)]
    kept = counts(weights, density, rule)
    assert sum(kept.values()) == round(density * sum(w.size for w in weights))
    assert all(0 <= kept[w.name] <= w.size for w in weights)


def test_uniform_gives_every_layer_its_share() -> None:
    assert counts(LENET, 0.1, "layer") == {
        "dense_1/kernel": 23520,
        "dense_2/kernel": 3000,
        "output/kernel": 100,
    }


def test_erk_gives_small_layers_more_and_fills_them_first() -> None:
    kept = counts(LENET, 0.05, "erk")
    # (784 + 300) : (300 + 100) : (100 + 10) connections, as the paper has it.
    scale = 13310 / (1084 + 400 + 110)
    for weight in LENET:
        assert kept[weight.name] == pytest.approx(scale * sum(weight.shape), abs=1)
    filled = counts(LENET, 0.2, "erk")
    assert filled["output/kernel"] == 1000
    assert filled["dense_2/kernel"] / filled["dense_1/kernel"] == pytest.approx(400 / 1084, 1e-3)


def test_erk_of_a_convolution_counts_its_window() -> None:
    assert erk(Weight("conv/kernel", (3, 3, 16, 32), kind="conv"), 1, 9) == (3 + 3 + 16 + 32) / 4608


def test_smart_ratios_fall_and_leave_the_output_layer_at_its_own() -> None:
    shapes = ((3, 3, 16, 64), (3, 3, 64, 64), (3, 3, 64, 64), (64, 10))
    weights = [Weight(str(n), shape, is_output=n == 3) for n, shape in enumerate(shapes)]
    kept = counts(weights, 0.05, "smart")
    assert kept["3"] == round(0.3 * 640)
    assert sum(kept.values()) == round(0.05 * sum(w.size for w in weights))
    ratios = [kept[w.name] / w.size for w in weights[:3]]
    # Four layers: 4 squared plus 4, 3 squared plus 3, 2 squared plus 2.
    assert [ratio / ratios[2] for ratio in ratios] == pytest.approx([20 / 6, 12 / 6, 1], rel=0.01)
    assert [smart(w, n, 4) for n, w in enumerate(weights, 1)] == [20, 12, 6, 2]


def test_units_are_counted_instead_of_weights_and_none_falls_below_the_least() -> None:
    weights = {w.name: w for w in LENET}
    sizes = {"dense_1/kernel": 300, "dense_2/kernel": 100, "output/kernel": 2}
    kept = allocation.allocate(weights, 0.1, "layer", sizes, least=1)
    assert kept == {"dense_1/kernel": 29, "dense_2/kernel": 10, "output/kernel": 1}
