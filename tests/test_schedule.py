"""Schedule: TF-MOT's curve and its masks in numpy, down to what it does at the edges."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ltx import PolynomialDecay, UsageError, Weight
from ltx.schedule import _pool

CURVE = PolynomialDecay(density=0.2, begin=5, end=45, every=10)


def test_masks_are_due_on_the_grid_within_the_range() -> None:
    assert [step for step in range(80) if CURVE.is_due(step)] == [5, 15, 25, 35, 45]
    groups = PolynomialDecay(density=0.5, begin=5, end=45, zeros=(2, 4))
    assert [step for step in range(80) if groups.is_due(step)] == [5]


def test_the_share_that_goes_follows_the_paper() -> None:
    for step in (0, 5, 15, 25, 35, 45, 60):
        way = min(1, max(0, (step - 5) / 40))
        assert CURVE.sparsity(step) == pytest.approx(0.8 - 0.8 * (1 - way) ** 3, abs=1e-6)
    late = PolynomialDecay(density=0.2, begin=0, end=10, start=0.5, power=1)
    assert late.sparsity(0) == pytest.approx(0.5)
    assert late.sparsity(5) == pytest.approx(0.65)


@given(st.integers(1, 300), st.integers(5, 45), st.integers(0, 99))
def test_the_largest_stay(size: int, step: int, seed: int) -> None:
    array = np.random.default_rng(seed).normal(size=(size, 1)).astype(np.float32)
    kept = CURVE.mask({"w": array}, step)["w"]
    assert kept.sum() == max(1, round(size * float(1 - CURVE.sparsity(step))))
    assert kept.all() or np.abs(array[~kept]).max() < np.abs(array[kept]).min()


def test_equals_of_the_smallest_survivor_stay_too() -> None:
    assert CURVE.mask({"w": np.ones((4, 5), np.float32)}, 45)["w"].all()


def test_blocks_stand_and_fall_whole() -> None:
    array = np.arange(1, 25, dtype=np.float32).reshape(4, 6)
    made = PolynomialDecay(density=0.25, begin=0, end=10, block=(2, 3)).mask({"w": array}, 10)["w"]
    assert made.tolist() == [[False] * 6] * 2 + [[False] * 3 + [True] * 3] * 2


def test_pools_of_a_length_that_does_not_divide_begin_early() -> None:
    # TF-MOT pads 6 rows to 8 with one at either end: rows 0-2 and 3-5, though it prunes 0-3, 4-5.
    array = np.arange(6, dtype=np.float32)[:, None]
    assert _pool(array, 4, "average").ravel().tolist() == [1, 4]
    assert _pool(array, 4, "max").ravel().tolist() == [2, 5]


@pytest.mark.parametrize("shape", [(8, 5), (6, 3), (3, 3, 8, 2)])
@pytest.mark.parametrize("zeros", [(2, 4), (3, 4), (1, 2)])
def test_every_group_of_inputs_has_its_zeros(
    shape: tuple[int, ...], zeros: tuple[int, int]
) -> None:
    array = np.random.default_rng(0).normal(size=shape).astype(np.float32)
    schedule = PolynomialDecay(density=0.5, begin=0, end=1, zeros=zeros)
    kept = schedule.mask({"w": array}, 0)["w"]
    inputs = np.moveaxis(kept, -2, -1)
    for at in range(0, shape[-2] - zeros[1] + 1, zeros[1]):
        assert (inputs[..., at : at + zeros[1]].sum(-1) == zeros[1] - zeros[0]).all()


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"density": 0.0}, "density"),
        ({"start": 1.5}, "start"),
        ({"power": 0}, "power"),
        ({"begin": -1}, "begin"),
        ({"end": 5}, "end"),
        ({"every": 0}, "every"),
        ({"pooling": "median"}, "pooling"),
        ({"block": (0, 1)}, "block"),
        ({"zeros": (4, 4)}, "zeros"),
        ({"zeros": (2, 4), "block": (4, 1)}, "zeros"),
    ],
)
def test_bad_settings_are_refused_by_name(settings: dict, words: str) -> None:
    with pytest.raises(UsageError, match=rf"PolynomialDecay\.{words}"):
        PolynomialDecay(**{"density": 0.5, "begin": 5, "end": 10, **settings})


def test_what_tfmot_cannot_divide_is_refused_by_name() -> None:
    weights = [Weight("fc/kernel", (8, 4)), Weight("conv/kernel", (3, 8, 4))]
    assert CURVE.check(weights) is CURVE
    for settings in ({"block": (4, 1)}, {"zeros": (2, 4)}):
        schedule = PolynomialDecay(density=0.5, begin=5, end=10, **settings)  # type: ignore[arg-type]
        schedule.check(weights[:1])
        with pytest.raises(UsageError, match="conv/kernel"):
            schedule.check(weights)
