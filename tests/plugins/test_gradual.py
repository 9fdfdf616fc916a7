"""Gradual pruning: the cubic curve, one training, and nothing that comes back."""

from pathlib import Path

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


def test_magnitudes_within_layers_are_pruned_by_tfmots_schedule() -> None:
    lab = FakeLab()
    finder = Gradual(density=0.2, begin="5it", end="40it", every="10it")
    finder.check(lab)
    state, mask = lab.init(), lab.dense()
    for step, every in ((15, 10), (25, 10), (35, 10), (40, 35)):
        state = lab.train(state, mask, f"{step}it").state
        mask = lab.scheduled_mask(state, mask, ltx.PolynomialDecay(0.2, 5, 40, every))
    ticket = list(finder.find(FakeLab()))[1]
    assert (ticket.state, ticket.mask) == (state, mask)
    assert [keep.sum() for keep in mask.values()] == [round(0.2 * k.size) for k in mask.values()]


def test_of_equal_magnitudes_as_many_stay_as_were_asked_for() -> None:
    """TF-MOT keeps all that equal its threshold; what is too many goes at the end."""

    class Flat(FakeLab):
        def init(self, stream: str = "init") -> ltx.State:
            drawn = super().init(stream)
            ones = {name: np.copysign(np.float32(1), a) for name, a in drawn.weights.items()}
            return drawn.replace(weights=ones)

        def run_training(self, state: ltx.State, mask: ltx.Mask, stop: int, stream: str) -> ltx.Run:
            return ltx.Run(state.masked(mask).replace(step=stop), ltx.History())

    for scope in ("global", "layer"):
        ticket = list(Gradual(density=0.5, every="10it", scope=scope).find(Flat()))[1]
        assert ticket.mask.kept == 120


@pytest.mark.parametrize("score", [ltx.Magnitude(), ltx.Snip()], ids=repr)
@pytest.mark.parametrize(
    ("structure", "density"),
    [(ltx.Blocks(4, 1), 0.25), (ltx.NofM(2, 4), 0.5), (ltx.NofM(1, 4), 0.25)],
    ids=repr,
)
def test_structures_are_kept_whole(
    structure: ltx.Structure, density: float, score: ltx.Score
) -> None:
    lab = FakeLab()
    finder = Gradual(density=density, every="10it", structure=structure, score=score)
    finder.check(lab)
    _, ticket = finder.find(lab)
    assert ticket.density == pytest.approx(density, abs=0.01)
    for keep in ticket.mask.values():
        counts = keep.reshape(-1, 4, keep.shape[1]).sum(1)
        allowed = {0, 4} if isinstance(structure, ltx.Blocks) else {structure.n}  # type: ignore[attr-defined]
        assert set(counts.ravel().tolist()) <= allowed
    assert ticket.state.step == (45 if isinstance(structure, ltx.Blocks) else 0)


def test_channels_are_pruned_gradually_too() -> None:
    lab = FakeLab()
    finder = Gradual(density=0.5, every="10it", structure=ltx.ByChannel())
    finder.check(lab)
    mask = list(finder.find(lab))[1].mask
    assert mask["hidden/kernel"].any(0).sum() == 6


def test_n_of_m_has_one_density() -> None:
    with pytest.raises(UsageError, match=r"NofM.* has density 0\.5 and no other"):
        Gradual(structure=ltx.NofM(2, 4)).check(FakeLab())


def test_a_stored_ticket_keeps_its_groups(tmp_path: Path) -> None:
    finder = Gradual(density=0.5, every="10it", structure=ltx.NofM(2, 4))
    store, lab = ltx.Store(tmp_path), FakeLab()
    ticket = list(finder.find(lab))[1]
    found = store.ticket(store.put_ticket(ticket, lab.task, finder, "gradual"))
    assert (found.mask, found.state) == (ticket.mask, ticket.state)


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"structure": ltx.Blocks}, "gradual.structure"),
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
    assert run.history.last.value > 0.3
    assert not np.concatenate([run.state.weights[n][~k] for n, k in ticket.mask.items()]).any()
