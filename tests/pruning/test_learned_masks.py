"""Learned masks: exact counts, the papers' gradients, and refusals by name."""

import dataclasses

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from ltx import Bernoulli, EdgePopup, Mask, State, Task, UsageError, learned_mask
from ltx.core.mask import MaskLearner
from ltx.pruning import learned_masks
from ltx.testing import RECIPE, FakeLab


@given(
    scores=hnp.arrays(
        np.float32, hnp.array_shapes(min_dims=2, max_dims=4), elements=st.floats(-2, 2, width=16)
    ),
    density=st.floats(0.01, 0.99),
    seed=st.integers(0, 99),
)
def test_edge_popup_keeps_exactly_the_highest(
    scores: np.ndarray, density: float, seed: int
) -> None:
    alive = np.random.default_rng(seed).random(scores.shape) < 0.7
    kept = EdgePopup(density).mask({"w": scores}, Mask({"w": alive}))["w"]
    assert not kept[~alive].any()
    if alive.any():
        assert kept.sum() == max(1, round(density * alive.sum()))
        lost = scores[alive & ~kept]
        assert not lost.size or lost.max() <= scores[kept].min()


def test_the_bernoulli_mask_is_what_is_likelier_there_than_not() -> None:
    scores = {"w": np.array([[-1.0, 0.0], [1e-3, 90.0]], np.float32)}
    whole = Mask({"w": np.ones((2, 2), bool)})
    assert Bernoulli().mask(scores, whole)["w"].tolist() == [[False, False], [True, True]]
    part = Mask({"w": np.array([[True, True], [True, False]])})
    assert Bernoulli().mask(scores, part)["w"].sum() == 1


def test_bernoulli_draws_come_at_their_probability() -> None:
    method, whole = Bernoulli(0.3), Mask({"w": np.ones((100, 100), bool)})
    scores = method.init_scores({}, whole, FakeLab().rng)
    assert learned_masks.sigmoid(scores["w"])[0, 0] == pytest.approx(0.3)
    drawn = [method.sample_mask(scores, whole, np.random.default_rng(s)) for s in range(2)]
    assert drawn[0] != drawn[1]
    assert [mask.density for mask in drawn] == pytest.approx([0.3, 0.3], abs=0.02)


def test_sigmoids_do_not_overflow() -> None:
    with np.errstate(all="raise"):
        assert learned_masks.sigmoid(np.array([-1e4, 0, 1e4], np.float32)).tolist() == [0, 0.5, 1]


def test_edge_popup_scores_start_as_the_authors_do() -> None:
    lab = FakeLab()
    scores = EdgePopup().init_scores({}, lab.dense(), lab.rng)
    for weight in lab.prunable:
        array = scores[weight.name]
        bound = 1 / np.sqrt(weight.shape[0])
        assert array.dtype == np.float32
        assert 0 <= array.min() < 0.2 * bound
        assert 0.8 * bound < array.max() <= bound


@pytest.mark.parametrize("method", [EdgePopup(0.4, 0.5), Bernoulli(0.6, 2.0, 0.5)], ids=repr)
def test_a_step_follows_the_papers_gradient(method: MaskLearner) -> None:
    """By hand from the lab's gradients: dL/dw under the drawn mask, times w, times the slope."""
    lab = FakeLab()
    state, whole = lab.init(), lab.dense()
    began = state.with_scores(method.init_scores(state.weights, whole, lab.rng))
    before = learned_masks.scores(began, whole)
    drawn = method.sample_mask(before, whole, lab.rng("mask", "order", 1))
    # `gradients` takes its first batch of the stream, as the first step does.
    gradients = lab.gradients(state, drawn, 1, stream="order")
    after = learned_masks.scores(lab.train_mask(state, whole, method, "1it").state, whole)
    for name, slope in method.score_gradient(before).items():
        expected = before[name] - method.learning_rate * gradients[name] * (
            state.weights[name] * slope
        )
        np.testing.assert_allclose(after[name], expected, rtol=1e-4, atol=1e-6)


def test_the_recipe_gives_the_curve_of_rates_and_the_method_their_height() -> None:
    def end(until: str, **changes: object) -> State:
        lab = FakeLab(Task("fake", "fake", dataclasses.replace(RECIPE, **changes)))  # type: ignore[arg-type]
        return lab.train_mask(lab.init(), lab.dense(), EdgePopup(), until).state

    assert end("1it") == end("1it", schedule="cosine", learning_rate=7.0)
    assert end("20it") == end("20it", learning_rate=7.0) != end("20it", schedule="cosine")


def test_scores_take_the_place_of_an_optimizers_slots() -> None:
    lab = FakeLab()
    trained = lab.train(lab.init(), lab.dense(), "20it").state
    run = lab.train_mask(trained, lab.dense(), EdgePopup(), "30it")
    assert run == lab.train_mask(trained.replace(slots={}), lab.dense(), EdgePopup(), "30it")
    assert run.state.step == 30
    assert run.state.replace(slots={}, step=20) == trained.replace(slots={})


def test_a_state_without_scores_means_no_mask() -> None:
    lab = FakeLab()
    with pytest.raises(UsageError, match=r"no score:hidden/kernel.*lab\.train_mask"):
        learned_mask(lab.init(), lab.dense(), EdgePopup())


@pytest.mark.parametrize(
    ("cls", "settings", "words"),
    [
        (EdgePopup, {"density": 1.0}, "EdgePopup.density"),
        (EdgePopup, {"learning_rate": 0}, "EdgePopup.learning_rate"),
        (EdgePopup, {"momentum": 1.0}, "EdgePopup.momentum"),
        (Bernoulli, {"probability": 0.0}, "Bernoulli.probability"),
        (Bernoulli, {"learning_rate": -1.0}, "Bernoulli.learning_rate"),
        (Bernoulli, {"momentum": -0.1}, "Bernoulli.momentum"),
    ],
)
def test_bad_settings_are_refused_by_name(cls: type, settings: dict, words: str) -> None:
    with pytest.raises(UsageError, match=words):
        cls(**settings)


class Signs:
    """Somebody else's method: keeps what has a positive score."""

    learning_rate, momentum = 0.1, 0.0

    def init_scores(self, weights, mask, rng):  # type: ignore[no-untyped-def]
        return {name: weights[name].copy() for name in mask}

    def mask(self, scores, mask):  # type: ignore[no-untyped-def]
        return Mask({name: keep & (scores[name] > 0) for name, keep in mask.items()})

    def sample_mask(self, scores, mask, rng):  # type: ignore[no-untyped-def]
        return self.mask(scores, mask)

    def score_gradient(self, scores):  # type: ignore[no-untyped-def]
        return {name: np.ones_like(array) for name, array in scores.items()}


def test_a_method_of_ones_own_needs_the_protocol_alone() -> None:
    lab = FakeLab()
    run = lab.train_mask(lab.init(), lab.dense(), Signs())
    first = lab.init().with_scores(Signs().init_scores(lab.init().weights, lab.dense(), lab.rng))
    assert lab.train_mask(first, lab.dense(), Signs()) == run
    assert 0 < learned_mask(run.state, lab.dense(), Signs()).density < 1
    # A class of its own: Python 3.12 caches whether a class implements a protocol.
    members = {name: value for name, value in vars(Signs).items() if name != "score_gradient"}
    partial = type("Partial", (), members)
    with pytest.raises(UsageError, match="train_mask: expected a method"):
        lab.train_mask(lab.init(), lab.dense(), partial())  # type: ignore[arg-type]
