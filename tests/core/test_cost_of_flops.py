"""Flops: what weights cost, kept or pruned, forward and back."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ltx import Mask, Weight
from ltx.core.cost import TRAINING_FLOPS, forward, forward_backward

PRUNABLE = (Weight("conv/kernel", (2, 3), uses=5), Weight("dense/kernel", (3, 2)))


def masks(kept: int) -> Mask:
    flat = np.arange(12) < kept
    return Mask({"conv/kernel": flat[:6].reshape(2, 3), "dense/kernel": flat[6:].reshape(3, 2)})


def test_a_weight_costs_six_for_each_use_and_example() -> None:
    cost = forward_backward(10, PRUNABLE, masks(7))
    assert (cost.steps, cost.examples) == (0, 10)
    assert cost.dense_flops == 6 * (6 * 5 + 6) * 10
    assert cost.flops == 6 * (6 * 5 + 1) * 10


@given(st.integers(0, 12), st.integers(0, TRAINING_FLOPS), st.integers(1, 100))
def test_what_pruned_weights_cost_lies_between_nothing_and_all(
    kept: int, unmasked: int, examples: int
) -> None:
    cost = forward_backward(examples, PRUNABLE, masks(kept), unmasked)
    masked = forward_backward(examples, PRUNABLE, masks(kept))
    assert masked.flops <= cost.flops <= cost.dense_flops == masked.dense_flops
    share = unmasked / TRAINING_FLOPS
    assert cost.flops == pytest.approx(masked.flops + share * (cost.dense_flops - masked.flops))


@given(st.integers(0, 12))
def test_forward_is_a_third(kept: int) -> None:
    there, both = (f(4, PRUNABLE, masks(kept)) for f in (forward, forward_backward))
    assert (3 * there.dense_flops, 3 * there.flops) == (both.dense_flops, both.flops)
    assert there.examples == both.examples
