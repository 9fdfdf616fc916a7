"""Scores: what they look at, and what they leave alone."""

import numpy as np

from ltx import Magnitude, Random
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
