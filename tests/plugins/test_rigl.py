"""RigL and SET: as many weights at every step, exchanged by the papers' rules."""

import itertools
import math

import numpy as np
import pytest
from ltx_plugins.rigl import SET, RigL, _exchange

import ltx
from ltx import Pruning, Run, State, UsageError
from ltx.testing import FakeLab

RIGL = RigL(density=0.3, every="10it")
STILL = SET(density=0.3, every="10it")


class Watched(FakeLab):
    """Remembers from what, under which masks and to what it was asked to train."""

    def run_training(self, state: State, mask: ltx.Mask, stop: int, stream: str) -> Run:
        run = super().run_training(state, mask, stop, stream)
        self.__dict__.setdefault("runs", []).append((state, mask, run.state))
        return run


def watched(finder: ltx.Finder) -> tuple[Watched, ltx.Ticket]:
    lab = Watched()
    finder.check(lab)
    ticket = list(finder.find(lab))[-1]
    lab.train(ticket.state, ticket.mask)
    return lab, ticket


@pytest.mark.parametrize("finder", [RIGL, STILL])
def test_every_layer_keeps_as_many_weights_at_every_step(finder: ltx.Finder) -> None:
    lab, ticket = watched(finder)
    masks = [mask for _, mask, _ in lab.runs]
    assert masks[0].kept == round(0.3 * 240)
    assert {tuple(int(k.sum()) for k in mask.values()) for mask in masks} == {
        tuple(int(k.sum()) for k in masks[0].values())
    }
    # The cosine may leave nothing to exchange at its end.
    assert len({mask.id for mask in masks}) >= len(masks) - 1
    seen = masks[0]
    for mask in masks:
        seen = seen | mask
    assert ticket.note == {"exchanges": len(masks) - 1, "seen": seen.density}
    assert seen.density > 0.3


@pytest.mark.parametrize("finder", [RIGL, STILL])
def test_grown_weights_begin_at_zero_with_no_momentum(finder: ltx.Finder) -> None:
    lab, _ = watched(finder)
    total = 0
    for (_, old, _), (state, new, _) in itertools.pairwise(lab.runs):
        for name in new:
            grown = new[name] & ~old[name]
            total += int(grown.sum())
            assert not state.weights[name][grown].any()
            assert not state.slots[f"momentum:{name}"][grown].any()
    assert total > 10


def test_rigl_drops_the_smallest_and_grows_where_the_gradient_is_largest() -> None:
    lab, _ = watched(RIGL)
    (_, old, after), (_, new, _) = lab.runs[0], lab.runs[1]
    gradients = lab.gradients(after, old, stream="grow at 10")
    share = 0.15 * (1 + math.cos(math.pi * 10 / 45))
    for name, keep in old.items():
        count = round(share * keep.sum())
        size, wanted = np.abs(after.weights[name]), np.abs(gradients[name])
        gone, grown = keep & ~new[name], new[name] & ~keep
        assert gone.sum() == grown.sum() <= count
        assert size[gone].max(initial=0) <= size[keep & new[name]].max()
        assert set(size[gone]) <= set(np.sort(size[keep])[:count])
        assert set(wanted[grown]) <= set(np.sort(wanted[~keep])[::-1][:count])


def test_an_exchange_by_hand() -> None:
    keep = np.array([[1, 1, 1], [1, 0, 0]], np.bool_)
    size = np.array([[4.0, 1, 3], [2, 0, 0]])
    wanted = np.array([[9.0, 1, 9], [0, 2, 3]])
    assert _exchange(keep, size, wanted, 0.5).tolist() == [[1, 0, 1], [0, 1, 1]]
    assert _exchange(keep, size, wanted, 0.25).tolist() == [[1, 0, 1], [1, 0, 1]]
    assert (_exchange(keep, size, wanted, 0.0) == keep).all()
    full = np.ones((2, 3), np.bool_)
    assert _exchange(full, size, wanted, 0.5).all()


def test_ticket_and_trial_are_one_training_and_the_gradients() -> None:
    lab, ticket = watched(RIGL)
    assert (ticket.state.step, ticket.note["exchanges"]) == (40, 4)
    assert lab.spent.steps == 60 + 4
    lab, ticket = watched(STILL)
    assert (ticket.state.step, ticket.note["exchanges"]) == (50, 5)
    assert lab.spent.steps == 60


def test_the_seed_draws_the_first_connections() -> None:
    def first(seed: int) -> str:
        return list(RIGL.find(FakeLab(seed=seed)))[1].mask.id

    assert first(0) == first(0) != first(1)


def test_layers_share_the_density_by_erk_or_evenly() -> None:
    lab = FakeLab()
    even = list(RigL(density=0.3, every="10it", scope="layer").find(lab))[1]
    assert even.mask.densities() == pytest.approx(dict.fromkeys(even.mask, 0.3), abs=0.01)
    erk = list(RIGL.find(lab))[1].mask
    dense = lab.dense()
    drawn = Pruning.to(0.3, "erk")(lab, dense, ltx.Random()(lab, lab.init(), dense))
    assert erk.densities() == drawn.densities()
    smart = list(RigL(density=0.3, every="10it", scope="smart").find(lab))[1].mask
    assert (smart.kept, smart["output/kernel"].sum()) == (72, round(0.3 * 48))


@pytest.mark.parametrize("name", ["rigl", "set"])
@pytest.mark.parametrize("settings", [{"density": 1.0}, {"drop": 0.0}, {"scope": "global"}])
def test_bad_settings_are_refused_by_name(name: str, settings: dict) -> None:
    with pytest.raises(UsageError, match=rf"{name}\.{next(iter(settings))}"):
        {"rigl": RigL, "set": SET}[name](**settings)


@pytest.mark.parametrize("finder", [RigL(), RigL(every="0it"), SET(every="60it")])
def test_check_refuses_exchanges_outside_the_training(finder: ltx.Finder) -> None:
    with pytest.raises(UsageError, match=r"\.every"):
        finder.check(FakeLab())


@pytest.mark.slow
@pytest.mark.parametrize("finder", [RIGL, STILL])
def test_on_a_real_network(finder: ltx.Finder) -> None:
    from conftest import keras_lab

    lab = keras_lab()
    ticket = list(finder.find(lab))[1]
    assert ticket.mask.kept == round(0.3 * lab.dense().size)
    assert lab.train(ticket.state, ticket.mask).history.last.value > 0.3
