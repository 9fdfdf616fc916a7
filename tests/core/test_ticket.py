"""Ticket: what its id covers, what a child inherits, and what is refused."""

import dataclasses

import numpy as np
import pytest
from hands import Hands, SlowLab

from ltx import Cost, Mask, Pruning, Recipe, Ticket, UsageError
from ltx.testing import FakeLab


def dense(lab: FakeLab) -> Ticket:
    return Ticket.of(lab, lab.dense(), lab.init())


def sparser(lab: FakeLab, ticket: Ticket) -> Mask:
    weights = {name: np.abs(ticket.state.weights[name]) for name in ticket.mask}
    return Pruning()(lab, ticket.mask, weights)


def test_of_takes_task_seed_and_cost_from_the_lab() -> None:
    lab = FakeLab(seed=3)
    lab.train(lab.init(), lab.dense(), "10it")
    ticket = dense(lab)
    assert (ticket.task, ticket.seed, ticket.cost) == (lab.task.id, 3, lab.spent)
    assert ticket.cost.steps == 10
    assert (ticket.level, ticket.parent, ticket.density) == (0, None, 1.0)


def test_the_id_covers_what_a_training_would_see() -> None:
    lab = FakeLab()
    ticket = dense(lab)
    changes: dict[str, object] = {
        "mask": sparser(lab, ticket),
        "state": lab.init("other"),
        "level": 1,
        "task": "else",
        "seed": 1,
        "recipe": Recipe(),
        "parent": "someone",
    }
    made = [dataclasses.replace(ticket, **{name: value}) for name, value in changes.items()]  # type: ignore[arg-type]
    assert len({t.id for t in [ticket, *made]}) == len(made) + 1
    aside = dataclasses.replace(ticket, cost=Cost(steps=1), note={"a": 1}, seconds=1.0)
    assert aside.id == ticket.id
    assert set(changes) | {"cost", "note", "seconds"} == {
        f.name for f in dataclasses.fields(Ticket)
    }


def test_a_child_is_one_level_down_with_the_same_state() -> None:
    lab = FakeLab()
    parent = Ticket.of(lab, lab.dense(), lab.init(), recipe=Recipe())
    lab.train(lab.init(), lab.dense(), "10it")
    child = parent.child(lab, sparser(lab, parent))
    assert (child.level, child.parent, child.state) == (1, parent.id, parent.state)
    assert child.recipe == parent.recipe
    assert child.cost.steps == 10
    assert child.density < parent.density


def test_a_child_takes_changes() -> None:
    lab = FakeLab()
    parent = dense(lab)
    child = parent.child(lab, sparser(lab, parent), state=lab.init("b"), note={"x": 1})
    assert child.state == lab.init("b")
    assert child.note == {"x": 1}


def test_a_round_that_removes_nothing_is_an_error() -> None:
    lab = FakeLab()
    with pytest.raises(UsageError, match="level 0 removed nothing"):
        dense(lab).child(lab, lab.dense())


def test_a_mask_that_does_not_fit_the_lab_is_refused() -> None:
    lab = FakeLab()
    with pytest.raises(UsageError, match="mask"):
        Ticket.of(lab, Mask({"hidden/kernel": np.ones((16, 12))}), lab.init())


def test_seconds_are_the_labs_and_make_no_difference(hands: Hands) -> None:
    lab = SlowLab()
    state = lab.train(lab.init(), lab.dense(), "10it").state
    ticket = Ticket.of(lab, lab.dense(), state)
    assert ticket.seconds == lab.seconds == 10
    hands.move(5)
    lab.train(state, lab.dense(), "30it")
    child = ticket.child(lab, sparser(lab, ticket))
    assert (ticket.seconds, child.seconds) == (10, 30)
    other = dataclasses.replace(ticket, seconds=99.0)
    assert other == ticket
    assert other.id == ticket.id
    assert repr(other) == repr(ticket)


def test_notes_are_kept_by_name() -> None:
    lab = FakeLab()
    assert Ticket.of(lab, lab.dense(), lab.init(), found_at=3).note == {"found_at": 3}


def test_a_child_takes_values_of_its_note_by_name() -> None:
    lab = FakeLab()
    parent = dense(lab)
    child = parent.child(lab, sparser(lab, parent), rounds=3, level=7)
    assert (child.note, child.level) == ({"rounds": 3}, 7)
    both = parent.child(lab, sparser(lab, parent), note={"a": 1}, b=2)
    assert both.note == {"a": 1, "b": 2}
