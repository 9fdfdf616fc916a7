"""Early rewinding: what each mode takes back, and what it keeps."""

import dataclasses
import itertools

import numpy as np
import pytest
from ltx_plugins.early_rewind import MODES, EarlyRewind
from ltx_plugins.imp import IMP

from ltx import Lab, Pruning, Recipe, State, Task, Ticket, UsageError
from ltx.testing import RECIPE, FakeLab


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


@pytest.mark.parametrize(
    ("settings", "words"),
    [
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
