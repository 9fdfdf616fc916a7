"""Trial: what it measures, what its id covers, and that it survives being written."""

import dataclasses
import json

from ltx import Cost, Ticket, Trial
from ltx.testing import RECIPE, FakeLab


def lab_and_ticket(seed: int = 0) -> tuple[FakeLab, Ticket]:
    lab = FakeLab(seed=seed, sealed=False)
    return lab, Ticket.of(lab, lab.dense(), lab.init())


def test_a_trial_is_a_whole_training_measured() -> None:
    lab, ticket = lab_and_ticket()
    trial = Trial.run(lab, ticket)
    run = lab.train(ticket.state, ticket.mask)
    assert trial.history == run.history
    assert trial.validation == lab.evaluate(run.state, ticket.mask)
    assert trial.test == lab.evaluate(run.state, ticket.mask, "test")
    assert trial.history.last == trial.validation
    assert (trial.trained_for.steps, trial.found_for) == (60, Cost())
    assert (trial.ticket, trial.task, trial.seed) == (ticket.id, lab.task.id, 0)


def test_early_stop_counts_the_steps_behind_the_ticket_too() -> None:
    lab, ticket = lab_and_ticket()
    late = dataclasses.replace(ticket, state=lab.train(ticket.state, ticket.mask, "25it").state)
    trial = Trial.run(lab, late)
    assert trial.start == 25
    assert trial.trained_for.steps == 35
    assert trial.history.steps == (30, 40, 50, 60)
    assert trial.early_stop == trial.history.early_stop
    assert trial.early_stop in trial.history.steps


def test_a_ticket_is_trained_by_the_recipe_it_asks_for() -> None:
    lab, ticket = lab_and_ticket()
    short = dataclasses.replace(ticket, recipe=dataclasses.replace(RECIPE, length="20it"))
    trial = Trial.run(lab, short)
    assert trial.history.steps == (10, 20)
    assert trial.task == lab.on(recipe=short.recipe).task.id
    assert trial.id != Trial.run(lab, ticket).id


def test_the_id_is_known_before_and_covers_lab_seed_and_cost() -> None:
    lab, ticket = lab_and_ticket()
    key = Trial.key(lab, ticket)
    assert key == Trial.run(lab, ticket).id == Trial.key(FakeLab(), ticket)
    other = FakeLab(dataclasses.replace(lab.task, data="other"))
    keys = {
        key,
        Trial.key(FakeLab(seed=1), ticket),
        Trial.key(other, ticket),
        Trial.key(lab, dataclasses.replace(ticket, cost=Cost(1))),
    }
    assert len(keys) == 4


def test_a_document_gives_the_trial_back() -> None:
    lab, ticket = lab_and_ticket()
    trial = Trial.run(lab, ticket)
    document = json.loads(json.dumps(trial.document()))
    assert document["early_stop"] == trial.early_stop
    assert Trial.from_document(document) == trial
