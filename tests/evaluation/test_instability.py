"""Instability: copies are compared as by hand, kept by content, and lose nothing but themselves."""

import dataclasses
import math
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import studied
from hypothesis import given
from hypothesis import strategies as st
from ltx_plugins.early_rewind import EarlyRewind
from ltx_plugins.imp import IMP
from ltx_plugins.random_reinit import RandomReinit
from ltx_plugins.supermask import Supermask

from ltx import Finder, Lab, Mask, Run, State, Store, Task, Ticket, Trial, UsageError
from ltx.core.errors import BudgetError, DivergedError
from ltx.core.objectives.regression import Regression
from ltx.evaluation.instability import (
    Instability,
    Stability,
    WeightDistance,
    rewind_points,
    start_state,
)
from ltx.store.budget import Budget, Limit
from ltx.store.event_log import Trained
from ltx.store.memo import MemoLab
from ltx.study import loop, plan
from ltx.study.definition import Study
from ltx.study.record import StudyRecord
from ltx.study.results import CellFailure, MissingResult, StabilityResult, TrialResult
from ltx.study.status import statuses
from ltx.testing import RECIPE, FakeLab

TASK = studied.TASK
QUICK = Stability(points=5, at=("ticket", "20it"))
FINDERS: dict[str, Finder] = {
    "imp": IMP(levels=1),
    "shuffled": RandomReinit(of=IMP(levels=1), weights="same", mask="shuffled"),
    "reinit": RandomReinit(of=IMP(levels=1)),
}
MADE = Study(FINDERS, tasks=(TASK,), seeds=1, stability=QUICK)
PLAIN = dataclasses.replace(MADE, stability=None)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "store")


def opener(
    store: Store, lab: type[FakeLab] = FakeLab, budget: Budget | None = None
) -> loop.OpenLab:
    return lambda task, seed, sealed: MemoLab(lab(task, seed, sealed=sealed), store, budget=budget)


def run(made: Study, store: Store, lab: type[FakeLab] = FakeLab) -> list:
    return list(loop.run(made, opener(store, lab), store))


def trained(store: Store) -> int:
    return sum(event.steps for event in store.events() if isinstance(event, Trained))


def contents(store: Store, *kinds: str) -> dict[str, bytes]:
    return {
        str(path.relative_to(store.path)): path.read_bytes()
        for kind in kinds
        for path in sorted((store.path / kind).iterdir())
    }


def tickets(lab: Lab, finder: Finder = IMP(levels=2)) -> list[Ticket]:  # noqa: B008 (frozen)
    return list(finder.find(lab))


def weights(*values: float) -> State:
    return State({"a": np.array(values, np.float32), "bias": np.zeros(1, np.float32)})


# By hand


def test_distance_and_angle_are_those_of_a_right_triangle() -> None:
    mask = Mask({"a": np.array([True, True, False])})
    apart = WeightDistance.of(weights(1, 1, 9), weights(4, 1, 0), weights(1, 5, 7), mask)
    assert apart == WeightDistance(distance=5.0, moved=3.5, angle=pytest.approx(90))
    assert apart.relative == 5 / 3.5


@pytest.mark.parametrize(
    ("one", "other", "angle"),
    [
        ((1, 0), (3, 0), 0),
        ((1, 0), (2, 2), 45),
        ((1, 0), (-2, 0), 180),
        ((1, 1e-4), (1, 0), 0.00573),
    ],
)
def test_an_angle_knows_small_ones_and_opposite_ones(
    one: tuple, other: tuple, angle: float
) -> None:
    mask = Mask({"a": np.array([True, True])})
    assert WeightDistance.of(
        weights(0, 0), weights(*one), weights(*other), mask
    ).angle == pytest.approx(angle, abs=1e-4)


def test_what_did_not_move_has_no_angle_and_no_relative_distance() -> None:
    mask = Mask({"a": np.array([True, True])})
    still = WeightDistance.of(weights(1, 2), weights(1, 2), weights(1, 2), mask)
    assert still == WeightDistance(0.0, 0.0, None)
    assert still.relative is None
    assert WeightDistance.of(weights(0, 0), weights(0, 0), weights(0, 2), mask) == WeightDistance(
        2.0, 1.0, None
    )


values = st.lists(st.floats(-100, 100, width=32), min_size=3, max_size=3)


@given(values, values, values)
def test_it_does_not_matter_which_copy_is_called_the_first(
    start: list[float], one: list[float], other: list[float]
) -> None:
    mask = Mask({"a": np.ones(3, np.bool_)})
    there = WeightDistance.of(weights(*start), weights(*one), weights(*other), mask)
    back = WeightDistance.of(weights(*start), weights(*other), weights(*one), mask)
    assert there.distance == back.distance <= 2 * there.moved * (1 + 1e-9) + 1e-9
    assert there.moved == back.moved
    assert (there.angle is None) == (back.angle is None)
    if there.angle is not None and back.angle is not None:
        assert there.angle == pytest.approx(back.angle)
        assert 0 <= there.angle <= 180


# Of a ticket


def test_its_numbers_are_those_of_the_trainings_it_names() -> None:
    lab = FakeLab(sealed=False)
    ticket = tickets(lab)[2]
    found = Instability.measure(lab, ticket, QUICK)
    one = lab.train(ticket.state, ticket.mask).state
    other = lab.train(ticket.state, ticket.mask, stream="second order").state
    dense = lab.train(ticket.state, lab.dense()).state
    assert found.errors[0] == 1 - Trial.run(lab, ticket).test.value
    assert found.errors[-1] == 1 - lab.evaluate(other, ticket.mask, "test").value
    assert found.to_order == WeightDistance.of(ticket.state, one, other, ticket.mask)
    assert found.to_pruning == WeightDistance.of(ticket.state, one, dense, ticket.mask)
    squares = sum(
        float(((one.weights[n] - other.weights[n]).astype(float) ** 2).sum()) for n in ticket.mask
    )
    assert found.to_order.distance == pytest.approx(math.sqrt(squares))
    assert (found.ticket, found.level, found.start) == (ticket.id, 2, 0)
    assert len(found.alphas) == len(found.errors) == 5


def test_the_split_is_the_one_asked_for_and_pruning_may_be_left_away() -> None:
    lab = FakeLab(sealed=False)
    ticket = tickets(lab)[1]
    asked = Stability(points=3, split="validation", to_pruning=False)
    found = Instability.measure(lab, ticket, asked)
    state = lab.train(ticket.state, ticket.mask).state
    assert found.errors[0] == 1 - lab.evaluate(state, ticket.mask).value
    assert found.to_pruning is None
    assert Instability.from_document(found.document()) == found


def test_a_dense_ticket_is_as_far_from_dense_as_its_first_copy_is() -> None:
    lab = FakeLab(sealed=False)
    found = Instability.measure(lab, tickets(lab)[0], QUICK)
    assert found.to_pruning is not None
    assert (found.to_pruning.distance, found.to_pruning.angle) == (0, 0)


def test_a_rewind_point_is_the_dense_network_of_the_weights_the_ticket_starts_from() -> None:
    lab = FakeLab(sealed=False)
    early = lab.train(lab.init(), lab.dense(), "20it").state
    own = lab.train(lab.init("reinit"), lab.dense(), "20it").state
    found = {label: tickets(lab, finder)[1] for label, finder in FINDERS.items()}
    assert start_state(lab, found["imp"], "20it")[1] == early
    assert start_state(lab, found["shuffled"], "20it")[1] == early
    assert start_state(lab, found["reinit"], "20it")[1] == own
    late = tickets(lab, EarlyRewind(levels=1, rewind="10it"))[1]
    assert start_state(lab, late, "20it")[1] == early
    assert start_state(lab, late, "ticket")[1] == late.state
    assert Instability.measure(lab, found["imp"], QUICK, "20it").start == 20


def test_a_ticket_with_a_recipe_of_its_own_is_trained_by_it_and_rewound_by_its_tasks() -> None:
    lab = FakeLab(sealed=False)
    ticket = tickets(lab, EarlyRewind(levels=1, rewind="10it", mode="fine_tune"))[1]
    assert ticket.recipe is not None
    found = Instability.measure(lab, ticket, QUICK)
    assert found.errors[0] == 1 - Trial.run(lab, ticket).test.value
    rewound = Instability.measure(lab, ticket, QUICK, "20it")
    assert (found.task == lab.task.id, rewound.task == lab.task.id) == (False, True)


def test_only_what_is_trained_at_the_levels_asked_for_is_measured() -> None:
    lab = FakeLab()
    every = tickets(lab)
    asked = dataclasses.replace(QUICK, levels=(0, 2))
    assert [rewind_points(lab, t, asked) for t in every] == [
        ["ticket", "20it"],
        [],
        ["ticket", "20it"],
    ]
    untrained = tickets(lab, Supermask())[-1]
    assert rewind_points(lab, untrained, QUICK) == ["20it"]


def test_the_id_is_known_before_and_moves_with_all_that_the_numbers_depend_on() -> None:
    lab = FakeLab(sealed=False)
    ticket, other = tickets(lab)[1:3]
    ids = [
        Instability.key(lab, ticket, QUICK),
        Instability.key(lab, ticket, QUICK, "20it"),
        Instability.key(lab, other, QUICK),
        Instability.key(FakeLab(seed=1), ticket, QUICK),
        Instability.key(FakeLab(dataclasses.replace(TASK, data="other")), ticket, QUICK),
        *(
            Instability.key(lab, ticket, dataclasses.replace(QUICK, **changed))
            for changed in (
                {"points": 7},
                {"batches": 9},
                {"split": "train"},
                {"to_pruning": False},
            )
        ),
    ]
    assert len(set(ids)) == len(ids)
    assert Instability.measure(lab, ticket, QUICK).id == ids[0]
    more = dataclasses.replace(QUICK, at=("ticket", "50%"), levels=(1,))
    assert Instability.key(lab, ticket, more) == ids[0]


@pytest.mark.slow
def test_statistics_that_say_nothing_of_the_middle_are_not_used_there() -> None:
    from ltx.backends.tf_keras.lab import KerasLab

    recipe = dataclasses.replace(RECIPE, batch_size=60, optimizer="adam", learning_rate=1e-2)
    task = Task(data="digits", model="tiny.normed", recipe=recipe)
    lab = KerasLab(task, 0, sealed=False)
    ticket = Ticket.of(lab, lab.dense(), lab.init())
    found = Instability.measure(lab, ticket, Stability(points=3, batches=10))
    one, other = (
        lab.train(ticket.state, ticket.mask, stream=s).state for s in ("order", "second order")
    )
    from ltx.evaluation.mode_connectivity import interpolated

    between = interpolated(one, other, 0.5)
    anew = lab.recalibrated(between, ticket.mask, 10)
    assert found.errors[1] == 1 - lab.evaluate(anew, ticket.mask, "test").value
    stale = between.replace(statistics=one.statistics)
    assert found.errors[1] < 1 - lab.evaluate(stale, ticket.mask, "test").value


# In a study


def test_every_ticket_is_compared_behind_its_trial_controls_too(store: Store) -> None:
    results = run(MADE, store)
    rows = [r for r in results if isinstance(r, TrialResult)]
    compared = [r for r in results if isinstance(r, StabilityResult)]
    assert len(rows) == 2 * 3
    assert [type(r) for r in results] == [TrialResult, StabilityResult, StabilityResult] * len(rows)
    for row, one, other in zip(rows, compared[::2], compared[1::2], strict=True):
        assert (one.instability.at, other.instability.at) == ("ticket", "20it")
        for two in (one, other):
            assert (two.task, two.finder, two.control) == (row.task, row.finder, row.control)
            assert two.instability.ticket == row.trial.ticket
        assert one.instability.errors[0] == 1 - row.trial.test.value
    assert run(PLAIN, store) == rows


def test_a_finished_study_trains_the_copies_alone(store: Store, tmp_path: Path) -> None:
    run(PLAIN, store)
    before, made = trained(store), contents(store, "trials", "tickets", "states")
    cells = plan.cells(MADE, opener(store), store)
    results = run(MADE, store)
    assert trained(store) - before == sum(cell.cost.steps for cell in cells) > 0
    assert contents(store, "trials", "tickets", "states") == made
    # From the tickets' own weights: the second copy of each, and of fresh weights nothing more.
    alone = Store(tmp_path / "alone")
    run(PLAIN, alone)
    here = trained(alone)
    own = dataclasses.replace(MADE, stability=Stability(points=3))
    run(own, alone)
    found = [(r.seed, store.ticket(r.trial.ticket)) for r in results if isinstance(r, TrialResult)]
    different = {(seed, ticket.state.id, ticket.mask.id) for seed, ticket in found}
    assert trained(alone) - here == 60 * len(different) == 60 * 5


def test_the_steps_foreseen_are_the_steps_trained_and_a_second_run_takes_none(
    store: Store,
) -> None:
    cells = plan.cells(MADE, opener(store), store)
    assert [cell.error for cell in cells] == [""] * 3
    first = run(MADE, store)
    assert sum(cell.cost.steps for cell in cells) == trained(store)
    assert all(cell.requested == cell.shared + cell.cost.steps for cell in cells)
    work = [work for cell in cells for work in cell.work.values()]
    copies = [r for r in first if isinstance(r, StabilityResult)]
    assert sum(w.evaluations for w in work) > 5 * len({c.instability.id for c in copies})
    files = contents(store, "stability", "trials")
    taken = trained(store)
    assert run(MADE, store) == first
    assert trained(store) == taken
    after = plan.cells(MADE, opener(store), store)
    assert sum(cell.cost.steps + cell.bytes + cell.states for cell in after) == 0
    assert not any(cell.work for cell in after)
    assert contents(store, "stability", "trials") == files


class Killed(FakeLab):
    """A process that dies at its so many-th call."""

    left = 0

    def _die(self) -> None:
        type(self).left -= 1
        if type(self).left < 0:
            raise KeyboardInterrupt

    def run_training(self, state: State, mask: Mask, stop: int, stream: str) -> Run:
        self._die()
        return super().run_training(state, mask, stop, stream)


@pytest.mark.parametrize("calls", [3, 7, 12, 20])
def test_killed_anywhere_it_goes_on_to_the_same_bytes(
    store: Store, tmp_path: Path, calls: int
) -> None:
    whole = Store(tmp_path / "whole")
    expected = run(MADE, whole)
    for _ in range(100):
        Killed.left = calls
        try:
            found = run(MADE, store, Killed)
        except KeyboardInterrupt:
            continue
        break
    assert found == expected
    kinds = ("stability", "trials", "tickets", "states")
    assert contents(store, *kinds) == contents(whole, *kinds)


def test_a_budget_ends_between_copies_and_the_rest_is_done_later(
    store: Store, tmp_path: Path
) -> None:
    whole = Store(tmp_path / "whole")
    expected = run(MADE, whole)
    with pytest.raises(BudgetError):
        list(loop.run(MADE, opener(store, budget=Budget(Limit.parse("200it"))), store))
    assert trained(store) == 200
    assert 0 < len(contents(store, "stability")) < len(contents(whole, "stability"))
    assert run(MADE, store) == expected
    assert trained(store) == trained(whole)


class Diverges(FakeLab):
    """The second copy of a pruned network does."""

    def run_training(self, state: State, mask: Mask, stop: int, stream: str) -> Run:
        if stream == "second order" and mask.density < 1 and state.step == 0:
            raise DivergedError("the loss is not finite")
        return super().run_training(state, mask, stop, stream)


def test_a_copy_that_diverges_loses_nothing_else(store: Store) -> None:
    made = Study({"imp": IMP(levels=2)}, tasks=(TASK,), seeds=1, stability=QUICK)
    results = run(made, store, Diverges)
    text = "stability of level {} at ticket: the loss is not finite"
    name = made.labels[0]
    assert [r for r in results if isinstance(r, CellFailure)] == [
        CellFailure(name, "imp", 0, text.format(level), False, level, "ticket", diverged=True)
        for level in (1, 2)
    ]
    assert len([r for r in results if isinstance(r, TrialResult)]) == 3
    compared = [(c.instability.level, c.instability.at) for c in _compared(results)]
    assert compared == [(0, "ticket"), (0, "20it"), (1, "20it"), (2, "20it")]
    record = recorded(made, results, store)
    assert list(record.gaps()) == []
    assert list(record.uncompared()) == [
        MissingResult(name, "imp", False, 0, level, f"diverged: {text.format(level)}", "ticket")
        for level in (1, 2)
    ]
    (standing,) = statuses(store)
    (place,) = standing.cells
    assert (place.state, place.level) == ("diverged", 2)
    assert text.format(1) in place.error
    assert text.format(2) in place.error


def _compared(results: list) -> list[StabilityResult]:
    return [r for r in results if isinstance(r, StabilityResult)]


def recorded(made: Study, results: list, store: Store, finished: bool = True) -> StudyRecord:
    record = dataclasses.replace(
        StudyRecord.of(made, None, command="", config="", plugins=[]),
        rows=tuple(r for r in results if isinstance(r, TrialResult)),
        compared=tuple(_compared(results)),
        failures=tuple(r for r in results if isinstance(r, CellFailure)),
        finished=finished,
    )
    store.put_study(record.id, record.document())
    return record


def test_a_record_gives_back_what_was_compared_and_says_what_is_missing(store: Store) -> None:
    results = run(MADE, store)
    record = recorded(MADE, results, store)
    back = StudyRecord.read(store, record.id)
    assert back == record
    assert list(back.uncompared()) == []
    lost = _compared(results)[3]
    (store.path / "stability" / f"{lost.instability.id}.json").write_text("{}")
    (gap,) = [g for g in StudyRecord.read(store, record.id).uncompared() if g.finder == lost.finder]
    assert (gap.seed, gap.level, gap.at) == (lost.seed, lost.instability.level, "20it")
    assert "missing or damaged" in gap.reason
    (store.path / "damaged").exists()
    early = recorded(MADE, results[:1], store, finished=False)
    assert [(g.at, g.reason) for g in early.uncompared()] == [
        ("ticket", "not run yet"),
        ("20it", "not run yet"),
    ]
    # Made anew: it was put aside.
    assert run(MADE, store) == results


def test_status_knows_a_cell_whose_copies_are_under_way_and_one_that_lost_them(
    store: Store,
) -> None:
    made = Study({"imp": IMP(levels=1)}, tasks=(TASK,), seeds=1, stability=QUICK)
    results: Iterator = loop.run(made, opener(store), store)
    recorded(made, [next(results), next(results)], store, finished=False)
    (standing,) = statuses(store)
    assert standing.cells[0].state == "interrupted"
    assert standing.cells[0].level == 0
    rest = list(results)
    (standing,) = statuses(store)
    assert standing.cells[0].state == "done"
    (store.path / "stability" / f"{rest[-1].instability.id}.json").unlink()
    (standing,) = statuses(store)
    assert standing.cells[0].state == "missing"


# What cannot be meant


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"points": 2}, "Stability.points: expected a whole number of at least 3, got 2"),
        ({"batches": 0}, "Stability.batches"),
        ({"at": "banana"}, "Stability.at: expected 'ticket' or a duration, as in 0it, 100it, 2%"),
        ({"at": (100,)}, "got 100"),
        ({"at": ()}, "Stability.at: expected different places"),
        ({"at": ("ticket", "ticket")}, "Stability.at: expected different places"),
        ({"split": "tset"}, "did you mean test"),
        ({"levels": (-1,)}, "Stability.levels"),
    ],
)
def test_a_wrong_setting_is_answered(settings: dict, words: str) -> None:
    with pytest.raises(UsageError) as error:
        Stability(**settings)
    assert words in str(error.value)
    assert "\n" not in str(error.value)


def test_a_place_behind_the_end_and_what_is_no_stability_are_refused_before_training(
    store: Store,
) -> None:
    beyond = dataclasses.replace(MADE, stability=Stability(at=("ticket", "60it")))
    with pytest.raises(UsageError, match=r"60it is step 60, but the training of .* has only 60"):
        loop.check(beyond, opener(store))
    loop.check(MADE, opener(store))
    with pytest.raises(UsageError, match=r"Study\.stability: expected Stability, as in @Stab"):
        dataclasses.replace(MADE, stability=True)


def test_a_stored_barrier_says_its_losses_and_its_metric() -> None:
    lab = FakeLab(sealed=False)
    ticket = Ticket.of(lab, lab.dense(), lab.init())
    found = Instability.measure(lab, ticket, QUICK)
    document = found.document()
    assert "metric" not in document
    assert len(found.losses) == len(found.errors)
    assert Instability.from_document(document) == found
    # Older versions stored no losses.
    del document["losses"]
    old = Instability.from_document(document)
    assert old.losses == ()
    assert "losses" not in old.document()
    other = dataclasses.replace(found, metric=Regression.metric)
    assert Instability.from_document(other.document()) == other
