"""Early rewinding: what each mode takes back, and what it keeps."""

import dataclasses
import itertools
from typing import Any

import numpy as np
import pytest
from ltx_plugins.early_rewind import MODES, EarlyRewind, _grid
from ltx_plugins.imp import IMP

from ltx import Lab, Pruning, Recipe, State, Task, Ticket, UsageError, barrier, copies
from ltx.testing import RECIPE, FakeLab, WatchedLab
from ltx.testing.conformance import run_check
from ltx.testing.harness import FinderHarness


def lab_with(**changes: object) -> FakeLab:
    recipe = dataclasses.replace(RECIPE, **changes)  # type: ignore[arg-type]
    return FakeLab(Task(data="fake", model="fake", recipe=recipe))


def origin(lab: Lab, until: str = "25%") -> State:
    return lab.train(lab.init(), lab.dense(), until).state


def found(lab: Lab, mode: str, levels: int = 3) -> list[Ticket]:
    return list(EarlyRewind(levels=levels, rewind="25%", mode=mode).find(lab))


@pytest.mark.parametrize("mode", MODES)
def test_levels_are_nested_and_fall_by_the_rate(mode: str) -> None:
    tickets = found(FakeLab(), mode)
    assert [t.level for t in tickets] == [0, 1, 2, 3]
    for one, two in itertools.pairwise(tickets):
        assert two.mask <= one.mask
        assert two.mask.kept == one.mask.kept - round(0.2 * one.mask.kept)
        assert two.parent == one.id


@pytest.mark.parametrize("mode", MODES)
def test_the_first_ticket_is_the_dense_network_at_the_rewind_step(mode: str) -> None:
    lab = FakeLab()
    first = found(lab, mode)[0]
    assert first.density == 1
    assert first.state == origin(lab)
    assert first.state.step == 15


def test_weight_rewinding_goes_back_to_the_step_bit_by_bit() -> None:
    lab = FakeLab()
    assert {t.state.id for t in found(lab, "weights")} == {origin(lab).id}


def test_learning_rate_rewinding_keeps_the_trained_weights_and_resets_the_step() -> None:
    lab = FakeLab()
    tickets = found(lab, "learning_rate")
    for one, two in itertools.pairwise(tickets):
        trained = lab.train(one.state, one.mask).state
        assert dict(two.state.slots) == {}
        assert two.state.step == 15
        assert two.recipe is None
        for name, array in trained.weights.items():
            np.testing.assert_array_equal(two.state.weights[name], array)


@pytest.mark.parametrize(
    ("changes", "rate"),
    [
        ({}, 0.1),
        ({"schedule": "step", "drops": ("50%", "75%")}, 0.001),
        ({"schedule": "step", "drops": ("75%",), "warmup": "10it"}, 0.01),
    ],
)
def test_fine_tuning_runs_as_long_at_the_last_rate(changes: dict, rate: float) -> None:
    lab = lab_with(**changes)
    tickets = found(lab, "fine_tune")
    assert tickets[0].recipe is None
    for ticket in tickets[1:]:
        recipe = ticket.recipe
        assert isinstance(recipe, Recipe)
        assert ticket.state.step == 0
        assert recipe.steps(lab.epoch) == 45
        np.testing.assert_allclose(recipe.learning_rates(0, 45, lab.epoch), rate, rtol=1e-5)
        assert (recipe.optimizer, recipe.batch_size) == (RECIPE.optimizer, RECIPE.batch_size)


def test_fine_tuning_goes_on_from_the_trained_weights() -> None:
    lab = FakeLab()
    tickets = found(lab, "fine_tune")
    trained = lab.train(tickets[0].state, tickets[0].mask).state
    assert (
        tickets[1].state.weights["hidden/kernel"].tobytes()
        == trained.weights["hidden/kernel"].tobytes()
    )
    recipe = tickets[1].recipe
    trained = lab.on(recipe=recipe).train(tickets[1].state, tickets[1].mask).state
    assert (
        tickets[2].state.weights["hidden/kernel"].tobytes()
        == trained.weights["hidden/kernel"].tobytes()
    )


def test_fine_tuning_after_a_cosine_still_tunes() -> None:
    recipe = found(lab_with(schedule="cosine"), "fine_tune", levels=1)[1].recipe
    assert recipe is not None
    assert 0 < recipe.learning_rate < RECIPE.learning_rate / 10


@pytest.mark.parametrize("mode", MODES)
def test_a_level_costs_the_rest_of_the_training(mode: str) -> None:
    assert [t.cost.steps for t in found(FakeLab(), mode)] == [15, 60, 105, 150]


def test_rewinding_to_the_start_is_imp() -> None:
    pruning = Pruning(0.3)
    rewound = EarlyRewind(levels=2, rewind="0it", pruning=pruning).find(FakeLab())
    imp = IMP(levels=2, pruning=pruning).find(FakeLab())
    assert [t.mask for t in rewound] == [t.mask for t in imp]


def test_the_dense_training_is_the_one_of_imp() -> None:
    lab = FakeLab()
    whole = lab.train(lab.init(), lab.dense()).state
    assert lab.train(found(lab, "weights")[0].state, lab.dense()).state == whole


GRID = [0, 1, 3, 7, 15, 30]


def searched(lab: Lab, **settings: object) -> list[Ticket]:
    finder = EarlyRewind(levels=2, rewind="auto", at_most="50%", **settings)  # type: ignore[arg-type]
    finder.check(lab)
    return list(finder.find(lab))


def height(lab: Lab, k: int) -> float:
    ends = copies(lab, origin(lab, f"{k}it"), lab.dense(), ("order", "second order"))
    return barrier(lab, lab.dense(), *ends).height


def test_steps_are_tried_on_a_grid_that_doubles() -> None:
    assert _grid(30) == GRID
    assert _grid(1) == [0, 1]
    assert _grid(10000)[:5] == [0, 1, 2, 4, 9]


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("tolerance", [0.01, 0.02, 0.04])
def test_auto_takes_a_stable_step_behind_an_unstable_one(seed: int, tolerance: float) -> None:
    lab = FakeLab(seed=seed)
    ticket = searched(lab, tolerance=tolerance)[0]
    k = ticket.state.step
    note = ticket.note
    assert note["rewind"] == k
    assert ticket.state == origin(lab, f"{k}it")
    barriers = dict(note["barriers"])  # type: ignore[call-overload]
    for step, seen in barriers.items():
        assert seen == height(lab, step)
    assert note["stable"] == (barriers[k] <= tolerance)
    below = GRID[: GRID.index(k)] if note["stable"] else GRID
    assert not below or barriers[below[-1]] > tolerance
    assert len(barriers) <= 3


def test_what_is_stable_from_the_start_is_not_rewound_into() -> None:
    ticket = searched(FakeLab(), tolerance=0.9)[0]
    assert (ticket.state.step, ticket.note["stable"]) == (0, True)
    assert ticket.state == origin(FakeLab(), "0it")


def test_what_is_stable_nowhere_is_rewound_to_the_maximum_and_says_so() -> None:
    lab = restless_lab()
    tickets = searched(lab, tolerance=1e-6)
    assert [t.state.step for t in tickets] == [30, 30, 30]
    assert tickets[0].note["stable"] is False
    barriers: Any = tickets[0].note["barriers"]
    assert barriers[-1][0] == 30
    assert all(seen > 0 for _, seen in barriers)


def restless_lab() -> FakeLab:
    """A rate so high that the data's order matters to the end."""
    return lab_with(learning_rate=1.0)


def test_the_search_costs_a_training_and_one_for_every_step_tried() -> None:
    tickets = searched(FakeLab())
    tried = len(tickets[0].note["barriers"])  # type: ignore[arg-type]
    assert tickets[0].cost.steps == 60 * (1 + tried)
    assert tickets[0].note["searched"] == 1 + tried
    # The dense training is known by then.
    assert tickets[1].cost == tickets[0].cost
    k = tickets[0].state.step
    assert tickets[2].cost.steps == tickets[1].cost.steps + 60 - k


def test_after_the_search_it_is_rewinding_as_ever() -> None:
    tickets = searched(FakeLab())
    k = tickets[0].state.step
    plain = list(EarlyRewind(levels=2, rewind=f"{k}it").find(FakeLab()))
    assert [t.id for t in tickets] == [t.id for t in plain]


@pytest.mark.parametrize("at_most", ["0it", "100%", "60it"])
def test_check_refuses_a_maximum_outside_the_training(at_most: str) -> None:
    lab = FakeLab()
    with pytest.raises(UsageError, match=r"early_rewind\.at_most"):
        EarlyRewind(rewind="auto", at_most=at_most).check(lab)
    assert lab.spent.steps == 0


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"tolerance": 0}, "early_rewind.tolerance"),
        ({"rewind": "auto", "at_most": "some"}, "duration 'some'"),
        ({"levels": 0}, "early_rewind.levels"),
        ({"mode": "weight"}, "did you mean weights"),
        ({"rewind": "later"}, "duration 'later'"),
        ({"rewind": 0.1}, "duration 0.1"),
        ({"pruning": 0.2}, "early_rewind.pruning"),
        ({"score": None}, "early_rewind.score"),
    ],
)
def test_bad_settings_are_refused_by_name(settings: dict, words: str) -> None:
    with pytest.raises(UsageError, match=words):
        EarlyRewind(**settings)


@pytest.mark.parametrize("rewind", ["100%", "60it", "7ep"])
def test_check_refuses_a_rewind_outside_the_training(rewind: str) -> None:
    with pytest.raises(UsageError, match="has only 60"):
        EarlyRewind(rewind=rewind).check(FakeLab())
    EarlyRewind(rewind="59it").check(FakeLab())


@pytest.mark.parametrize("mode", ["learning_rate", "fine_tune"])
def test_modes_that_keep_trained_weights_waive_the_check_of_the_rewind(mode: str) -> None:
    harness = FinderHarness(EarlyRewind(levels=2, rewind="5it", mode=mode), WatchedLab)
    assert run_check(harness, "rewind").outcome == "waived"
    assert not EarlyRewind(levels=2).waived


def test_fine_tuning_at_the_end_of_a_cosine_is_warned_of(caplog: pytest.LogCaptureFixture) -> None:
    for schedule, warned in (("constant", 0), ("cosine", 1)):
        recipe = dataclasses.replace(RECIPE, schedule=schedule)
        lab = FakeLab(Task("fake", "fake", recipe))
        EarlyRewind(rewind="5it", mode="learning_rate").check(lab)
        EarlyRewind(rewind="5it", mode="fine_tune").check(lab)
        assert len(caplog.messages) == warned
    assert "fine_tune" in caplog.messages[0]
