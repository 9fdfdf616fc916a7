"""IMP: train, prune, rewind, again: as the paper has it."""

import itertools

import numpy as np
import pytest
from ltx_plugins.imp import IMP

import ltx
from ltx import Lab, Pruning, Random, UsageError
from ltx.testing import FakeLab


def test_levels_are_nested_and_fall_by_the_rate() -> None:
    lab = FakeLab()
    tickets = list(IMP(levels=4).find(lab))
    assert [t.level for t in tickets] == [0, 1, 2, 3, 4]
    assert tickets[0].density == 1
    for one, two in itertools.pairwise(tickets):
        assert two.mask <= one.mask
        assert two.parent == one.id
        for weight in lab.prunable:
            had = int(one.mask[weight.name].sum())
            rate = 0.1 if weight.is_output else 0.2
            assert two.mask[weight.name].sum() == had - round(rate * had)


def test_every_ticket_starts_at_the_very_initial_weights() -> None:
    lab = FakeLab(seed=3)
    assert {t.state for t in IMP(levels=3).find(lab)} == {lab.init()}


def test_what_goes_is_what_training_left_smallest() -> None:
    lab = FakeLab()
    tickets = list(IMP(levels=2).find(lab))
    for one, two in itertools.pairwise(tickets):
        trained = lab.train(one.state, one.mask).state
        for name in one.mask:
            size = np.abs(trained.weights[name])
            gone = one.mask[name] & ~two.mask[name]
            assert size[gone].max() <= size[two.mask[name]].min()


def test_a_ticket_costs_the_trainings_before_it() -> None:
    tickets = list(IMP(levels=3).find(FakeLab()))
    assert [t.cost.steps for t in tickets] == [0, 60, 120, 180]
    assert tickets[3].cost.flops < tickets[3].cost.dense_flops


def test_a_seed_gives_its_tickets_and_no_others() -> None:
    def ids(seed: int) -> list[str]:
        return [t.id for t in IMP(levels=2).find(FakeLab(seed=seed))]

    assert ids(0) == ids(0)
    assert not set(ids(0)) & set(ids(1))


def test_score_and_scope_are_fields() -> None:
    lab = FakeLab()
    finder = IMP(levels=1, pruning=Pruning(0.5, scope="global"), score=Random())
    ticket = list(finder.find(lab))[1]
    size = lab.dense().size
    assert ticket.mask.kept == size - round(0.5 * size)
    scores = Random()(lab, lab.init(), lab.dense())
    assert ticket.mask == Pruning(0.5, scope="global")(lab, lab.dense(), scores)


def test_too_many_levels_stop_where_nothing_is_left_to_prune() -> None:
    finder = IMP(levels=400, pruning=Pruning(0.5, scope="global"))
    lab: Lab = FakeLab()
    found = []
    with pytest.raises(UsageError, match=r"removed nothing|no weight survives"):
        found.extend(finder.find(lab))


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"levels": 0}, "imp.levels"),
        ({"levels": 2.0}, "imp.levels"),
        ({"pruning": 0.2}, "imp.pruning"),
        ({"pruning": Pruning}, "imp.pruning"),
        ({"score": "magnitude"}, "imp.score"),
    ],
)
def test_bad_settings_are_refused_by_name(settings: dict, words: str) -> None:
    with pytest.raises(UsageError, match=words):
        IMP(**settings)


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"score": ltx.BatchNormScale()}, "no BatchNorm"),
        ({"pruning": Pruning.to(0.1)}, "12 rounds to one density"),
        ({"pruning": Pruning.to(0.5, structure=ltx.NofM())}, "12 rounds to one density"),
        ({"pruning": Pruning(structure=ltx.Blocks(), keep=("out*", "hid*"))}, "leaves no block"),
    ],
)
def test_check_refuses_what_no_training_can_mend(settings: dict, words: str) -> None:
    with pytest.raises(UsageError, match=words):
        IMP(**settings).check(FakeLab())


def test_channels_fall_by_the_rate() -> None:
    lab = FakeLab()
    tickets = list(IMP(levels=3, pruning=Pruning(0.25, structure=ltx.ByChannel())).find(lab))
    alive = [ltx.ByChannel().alive(lab, t.mask)["hidden/kernel"].sum() for t in tickets]
    assert alive == [12, 9, 7, 5]


def test_check_refuses_patterns_that_match_nothing() -> None:
    with pytest.raises(UsageError, match="conv"):
        IMP(pruning=Pruning(keep=("conv*",))).check(FakeLab())
    IMP().check(FakeLab())
