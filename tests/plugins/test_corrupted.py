"""Corrupted: the finder alone is deceived, and a deception that is none is refused."""

import dataclasses
from collections.abc import Iterator

import numpy as np
import pytest
from ltx_plugins.corrupted import HOW, Corrupted
from ltx_plugins.early_rewind import EarlyRewind
from ltx_plugins.imp import IMP

from ltx import ControlError, Finder, Lab, Task, Ticket, UsageError
from ltx.data import sampling
from ltx.testing import RECIPE, FakeLab

INNER = IMP(levels=2)


@pytest.mark.parametrize("how", HOW)
def test_its_tickets_are_those_of_spoilt_data_on_the_true_task(how: str) -> None:
    lab = FakeLab()
    made = list(Corrupted(of=INNER, how=how).find(lab))
    true, spoilt = (list(INNER.find(at)) for at in (FakeLab(), FakeLab().on(corrupt=how)))
    assert [t.mask for t in made] == [t.mask for t in spoilt]
    assert made[2].mask != true[2].mask
    for ticket, inner in zip(made, spoilt, strict=True):
        assert (ticket.task, ticket.parent) == (lab.task.id, inner.id)
        assert (ticket.state, ticket.level, ticket.recipe) == (inner.state, inner.level, None)
        check = ticket.note["control"]
        assert isinstance(check, dict)
        assert check["how"] == how
        assert check["gradient_distance"] > 0.1


def test_a_control_says_it_is_one() -> None:
    assert Corrupted.control


@dataclasses.dataclass(frozen=True)
class Sees(Finder):
    """Remembers what a finder's lab answered."""

    def find(self, lab: Lab) -> Iterator[Ticket]:
        metrics = {
            s: lab.evaluate(lab.init(), lab.dense(), s).loss for s in ("train", "validation")
        }
        yield Ticket.of(lab, lab.dense(), lab.init(), **metrics)


@pytest.mark.parametrize("how", HOW)
def test_neither_split_that_a_finder_may_read_is_true(how: str) -> None:
    (seen,) = Sees().find(FakeLab().on(corrupt=how))
    (true,) = Sees().find(FakeLab())
    assert all(seen.note[split] != true.note[split] for split in ("train", "validation"))


def test_the_test_split_stays_true() -> None:
    task = Task(data="fake", model="fake", recipe=RECIPE)
    for how in HOW:
        labs = [FakeLab(t, sealed=False) for t in (task, dataclasses.replace(task, corrupt=how))]
        assert len({lab.evaluate(lab.init(), lab.dense(), "test") for lab in labs}) == 1


def test_it_costs_what_the_other_finder_costs_and_a_few_gradients() -> None:
    costs = [t.cost.steps for t in Corrupted(of=INNER).find(FakeLab())]
    assert costs == [8, 68, 128]


def test_it_is_the_same_each_time() -> None:
    one, two = ([t.id for t in Corrupted(of=INNER).find(FakeLab())] for _ in range(2))
    assert one == two


def test_a_corruption_that_spoils_nothing_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sampling, "permuted", lambda labels, seed, split: labels)
    monkeypatch.setattr(sampling, "shuffled", lambda images, rows, seed: images)
    for how in HOW:
        with pytest.raises(ControlError, match=r"corrupted: .*nothing was corrupted"):
            list(Corrupted(of=INNER, how=how).find(FakeLab()))


def test_rewound_weights_are_those_that_spoilt_data_made() -> None:
    inner = EarlyRewind(levels=1, rewind="50%")
    _, ticket = Corrupted(of=inner).find(FakeLab())
    true = list(inner.find(FakeLab()))[1]
    assert ticket.state.step == true.state.step == 30
    assert (ticket.state.weights["hidden/kernel"] != true.state.weights["hidden/kernel"]).any()
    assert np.isfinite(FakeLab().train(ticket.state, ticket.mask).history.last.loss)


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({}, "corrupted.of: expected a finder"),
        ({"of": IMP}, "corrupted.of"),
        ({"of": INNER, "how": "blur"}, "corrupted.how"),
    ],
)
def test_bad_settings_are_refused_by_name(settings: dict, words: str) -> None:
    with pytest.raises(UsageError, match=words):
        Corrupted(**settings)


def test_check_checks_what_is_inside_and_around() -> None:
    with pytest.raises(UsageError, match="has only 60"):
        Corrupted(of=EarlyRewind(rewind="100%")).check(FakeLab())
    spoilt = Task(data="fake", model="fake", recipe=RECIPE, corrupt="random_labels")
    with pytest.raises(UsageError, match="have random_labels already"):
        Corrupted(of=INNER).check(FakeLab(spoilt))


def test_a_lab_that_stays_on_the_true_data_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(FakeLab, "on", lambda self, **changes: self)
    with pytest.raises(ControlError, match=r"corrupted: .*nothing was corrupted"):
        list(Corrupted(of=INNER).find(FakeLab()))
