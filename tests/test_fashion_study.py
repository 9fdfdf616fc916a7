"""LeNet on the real Fashion-MNIST: the numbers that a laptop can reproduce in a minute."""

import pytest
from ltx_plugins.imp import IMP
from ltx_plugins.random_reinit import RandomReinit

import ltx
from ltx.backends.tf_keras.lab import KerasLab

# Frankle & Carbin (2019): 20 % of each layer and 10 % of the output layer a round, in percent.
LADDER = (100, 80.04, 64.06, 51.28, 41.05, 32.87, 26.32, 21.07, 16.88, 13.52, 10.83, 8.68, 6.95)


@pytest.mark.slow
def test_the_density_ladder_and_the_dense_accuracy_are_those_of_the_papers(fashion_mnist):
    recipe = ltx.Recipe(length="600it")
    task = ltx.Task(data="fashion_mnist", validation=5000, recipe=recipe)
    lab = KerasLab(task, 0, data_dir=fashion_mnist)
    tickets = list(IMP(levels=12).find(lab))
    for ticket, density in zip(tickets, LADDER, strict=True):
        assert ticket.density * 100 == pytest.approx(density, abs=0.05)
    longer = ltx.Task(data="fashion_mnist", validation=5000, recipe=ltx.Recipe(length="8000it"))
    judge = KerasLab(longer, 0, data_dir=fashion_mnist, sealed=False)
    run = judge.train(judge.init(), judge.dense())
    assert 0.87 < judge.evaluate(run.state, judge.dense(), "test").value < 0.905


@pytest.mark.slow
def test_at_one_percent_a_ticket_beats_its_mask_with_fresh_weights(fashion_mnist):
    task = ltx.Task(data="fashion_mnist", validation=5000, recipe=ltx.Recipe(length="2000it"))
    finder = IMP(levels=4, pruning=ltx.Pruning(rate=0.68))
    accuracy = {}
    for name, one in (("ticket", finder), ("reinit", RandomReinit(of=finder))):
        lab = KerasLab(task, 0, data_dir=fashion_mnist, sealed=False)
        ticket = list(one.find(lab))[-1]
        state = lab.train(ticket.state, ticket.mask).state
        accuracy[name] = lab.evaluate(state, ticket.mask, "test").value
    assert accuracy["ticket"] > accuracy["reinit"] + 0.01
