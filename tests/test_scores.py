"""Scores: what they look at, and what they leave alone."""

import numpy as np
import pytest

from ltx import Grasp, Magnitude, Random, Snip, Synflow, UsageError
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


@pytest.mark.parametrize(
    ("score", "settings"),
    [(Snip, {"batches": 0}), (Grasp, {"batches": 1.5}), (Grasp, {"temperature": 0})],
)
def test_bad_settings_are_refused_by_name(score: type, settings: dict) -> None:
    with pytest.raises(UsageError, match=rf"{score.__name__}\.{next(iter(settings))}"):
        score(**settings)
