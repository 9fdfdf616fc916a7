"""Gradual pruning: the cubic curve, one training, and nothing that comes back."""

import numpy as np
import pytest
from ltx_plugins.gradual import Gradual

import ltx
from ltx import Pruning, UsageError
from ltx.testing import FakeLab

SHORT = Gradual(density=0.2, begin="5it", end="40it", every="10it", scope="global")


def test_the_density_falls_along_the_papers_curve() -> None:
    lab = FakeLab()
    SHORT.check(lab)
    dense, ticket = SHORT.find(lab)
    assert dense.density == 1
    steps, densities = zip(*ticket.note["curve"], strict=True)  # type: ignore[call-overload]
    assert steps == (15, 25, 35, 40)
    # s_t = s_f + (s_i - s_f)(1 - (t - t0) / (n dt))^3 with s_i = 0, s_f = 0.8.
    sparsities = [0.8 - 0.8 * (1 - (step - 5) / 35) ** 3 for step in steps]
    assert densities == pytest.approx([1 - s for s in sparsities], abs=0.5 / 240)
    assert ticket.mask.kept == round(0.2 * 240)


def test_ticket_and_trial_are_one_training() -> None:
    lab = FakeLab()
    ticket = list(SHORT.find(lab))[1]
    assert (ticket.level, ticket.state.step, ticket.cost.steps) == (1, 40, 40)
    assert ticket.cost.flops < ticket.cost.dense_flops
    lab.train(ticket.state, ticket.mask)
    assert lab.spent.steps == 60


def test_it_is_pruning_and_training_by_turns() -> None:
    lab = FakeLab()
    one = list(Gradual(density=0.5, end="10it", every="10it").find(lab))[1]
    state = lab.train(lab.init(), lab.dense(), "10it").state
    pruning = Pruning.to(0.5, scope="layer")
    mask = pruning(lab, lab.dense(), ltx.Magnitude()(lab, state, lab.dense()))
    assert (one.state, one.mask) == (state, mask)
    two = list(Gradual(density=0.5, end="20it", every="10it").find(lab))[1]
    for name, keep in two.mask.items():
        assert keep.sum() == round(0.5 * keep.size)
        # What the first pruning removed is zero when the second one comes, and stays away.
        assert not (keep & (two.state.weights[name] == 0)).any()


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"density": 0.0}, "gradual.density"),
        ({"scope": "best"}, "gradual.scope"),
        ({"score": None}, "gradual.score"),
        ({"every": "often"}, "often"),
    ],
)
def test_bad_settings_are_refused_by_name(settings: dict, words: str) -> None:
    with pytest.raises(UsageError, match=words):
        Gradual(**settings)


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"every": "100it"}, "every"),
        ({"every": "0it"}, "every"),
        ({"begin": "80%", "every": "1it"}, "end"),
        ({"end": "100%", "every": "1it"}, "end"),
    ],
)
def test_check_refuses_times_outside_the_training(settings: dict, words: str) -> None:
    with pytest.raises(UsageError, match=rf"gradual\.{words}"):
        Gradual(**settings).check(FakeLab())


@pytest.mark.slow
def test_on_a_real_network() -> None:
    from conftest import keras_lab

    lab = keras_lab()
    ticket = list(Gradual(every="5it").find(lab))[1]
    assert ticket.mask.kept == pytest.approx(0.1 * lab.dense().size, abs=2)
    run = lab.train(ticket.state, ticket.mask)
    assert run.history.last.accuracy > 0.3
    assert not np.concatenate([run.state.weights[n][~k] for n, k in ticket.mask.items()]).any()
