"""Scores: what they look at, and what they leave alone."""

import dataclasses

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from ltx import (
    BatchNormScale,
    ByChannel,
    Criterion,
    Grasp,
    Magnitude,
    Mask,
    Pruning,
    Random,
    Snip,
    State,
    Synflow,
    UsageError,
)
from ltx.core.prunable import Channels
from ltx.pruning.scores import CRITERIA
from ltx.testing import FakeLab


def test_magnitude_is_the_absolute_value() -> None:
    lab = FakeLab()
    state = lab.init()
    scores = Magnitude()(lab, state, lab.dense())
    assert set(scores) == {"hidden/kernel", "output/kernel"}
    for name, score in scores.items():
        np.testing.assert_array_equal(score, np.abs(state.weights[name]))
    assert lab.spent.steps == 0


def test_random_depends_on_seed_and_stream_and_not_on_the_weights() -> None:
    def draw(seed: int, stream: str, init: str = "init") -> bytes:
        lab = FakeLab(seed=seed)
        scores = Random(stream)(lab, lab.init(init), lab.dense())
        return b"".join(scores[name].tobytes() for name in sorted(scores))

    assert draw(0, "a") == draw(0, "a", "other init")
    assert len({draw(0, "a"), draw(1, "a"), draw(0, "b")}) == 3


def test_random_has_the_shape_of_the_weights_and_no_ties() -> None:
    lab = FakeLab()
    scores = Random()(lab, lab.init(), lab.dense())
    for weight in lab.prunable:
        assert scores[weight.name].shape == weight.shape
        assert len(np.unique(scores[weight.name])) == weight.size


def loss(lab: FakeLab, weights: dict[str, np.ndarray]) -> float:
    state = lab.init().replace(weights={**lab.init().weights, **weights})
    return lab.evaluate(state, lab.dense(), "train").loss


def test_snip_is_what_removal_costs_to_first_order() -> None:
    lab = FakeLab()
    state, name = lab.init(), "output/kernel"
    scores = Snip(batches=lab.epoch)(lab, state, lab.dense())[name]
    for index in ((0, 0), (5, 2), (11, 3)):
        ends = []
        for share in (0.99, 1.01):
            weights = state.weights[name].copy()
            weights[index] *= np.float32(share)
            ends.append(loss(lab, {name: weights}))
        assert scores[index] == pytest.approx(abs(ends[1] - ends[0]) / 0.02, abs=1e-4)


def test_grasp_is_what_the_gradient_loses_with_a_weight() -> None:
    lab = FakeLab()
    state, dense = lab.init(), lab.dense()
    scores = Grasp(batches=2, temperature=1.0)(lab, state, dense)

    def squared(share: float, name: str, index: tuple[int, int]) -> float:
        weights = state.weights[name].astype(np.float64)
        weights[index] *= share
        changed = state.replace(weights={**state.weights, name: weights})
        gradients = lab.gradients(changed, dense, 2)
        return sum(float((g.astype(np.float64) ** 2).sum()) for g in gradients.values())

    for name, index in (
        ("hidden/kernel", (3, 4)),
        ("output/kernel", (5, 2)),
        ("output/kernel", (11, 3)),
    ):
        slope = (squared(1.01, name, index) - squared(0.99, name, index)) / 0.02
        assert 2 * scores[name][index] == pytest.approx(slope, abs=2e-3)


def test_synflow_needs_no_data_and_gives_every_layer_the_same_sum() -> None:
    lab = FakeLab()
    scores = Synflow()(lab, lab.init(), lab.dense())
    sums = [float(score.sum()) for score in scores.values()]
    assert sums == pytest.approx([sums[0]] * 2, rel=1e-5)
    assert lab.spent.examples == 0


SIGNS = {"large": 1, "small": -1}


def criterion(name: str, last: np.ndarray, mask: Mask | None = None) -> np.ndarray:
    """The criterion's score of the hidden kernel, had training made it so."""
    lab = FakeLab()
    state = lab.init()
    state = state.replace(weights={**state.weights, "hidden/kernel": last.astype(np.float32)})
    return Criterion(name)(lab, state, mask or lab.dense())["hidden/kernel"]


@given(hnp.arrays(np.float32, (16, 12), elements=st.floats(-2, 2, width=16)))
def test_criteria_are_the_papers_functions_of_two_weights(last: np.ndarray) -> None:
    first = FakeLab().init().weights["hidden/kernel"]
    for size, sign in SIGNS.items():
        np.testing.assert_array_equal(criterion(f"{size}_final", last), sign * np.abs(last))
        np.testing.assert_array_equal(criterion(f"{size}_init", last), sign * np.abs(first))
    increase = np.abs(last) - np.abs(first)
    np.testing.assert_array_equal(criterion("magnitude_increase", last), increase)
    np.testing.assert_array_equal(criterion("movement", last), np.abs(last - first))


@pytest.mark.parametrize("size", SIGNS)
@pytest.mark.parametrize("rate", [0.1, 0.5, 0.8])
def test_two_sizes_are_cut_at_one_percentile(size: str, rate: float) -> None:
    lab = FakeLab()
    first, rng = lab.init().weights["hidden/kernel"], np.random.default_rng(0)
    last = rng.normal(size=first.shape).astype(np.float32) * 100
    mask = Mask({name: rng.random(keep.shape) < 0.7 for name, keep in lab.dense().items()})
    state = lab.init().replace(weights={**lab.init().weights, "hidden/kernel": last})
    scores = Criterion(f"{size}_init_{size}_final")(lab, state, mask)
    left = Pruning(rate)(lab, mask, scores)["hidden/kernel"]
    alive, sign = mask["hidden/kernel"], SIGNS[size]
    ranks = []
    for values in (sign * np.abs(first), sign * np.abs(last)):
        ordered = np.sort(values[alive])
        ranks.append(np.searchsorted(ordered, values))
    kept = np.minimum(*ranks)
    assert kept[left].min() >= kept[alive & ~left].max()


def test_the_first_weights_are_those_of_the_labs_init() -> None:
    lab = FakeLab()
    other = lab.init("other")
    moved = Criterion("movement")(lab, other, lab.dense())
    assert all(array.any() for array in moved.values())
    still = Criterion("movement")(lab, lab.init(), lab.dense())
    assert not any(array.any() for array in still.values())
    large = Criterion()(lab, other, lab.dense())
    for name, array in Magnitude()(lab, other, lab.dense()).items():
        np.testing.assert_array_equal(large[name], array)


def test_an_unknown_criterion_lists_them_all() -> None:
    with pytest.raises(UsageError, match="did you mean large_final") as caught:
        Criterion("large_finale")
    assert all(name in str(caught.value) for name in CRITERIA)


class Normed(FakeLab):
    """A lab whose hidden units pass two BatchNorms, as far as a score can see."""

    @property
    def channels(self) -> tuple[Channels, ...]:
        return (dataclasses.replace(super().channels[0], scales=("one/gamma", "two/gamma")),)

    def init(self, stream: str = "init") -> State:
        state = super().init(stream)
        scales = {
            "one/gamma": np.linspace(-1, 1, 12, dtype=np.float32),
            "two/gamma": np.full(12, 0.5, np.float32),
        }
        return state.replace(weights={**state.weights, **scales})


def test_a_channel_is_worth_its_scale() -> None:
    lab = Normed()
    state, dense = lab.init(), lab.dense()
    BatchNormScale().check(lab)
    scores = BatchNormScale()(lab, state, dense)
    expected = (np.abs(state.weights["one/gamma"]) + 0.5) / 2
    np.testing.assert_allclose(scores["hidden/kernel"], np.tile(expected, (16, 1)))
    assert np.isinf(scores["output/kernel"]).all()
    worth = ByChannel().scores(lab, dense, scores)["hidden/kernel"]
    np.testing.assert_allclose(worth, expected)
    mask = Pruning.to(0.5, structure=ByChannel())(lab, dense, scores)
    assert np.flatnonzero(mask["hidden/kernel"].all(axis=0)).tolist() == [0, 1, 2, 9, 10, 11]


def test_a_model_without_scales_is_refused_at_once() -> None:
    with pytest.raises(UsageError, match=r"fake.* has no BatchNorm that scales channels; use"):
        Pruning(structure=ByChannel()).check(FakeLab(), BatchNormScale())


@pytest.mark.slow
def test_scales_of_a_real_network_are_found_and_its_channels_pruned() -> None:
    from ltx import Task
    from ltx.backends.tf_keras.lab import KerasLab
    from ltx.testing import RECIPE

    lab = KerasLab(Task(data="digits", model="tiny:convnet", recipe=RECIPE), 0)
    pruning = Pruning.to(0.5, structure=ByChannel()).check(lab, BatchNormScale())
    state = lab.train(lab.init(), lab.dense(), "20it").state
    scores = BatchNormScale()(lab, state, lab.dense())
    mask = pruning(lab, lab.dense(), scores)
    gammas = [np.abs(state.weights[f"norm_{n}/gamma"]) for n in (1, 2)]
    best = np.sort(np.argsort(np.mean(gammas, axis=0))[4:])
    # Two convolutions that are added share their channels.
    for name in ("conv_1/kernel", "conv_2/kernel"):
        assert np.flatnonzero(mask[name].any(axis=(0, 1, 2))).tolist() == best.tolist()
    assert np.isfinite(lab.train(lab.init(), mask, "20it").history.last.loss)


@pytest.mark.parametrize(
    ("score", "settings"),
    [(Snip, {"batches": 0}), (Grasp, {"batches": 1.5}), (Grasp, {"temperature": 0})],
)
def test_bad_settings_are_refused_by_name(score: type, settings: dict) -> None:
    with pytest.raises(UsageError, match=rf"{score.__name__}\.{next(iter(settings))}"):
        score(**settings)
