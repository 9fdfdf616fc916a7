"""Transfer: what is carried over, what is drawn anew, and what does not fit."""

import dataclasses
import math
from pathlib import Path

import numpy as np
import pytest
from ltx_plugins.early_rewind import EarlyRewind
from ltx_plugins.imp import IMP
from ltx_plugins.random_reinit import RandomReinit
from ltx_plugins.transfer import CARRY, HEADS, Transfer

from ltx import Pruning, Store, Task, Ticket, UsageError
from ltx.memo import MemoLab
from ltx.testing import RECIPE, FakeLab

INNER = EarlyRewind(levels=2, rewind="25%")
BODY = "hidden/kernel"
HEAD = "output/kernel"


def target(classes: int = 4, seed: int = 0) -> FakeLab:
    task = Task(data=f"target/{classes}", model="fake", recipe=RECIPE, image=(4, 4, 1))
    return FakeLab(task, seed)


def sources(seed: int = 0) -> list[Ticket]:
    return list(INNER.find(target(seed=seed).on(data="source")))


def carried(classes: int = 4, **settings: str) -> list[tuple[Ticket, Ticket]]:
    """The source's tickets and what became of them."""
    finder = Transfer(of=INNER, source="source", **settings)
    return list(zip(sources(), finder.find(target(classes)), strict=True))


@pytest.mark.parametrize("classes", [4, 7])
@pytest.mark.parametrize("head", HEADS)
@pytest.mark.parametrize("carry", CARRY)
def test_the_body_wears_the_sources_mask(carry: str, head: str, classes: int) -> None:
    if head == "carry" and classes != 4:
        return
    lab = target(classes)
    for ticket, made in carried(classes, carry=carry, head=head):
        np.testing.assert_array_equal(made.mask[BODY], ticket.mask[BODY])
        assert made.mask.check(lab.prunable)
        assert (made.level, made.parent, made.task) == (ticket.level, ticket.id, lab.task.id)
        assert made.note == {"source": "source", "source_density": ticket.density}
        assert (made.state.step, dict(made.state.slots)) == (0, {})
        assert lab.train(made.state, made.mask, "1it")


@pytest.mark.parametrize("classes", [4, 7])
def test_a_fresh_head_is_dense_and_drawn_anew(classes: int) -> None:
    fresh = target(classes).init("transfer")
    for ticket, made in carried(classes, head="fresh"):
        assert made.mask[HEAD].all()
        for name in (HEAD, "output/bias"):
            np.testing.assert_array_equal(made.state.weights[name], fresh.weights[name])
        if classes == 4:
            assert not np.isin(made.state.weights[HEAD], ticket.state.weights[HEAD]).any()


@pytest.mark.parametrize("classes", [4, 7])
def test_a_random_head_is_as_dense_as_the_sources(classes: int) -> None:
    for ticket, made in carried(classes, head="random"):
        head = made.mask[HEAD]
        assert int(head.sum()) == round(ticket.mask[HEAD].mean() * head.size)
        if ticket.level and classes == 4:
            assert (head != ticket.mask[HEAD]).any()


def test_a_carried_head_comes_along() -> None:
    for ticket, made in carried(head="carry"):
        assert made.mask == ticket.mask
        assert made.state == ticket.state.replace(step=0, slots={})


def test_rewind_carries_the_weights_of_the_rewind_point() -> None:
    for ticket, made in carried(carry="rewind"):
        np.testing.assert_array_equal(made.state.weights[BODY], ticket.state.weights[BODY])


def test_init_carries_the_sources_initial_weights() -> None:
    first = target().on(data="source").init()
    for _, made in carried(carry="init"):
        np.testing.assert_array_equal(made.state.weights[BODY], first.weights[BODY])


def test_the_mask_alone_is_carried_over_weights_of_its_own() -> None:
    first = target().on(data="source").init()
    for ticket, made in carried(carry="mask"):
        assert made.state == target().init("transfer")
        for weights in (ticket.state.weights, first.weights):
            assert not np.isin(made.state.weights[BODY], weights[BODY]).any()


def test_a_transferred_ticket_costs_what_it_cost_on_the_source() -> None:
    for ticket, made in carried():
        assert made.cost == ticket.cost
        assert made.cost.steps > 0


def test_seconds_of_finding_are_not_kept_with_a_stored_ticket(tmp_path: Path) -> None:
    assert all(made.seconds > 0 for _, made in carried())
    fill(tmp_path / "store")
    stored = Transfer(store=str(tmp_path / "store"), source="source")
    assert all(math.isnan(ticket.seconds) for ticket in stored.find(target()))


def test_trainings_of_a_study_on_the_source_are_not_done_again(tmp_path: Path) -> None:
    store = Store(tmp_path)
    plain = Task(data="source", model="fake", recipe=RECIPE)

    def steps_trained() -> int:
        return sum(event["to"] - event["from"] for event in store.events())

    list(INNER.find(MemoLab(FakeLab(plain), store)))
    before = steps_trained()
    lab = MemoLab(FakeLab(dataclasses.replace(plain, data="target")), store)
    assert len(list(Transfer(of=INNER, source="source").find(lab))) == 3
    assert steps_trained() == before > 0


# From a store


def fill(
    path: Path, finder: IMP | EarlyRewind | RandomReinit = INNER, name: str = "imp", **task: object
) -> Store:
    """Tickets of two seeds found on `source`."""
    store = Store(path)
    for seed in (0, 1):
        lab = target(seed=seed).on(data="source", **task)
        for ticket in finder.find(lab):
            store.put_ticket(ticket, lab.task, finder, name)
    return store


@pytest.mark.parametrize("carry", ["mask", "rewind"])
def test_stored_tickets_are_carried_like_found_ones(tmp_path: Path, carry: str) -> None:
    fill(tmp_path)
    stored = list(Transfer(store=str(tmp_path), source="source", carry=carry).find(target()))
    found = [made for _, made in carried(carry=carry)]
    assert [(t.mask, t.state, t.level, t.parent) for t in stored] == [
        (t.mask, t.state, t.level, t.parent) for t in found
    ]


def test_a_stored_ticket_costs_what_it_cost_when_it_was_found(tmp_path: Path) -> None:
    fill(tmp_path)
    stored = list(Transfer(store=str(tmp_path), source="source").find(target()))
    assert [t.cost for t in stored] == [t.cost for t in sources()]


def test_a_control_in_the_store_is_not_carried_as_if_it_were_a_ticket(tmp_path: Path) -> None:
    fill(tmp_path)
    fill(tmp_path, RandomReinit(of=INNER), "reinit")
    finder = Transfer(store=str(tmp_path), source="source")
    try:
        finder.check(target())
        made = list(finder.find(target()))
    except UsageError:
        return
    assert [t.level for t in made] == [0, 1, 2]
    assert [t.parent for t in made] == [t.id for t in sources()]


def test_tickets_that_two_finders_found_are_those_of_either(tmp_path: Path) -> None:
    faster = dataclasses.replace(INNER, pruning=Pruning(rate=0.5))
    fill(tmp_path)
    store = fill(tmp_path, faster, "faster")
    assert len(store.tickets(seed=0)) == 5  # the dense one is of both
    for label, finder in (("imp", INNER), ("faster", faster)):
        found = list(finder.find(target().on(data="source")))
        stored = Transfer(store=str(tmp_path), source="source", finder=label).find(target())
        assert [t.parent for t in stored] == [t.id for t in found]


def test_tickets_of_another_model_in_the_store_are_in_nobodys_way(tmp_path: Path) -> None:
    fill(tmp_path)
    fill(tmp_path, model="another", image=(5, 5, 1))
    finder = Transfer(store=str(tmp_path), source="source")
    finder.check(target())
    assert [t.parent for t in finder.find(target())] == [t.id for t in sources()]


def test_an_empty_store_is_refused_before_anything_trains(tmp_path: Path) -> None:
    fill(tmp_path)
    for source, seed in (("other", 0), ("source", 5)):
        with pytest.raises(UsageError, match=f"no ticket found on {source} with seed {seed}"):
            Transfer(store=str(tmp_path), source=source).check(target(seed=seed))
    with pytest.raises(UsageError, match="no store there"):
        Transfer(store=str(tmp_path / "none"), source="source").check(target())


def test_a_label_that_left_no_ticket_is_told_those_that_did(tmp_path: Path) -> None:
    fill(tmp_path)
    fill(tmp_path, RandomReinit(of=INNER), "reinit")
    lab = target()
    with pytest.raises(UsageError) as caught:
        Transfer(store=str(tmp_path), source="source", finder="impp").check(lab)
    assert "transfer.finder: 'impp'" in str(caught.value)
    assert "are of imp, reinit" in str(caught.value)
    with pytest.raises(UsageError, match=r"name one of imp, reinit in transfer\.finder"):
        Transfer(store=str(tmp_path), source="source").check(lab)
    named = Transfer(store=str(tmp_path), source="source", finder="imp")
    named.check(lab)
    assert [t.parent for t in named.find(lab)] == [t.id for t in sources()]
    assert lab.spent.steps == 0


def test_a_store_that_is_not_there_is_one_line_with_its_path(tmp_path: Path) -> None:
    with pytest.raises(UsageError) as caught:
        Transfer(store=str(tmp_path / "none"), source="source").check(target())
    assert str(tmp_path / "none") in str(caught.value)
    assert "\n" not in str(caught.value)


def test_no_ticket_for_the_model_names_the_model(tmp_path: Path) -> None:
    fill(tmp_path, model="another")
    with pytest.raises(UsageError, match="with seed 0 and model fake"):
        Transfer(store=str(tmp_path), source="source").check(target())


# Halves of one set


def half(classes: tuple[int, ...]) -> FakeLab:
    return FakeLab(dataclasses.replace(target().task, data="both/8", classes=classes))


def test_tickets_go_from_one_half_of_the_classes_to_the_other(tmp_path: Path) -> None:
    first, second = (0, 1, 2, 3), (4, 5, 6, 7)
    finder = Transfer(of=INNER, source="both/8", classes=first)
    found = list(INNER.find(half(first)))
    finder.check(half(second))
    made = list(finder.find(half(second)))
    assert [t.parent for t in made] == [t.id for t in found]
    assert made[2].mask[BODY].tolist() == found[2].mask[BODY].tolist()
    store = Store(tmp_path)
    for classes in (first, second):
        for ticket in INNER.find(half(classes)):
            store.put_ticket(ticket, half(classes).task, INNER, "imp")
    stored = Transfer(store=str(tmp_path), source="both/8", classes=first)
    assert [t.parent for t in stored.find(half(second))] == [t.id for t in found]
    with pytest.raises(UsageError, match=r"on both/8, classes \(1, 2\), with seed 0"):
        Transfer(store=str(tmp_path), source="both/8", classes=(1, 2)).check(half(second))


def test_the_targets_classes_are_not_the_sources() -> None:
    made = list(Transfer(of=INNER, source="source").find(half((4, 5, 6, 7))))
    assert [t.parent for t in made] == [t.id for t in sources()]


def test_classes_that_the_source_lacks_are_refused_before_anything_trains() -> None:
    with pytest.raises(UsageError, match=r"Task\.classes of 'source': there is no class 4"):
        Transfer(of=INNER, source="source", classes=(3, 4)).check(target())


# Misfits


def test_a_carried_head_needs_as_many_classes(tmp_path: Path) -> None:
    fill(tmp_path)
    for finder in (
        Transfer(of=INNER, source="source", head="carry"),
        Transfer(store=str(tmp_path), source="source", head="carry"),
    ):
        lab = target(7)
        with pytest.raises(
            UsageError, match=r"output/kernel is \(12, 7\) here and \(12, 4\) there.*fresh"
        ):
            finder.check(lab)
        finder.check(target(4))
        assert lab.spent.steps == 0


def test_stored_tickets_of_other_images_are_refused(tmp_path: Path) -> None:
    fill(tmp_path, image=(5, 5, 1))
    with pytest.raises(UsageError, match=r"hidden/kernel is \(16, 12\) here and \(25, 12\) there"):
        Transfer(store=str(tmp_path), source="source").check(target())


def test_the_sources_images_are_converted_to_the_targets() -> None:
    task = dataclasses.replace(target().task, image=(5, 5, 1))
    made = list(Transfer(of=INNER, source="source").find(FakeLab(task)))
    assert made[0].mask[BODY].shape == (25, 12)


def test_check_checks_what_is_inside() -> None:
    with pytest.raises(UsageError, match=r"transfer\.of: expected a finder"):
        Transfer(of=IMP, source="source").check(target())
    with pytest.raises(UsageError, match="has only 60"):
        Transfer(of=EarlyRewind(rewind="100%"), source="source").check(target())


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"of": INNER}, "transfer.source"),
        ({"source": "s"}, "either `of`"),
        ({"source": "s", "of": INNER, "store": "x"}, "either `of`"),
        ({"source": "s", "of": INNER, "carry": "weights"}, "transfer.carry"),
        ({"source": "s", "of": INNER, "head": "dense"}, "transfer.head"),
        ({"source": "s", "store": "x", "carry": "init"}, "rewind"),
    ],
)
def test_bad_settings_are_refused_by_name(settings: dict, words: str) -> None:
    with pytest.raises(UsageError, match=words):
        Transfer(**settings)
