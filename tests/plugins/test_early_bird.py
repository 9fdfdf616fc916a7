"""Early-bird: masks that stand still are taken, at once, for what they cost."""

import dataclasses

import numpy as np
import pytest
from ltx_plugins.early_bird import EarlyBird

import ltx
from ltx import Pruning, Ticket, UsageError
from ltx.testing import RECIPE, FakeLab

LOOSE = EarlyBird(densities=(0.5, 0.2), every="2it", threshold=0.5, start="drawn")

NARROW = EarlyBird(densities=(0.2,), every="2it", threshold=0.5, window=3, start="drawn")


def steady(lab: ltx.Lab, state: ltx.State, mask: ltx.Mask) -> dict[str, np.ndarray]:
    return ltx.Random()(lab, state, mask)


def restless(lab: ltx.Lab, state: ltx.State, mask: ltx.Mask) -> dict[str, np.ndarray]:
    return ltx.Random(f"at {state.step}")(lab, state, mask)


RESTLESS = EarlyBird(
    densities=(0.5, 0.1), every="4it", threshold=0.5, score=restless, start="drawn"
)


def find(finder: EarlyBird, lab: ltx.Lab | None = None) -> list[Ticket]:
    lab = lab or FakeLab()
    finder.check(lab)
    return list(finder.find(lab))


def test_the_dense_network_then_one_ticket_a_density() -> None:
    tickets = find(LOOSE)
    assert [(t.level, t.mask.kept) for t in tickets] == [(0, 240), (1, 120), (2, 48)]
    assert tickets[0].state == FakeLab().init()
    assert {t.parent for t in tickets[1:]} == {tickets[0].id}


def test_what_stands_still_is_found_after_one_window() -> None:
    for ticket in find(EarlyBird(densities=(0.3,), every="2it", score=steady, start="drawn"))[1:]:
        assert ticket.note == {"emerged": True, "share": 10 / 60, "distance": 0.0}
        assert (ticket.state.step, ticket.cost.steps) == (10, 10)


def test_what_never_stands_still_is_taken_at_the_end_and_says_so() -> None:
    tickets = find(RESTLESS)[1:]
    for ticket, density in zip(tickets, (0.5, 0.1), strict=True):
        assert (ticket.note["emerged"], ticket.note["share"]) == (False, 1.0)
        assert ticket.state.step == 60 == ticket.cost.steps
        # Independent masks are as far apart as chance has it: the threshold's unit.
        assert ticket.note["distance"] == pytest.approx(2 * density * (1 - density), rel=0.3)


def test_it_is_the_mask_of_the_training_at_that_step_and_no_earlier_one_would_do() -> None:
    lab = FakeLab()
    ticket = find(NARROW, lab)[1]
    found = ticket.state.step
    assert ticket.note["emerged"]
    masks = []
    for step in range(2, found + 1, 2):
        state = lab.train(lab.init(), lab.dense(), f"{step}it").state
        scores = ltx.Magnitude()(lab, state, lab.dense())
        masks.append(Pruning.to(0.2)(lab, lab.dense(), scores))
    assert (ticket.mask, ticket.state) == (masks[-1], state)

    def still(newest: int) -> bool:
        limit = 0.5 * 2 * 0.2 * 0.8 * 240
        gaps = [
            sum(int((masks[newest][n] != masks[newest - back][n]).sum()) for n in ticket.mask)
            for back in (1, 2)
        ]
        return max(gaps) <= limit

    assert [still(k) for k in range(2, len(masks))] == [False] * (len(masks) - 3) + [True]


def test_one_training_serves_all_densities() -> None:
    together = find(LOOSE)
    for density in (0.5, 0.2):
        alone = find(dataclasses.replace(LOOSE, densities=(density,)))[1]
        same = next(t for t in together if t.mask == alone.mask)
        assert (same.state, same.note, same.cost) == (alone.state, alone.note, alone.cost)


def test_a_ticket_goes_back_to_the_start_unless_told_to_go_on() -> None:
    lab = FakeLab()
    assert {t.state for t in find(EarlyBird(), lab)} == {lab.init()}
    assert {t.state.step for t in find(LOOSE, lab)[1:]} != {0}


def test_the_defaults_fit_any_length_and_cost_a_quarter_at_least() -> None:
    for length in ("60it", "200it"):
        lab = FakeLab().on(recipe=dataclasses.replace(RECIPE, length=length))
        tickets = find(EarlyBird(score=steady), lab)[1:]
        assert [t.note["share"] for t in tickets] == [0.25] * 3
        assert {t.cost.steps for t in tickets} == {lab.steps("25%")}


def channels_by(flicker: float) -> ltx.Score:
    """Scores by which the first six channels lead, and `flicker` of them change places."""

    def score(lab: ltx.Lab, state: ltx.State, mask: ltx.Mask) -> dict[str, np.ndarray]:
        worth = np.arange(12, 0, -1.0)
        moved = lab.rng(state.step).random(12) < flicker
        worth[moved] = worth[moved][::-1]
        made = np.broadcast_to(worth, mask["hidden/kernel"].shape)
        return {"hidden/kernel": made, "output/kernel": np.ones(mask["output/kernel"].shape)}

    return score


def by_channel(flicker: float, **settings: object) -> EarlyBird:
    score = channels_by(flicker)
    return EarlyBird(densities=(0.5,), structure=ltx.ByChannel(), score=score, **settings)  # type: ignore[arg-type]


def test_channels_are_drawn_whole_and_counted_as_channels() -> None:
    lab = FakeLab()
    ticket = find(by_channel(0.0), lab)[1]
    alive = ltx.ByChannel().alive(lab, ticket.mask)["hidden/kernel"]
    assert alive.tolist() == [True] * 6 + [False] * 6
    assert ticket.mask.density == 0.5
    assert ticket.note["emerged"]


def test_the_distance_of_channels_is_a_share_of_channels() -> None:
    lab = FakeLab()
    finder = by_channel(0.4, window=2, threshold=0.99)
    ticket = find(finder, lab)[1]
    units = []
    for step in (ticket.cost.steps - 3, ticket.cost.steps):
        state = lab.train(lab.init(), lab.dense(), f"{step}it").state
        scores = finder.score(lab, state, lab.dense())
        mask = Pruning.to(0.5, structure=ltx.ByChannel())(lab, lab.dense(), scores)
        units.append(ltx.ByChannel().alive(lab, mask)["hidden/kernel"])
    assert ticket.note["distance"] == (units[0] ^ units[1]).sum() / 12 > 0


def test_a_penalty_where_nothing_has_scales_is_refused_before_training() -> None:
    lab = FakeLab()
    with pytest.raises(UsageError, match=r"early_bird\.l1: Recipe\.scale_l1: .* no BatchNorm"):
        EarlyBird(l1=1e-4).check(lab)
    assert lab.spent.steps == 0


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"densities": ()}, "densities"),
        ({"densities": (0.5, 0.5)}, "densities"),
        ({"densities": (1.5,)}, "densities"),
        ({"window": 1}, "window"),
        ({"threshold": 0.0}, "threshold"),
        ({"start": "best"}, "start"),
        ({"scope": "erk"}, "scope"),
        ({"score": 3}, "score"),
        ({"structure": ltx.ByChannel}, "structure"),
        ({"l1": -0.1}, "l1"),
    ],
)
def test_bad_settings_are_refused_by_name(settings: dict, words: str) -> None:
    with pytest.raises(UsageError, match=rf"early_bird\.{words}"):
        EarlyBird(**settings)


@pytest.mark.parametrize("every", ["0it", "13it", "1ep"])
def test_check_refuses_a_window_that_does_not_fit(every: str) -> None:
    lab = FakeLab() if every != "1ep" else FakeLab().on(recipe=ltx.Recipe(length="4ep"))
    with pytest.raises(UsageError, match=r"early_bird\.every"):
        EarlyBird(every=every).check(lab)


@pytest.mark.slow
def test_on_a_real_network() -> None:
    from conftest import keras_lab

    lab = keras_lab()
    tickets = find(EarlyBird(densities=(0.5, 0.3), every="6it", threshold=0.5, start="drawn"), lab)
    assert [t.mask.kept for t in tickets[1:]] == [round(d * lab.dense().size) for d in (0.5, 0.3)]
    assert all(t.note["emerged"] and t.state.step == 30 for t in tickets[1:])
    assert lab.train(tickets[1].state, tickets[1].mask).history.last.value > 0.3


@pytest.mark.slow
def test_the_penalty_is_on_the_search_and_not_on_the_ticket() -> None:
    from ltx.backends.tf_keras.lab import KerasLab

    def scales(lab: ltx.Lab, state: ltx.State, mask: ltx.Mask) -> dict[str, np.ndarray]:
        seen.append(state)
        made = {name: np.zeros(keep.shape) for name, keep in mask.items()}
        for channels in lab.channels:
            for axis in channels.writers:
                worth = np.moveaxis(made[axis.name], axis.axis, -1)
                worth[:] = np.abs([state.weights[name] for name in channels.scales]).sum(axis=0)
        return made

    seen: list[ltx.State] = []
    recipe = dataclasses.replace(RECIPE, learning_rate=0.02)
    lab = KerasLab(ltx.Task(model="tiny.normed", recipe=recipe), 0)
    finder = EarlyBird(
        densities=(0.5,), structure=ltx.ByChannel(), score=scales, l1=0.1, window=2, start="drawn"
    )
    ticket = find(finder, lab)[1]
    slimmed = lab.on(recipe=dataclasses.replace(recipe, scale_l1=0.1))
    step = f"{ticket.state.step}it"
    assert ticket.state == slimmed.train(lab.init(), lab.dense(), step).state == seen[-1]
    assert ticket.state != lab.train(lab.init(), lab.dense(), step).state
    assert ticket.recipe is None
    alive = ltx.ByChannel().alive(lab, ticket.mask)
    assert sum(int(units.sum()) for units in alive.values()) == 8
    worth = np.abs(ticket.state.weights["norm/gamma"])
    assert worth[alive["conv/kernel"]].min() >= worth[~alive["conv/kernel"]].max()
