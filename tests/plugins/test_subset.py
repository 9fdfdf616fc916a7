"""Subset: found on few data in few steps, for the whole task, at a share of the cost."""

import dataclasses

import pytest
from ltx_plugins.early_rewind import EarlyRewind
from ltx_plugins.imp import IMP
from ltx_plugins.subset import Subset

from ltx import Recipe, Task, UsageError
from ltx.testing import RECIPE, FakeLab

INNER = IMP(levels=2)


def lab(**changes: object) -> FakeLab:
    recipe = dataclasses.replace(RECIPE, length="200it")
    return FakeLab(dataclasses.replace(Task(data="fake", model="fake", recipe=recipe), **changes))


def test_it_costs_its_share_of_the_other_finder() -> None:
    whole = [t.cost for t in INNER.find(lab())]
    part = [t.cost for t in Subset(of=INNER, share=0.25).find(lab())]
    assert [c.steps for c in whole] == [0, 200, 400]
    assert [c.steps for c in part] == [0, 50, 100]
    assert [4 * c.flops for c in part[:2]] == [c.flops for c in whole[:2]]


def test_its_tickets_are_those_of_the_part_and_start_like_the_whole() -> None:
    short = dataclasses.replace(lab().task.recipe, length="50it", eval_every="2it")
    inner = list(INNER.find(lab(subset=0.25, recipe=short)))
    for ticket, found in zip(Subset(of=INNER, share=0.25).find(lab()), inner, strict=True):
        assert ticket.mask == found.mask
        assert (ticket.task, ticket.level, ticket.parent) == (lab().task.id, found.level, found.id)
        assert ticket.state == lab().init()
        assert ticket.note == {"share": 0.25}


def test_few_data_make_other_tickets() -> None:
    whole, part = list(INNER.find(lab())), list(Subset(of=INNER, share=0.25).find(lab()))
    assert part[2].mask.kept == whole[2].mask.kept
    assert part[2].mask != whole[2].mask


@pytest.mark.parametrize("mode", ["weights", "learning_rate", "fine_tune"])
def test_a_trained_state_starts_over_with_a_fresh_optimizer(mode: str) -> None:
    inner = EarlyRewind(levels=1, rewind="50%", mode=mode)
    _, ticket = Subset(of=inner, share=0.25).find(lab())
    assert (ticket.state.step, dict(ticket.state.slots)) == (0, {})
    if mode == "fine_tune":
        # Half of the short training was left, so half of the long one is asked for.
        assert ticket.recipe is not None
        assert (ticket.recipe.length, ticket.recipe.eval_every) == ("100it", "8it")
    else:
        assert ticket.recipe is None
    bench = lab() if ticket.recipe is None else lab().on(recipe=ticket.recipe)
    run = bench.train(ticket.state, ticket.mask)
    assert run.state.step == (100 if mode == "fine_tune" else 200)


def test_every_duration_shrinks_with_the_share() -> None:
    recipe = Recipe(
        batch_size=20,
        length="20ep",
        schedule="step",
        warmup="10%",
        drops=("100it", "15ep"),
        eval_every="1it",
    )
    part = Subset(of=INNER, share=0.5)._part(lab(recipe=recipe))
    made = part.task.recipe
    assert (part.epoch, part.steps()) == (5, 100)
    assert (made.warmup, made.drops, made.eval_every) == ("10it", ("50it", "75it"), "1it")
    assert dataclasses.replace(made, length="20ep", warmup="10%", drops=recipe.drops) == recipe


@pytest.mark.parametrize(("before", "after"), [(0.5, 0.25), (100, 50)])
def test_a_subset_of_a_subset_is_a_share_of_it(before: float, after: float) -> None:
    assert Subset(of=INNER, share=0.5)._part(lab(subset=before)).task.subset == after


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({}, "subset.of: expected a finder"),
        ({"of": IMP}, "subset.of"),
        ({"of": INNER, "share": 0}, "subset.share"),
        ({"of": INNER, "share": 1.0}, "subset.share"),
        ({"of": INNER, "share": "10%"}, "subset.share"),
    ],
)
def test_bad_settings_are_refused_by_name(settings: dict, words: str) -> None:
    with pytest.raises(UsageError, match=words):
        Subset(**settings)


def test_too_few_examples_for_a_batch_are_refused_before_any_training() -> None:
    made = lab()
    with pytest.raises(UsageError, match=r"subset\.share: 0\.05 .*: 20 is more than the 10"):
        Subset(of=INNER, share=0.05).check(made)
    with pytest.raises(UsageError, match=r"subset\.share: 0\.01 .*Task\.subset"):
        Subset(of=INNER, share=0.01).check(lab(subset=100))
    assert made.spent.steps == 0


def test_check_checks_what_is_inside() -> None:
    with pytest.raises(UsageError, match="has only 100"):
        Subset(of=EarlyRewind(rewind="150it"), share=0.5).check(lab())
