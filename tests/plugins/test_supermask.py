"""Supermasks: drawn weights under masks from two sources, and trials that train nothing."""

import dataclasses

import numpy as np
import pytest
from ltx_plugins.early_bird import EarlyBird
from ltx_plugins.early_rewind import EarlyRewind
from ltx_plugins.gradual import Gradual
from ltx_plugins.imp import IMP
from ltx_plugins.oneshot import OneShot, SynFlow
from ltx_plugins.random_reinit import RandomReinit
from ltx_plugins.rigl import SET, RigL
from ltx_plugins.supermask import Supermask

from ltx import Bernoulli, EdgePopup, Finder, Store, Task, Trial, UsageError
from ltx.store.memo import MemoLab
from ltx.testing import RECIPE, FakeLab

POPUP = EdgePopup(0.5, learning_rate=1.0)


@pytest.mark.parametrize("method", [None, POPUP, Bernoulli(learning_rate=10.0)], ids=repr)
def test_a_learned_mask_lies_over_the_initial_weights(method: object) -> None:
    lab = FakeLab()
    finder = Supermask(method)  # type: ignore[arg-type]
    finder.check(lab)
    dense, ticket = finder.find(lab)
    assert (dense.level, dense.density, dense.recipe) == (0, 1, None)
    assert (ticket.level, ticket.parent, ticket.cost.steps) == (1, dense.id, 60)
    assert ticket.state == lab.init()
    assert ticket.recipe == dataclasses.replace(RECIPE, length="0it")
    expected = method or EdgePopup()
    run = lab.train_mask(lab.init(), lab.dense(), expected)  # type: ignore[arg-type]
    trial = Trial.run(FakeLab(sealed=False), ticket)
    assert (trial.early_stop, trial.history.steps, trial.trained_for.steps) == (None, (), 0)
    assert trial.validation == run.history.last


def test_a_learned_mask_is_far_above_chance_and_no_mask_is_not() -> None:
    lab = FakeLab(sealed=False)
    ticket = list(Supermask(POPUP).find(lab))[1]
    assert lab.evaluate(lab.init(), lab.dense()).value < 0.4
    assert Trial.run(lab, ticket).test.value > 0.6


def test_other_finders_masks_lie_over_the_initial_weights() -> None:
    inner = IMP(levels=2)
    for theirs, ours in zip(
        inner.find(FakeLab()), Supermask(of=inner).find(FakeLab()), strict=True
    ):
        assert (ours.mask, ours.state, ours.level) == (theirs.mask, theirs.state, theirs.level)
        if ours.level:
            assert ours.parent == theirs.id
            assert ours.recipe is not None
            assert Trial.run(FakeLab(sealed=False), ours).trained_for.steps == 0
        else:
            assert ours == theirs


@pytest.mark.parametrize("finder", [Supermask(POPUP), Supermask(of=IMP(levels=1))], ids=repr)
def test_signed_constants_have_one_size_and_the_initial_signs(finder: Supermask) -> None:
    lab = FakeLab()
    ticket = list(dataclasses.replace(finder, weights="signed_constant").find(lab))[1]
    for weight in lab.prunable:
        now, before = ticket.state.weights[weight.name], lab.init().weights[weight.name]
        assert np.unique(np.abs(now)).tolist() == [before.std()]
        np.testing.assert_array_equal(np.signbit(now), np.signbit(before))
        assert now.dtype == np.float32
    np.testing.assert_array_equal(ticket.state.weights["hidden/bias"], np.zeros(12))
    if finder.method:
        # The mask was learned over these weights, not over the drawn ones.
        assert ticket.mask != list(finder.find(lab))[1].mask


def test_weights_of_a_later_step_are_measured_as_they_are() -> None:
    inner = EarlyRewind(levels=1, rewind="10it")
    lab = FakeLab(sealed=False)
    ticket = list(Supermask(of=inner).find(lab))[1]
    theirs = list(inner.find(lab))[1]
    trial = Trial.run(lab, ticket)
    assert trial.validation == lab.evaluate(theirs.state, theirs.mask)


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"weights": "ones"}, "supermask.weights"),
        ({"method": "popup"}, "supermask.method: expected @EdgePopup"),
        ({"method": POPUP, "of": IMP()}, "supermask.method: the masks are those of supermask.of"),
        ({"of": "imp"}, "supermask.of: expected a finder"),
    ],
)
def test_bad_settings_are_refused_by_name(settings: dict, words: str) -> None:
    with pytest.raises(UsageError, match=words):
        Supermask(**settings)


def nothing() -> FakeLab:
    return FakeLab(Task("fake", "fake", dataclasses.replace(RECIPE, length="0it")), sealed=False)


@pytest.mark.parametrize(
    "finder",
    [Supermask(), EarlyBird(), EarlyRewind(), Gradual(), RigL(), SET()],
    ids=lambda f: type(f).__name__,
)
def test_what_needs_training_refuses_a_task_without_any(finder: Finder) -> None:
    with pytest.raises(UsageError, match=r"gradual|early_|rigl|set\.|supermask"):
        finder.check(nothing())


@pytest.mark.parametrize(
    "finder",
    [IMP(levels=2), OneShot(), SynFlow(rounds=2), RandomReinit(of=IMP(levels=1))],
    ids=lambda f: type(f).__name__,
)
def test_what_needs_none_finds_tickets_on_a_task_without_any(
    finder: Finder, tmp_path: object
) -> None:
    finder.check(nothing())
    lab = MemoLab(nothing(), Store(tmp_path))  # type: ignore[arg-type]
    for ticket in finder.find(lab):
        trial = Trial.run(lab, ticket)
        assert (trial.early_stop, lab.spent.steps) == (None, 0)
        assert trial.validation == lab.evaluate(ticket.state, ticket.mask)


@pytest.mark.slow
def test_on_a_real_network() -> None:
    from conftest import keras_lab

    lab = keras_lab(sealed=False)
    ticket = list(Supermask(EdgePopup(0.5, learning_rate=3.0)).find(lab))[1]
    trial = Trial.run(lab, ticket)
    assert trial.history.steps == ()
    assert trial.validation == lab.evaluate(ticket.state, ticket.mask)
    assert trial.validation.value > 0.4
