"""Early-bird: masks that stand still are taken, at once, for what they cost."""

import dataclasses

import numpy as np
import pytest
from ltx_plugins.early_bird import EarlyBird

import ltx
from ltx import Pruning, Ticket, UsageError
from ltx.testing import FakeLab

LOOSE = EarlyBird(densities=(0.5, 0.2), every="2it", threshold=0.5)


def steady(lab: ltx.Lab, state: ltx.State, mask: ltx.Mask) -> dict[str, np.ndarray]:
    return ltx.Random()(lab, state, mask)


def restless(lab: ltx.Lab, state: ltx.State, mask: ltx.Mask) -> dict[str, np.ndarray]:
    return ltx.Random(f"at {state.step}")(lab, state, mask)


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
    for ticket in find(EarlyBird(densities=(0.3,), every="2it", score=steady))[1:]:
        assert ticket.note == {"emerged": True, "share": 10 / 60, "distance": 0.0}
        assert (ticket.state.step, ticket.cost.steps) == (10, 10)


def test_what_never_stands_still_is_taken_at_the_end_and_says_so() -> None:
    tickets = find(EarlyBird(densities=(0.5, 0.1), every="4it", threshold=0.5, score=restless))[1:]
    for ticket, density in zip(tickets, (0.5, 0.1), strict=True):
        assert (ticket.note["emerged"], ticket.note["share"]) == (False, 1.0)
        assert ticket.state.step == 60 == ticket.cost.steps
        # Independent masks are as far apart as chance has it: the threshold's unit.
        assert ticket.note["distance"] == pytest.approx(2 * density * (1 - density), rel=0.3)


def test_it_is_the_mask_of_the_training_at_that_step_and_no_earlier_one_would_do() -> None:
    lab = FakeLab()
    ticket = find(EarlyBird(densities=(0.2,), every="2it", threshold=0.5, window=3), lab)[1]
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


def test_a_ticket_may_go_back_to_the_start() -> None:
    lab = FakeLab()
    assert {t.state for t in find(dataclasses.replace(LOOSE, start="init"), lab)} == {lab.init()}


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
    tickets = find(EarlyBird(densities=(0.5, 0.3), every="6it", threshold=0.5), lab)
    assert [t.mask.kept for t in tickets[1:]] == [round(d * lab.dense().size) for d in (0.5, 0.3)]
    assert all(t.note["emerged"] and t.state.step == 30 for t in tickets[1:])
    assert lab.train(tickets[1].state, tickets[1].mask).history.last.accuracy > 0.3
