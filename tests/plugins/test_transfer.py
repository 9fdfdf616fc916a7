"""Transfer: what is carried over, what is drawn anew, and what does not fit."""

import dataclasses
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ltx_plugins.early_rewind import EarlyRewind
from ltx_plugins.imp import IMP
from ltx_plugins.random_reinit import RandomReinit
from ltx_plugins.transfer import CARRY, HEADS, STEMS, Transfer

from ltx import (
    ControlError,
    Lab,
    Mask,
    Pruning,
    State,
    Store,
    Task,
    Ticket,
    UsageError,
)
from ltx.core import identity
from ltx.core.objectives.regression import Regression
from ltx.store.event_log import Trained
from ltx.store.memo import MemoLab
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
        same = (made.mask[BODY] == ticket.mask[BODY]).all()
        assert same == (carry != "shuffled" or ticket.level == 0)
        assert made.mask[BODY].sum() == ticket.mask[BODY].sum()
        assert made.mask.check(lab.prunable)
        assert (made.level, made.parent, made.task) == (ticket.level, ticket.id, lab.task.id)
        note = {key: value for key, value in made.note.items() if key != "control"}
        assert note == {
            "source": "source",
            "source_task": target().on(data="source", image=(4, 4, 1)).task.id,
            "source_density": ticket.density,
            "carry": carry,
            "head": head,
            "of": INNER,
        }
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


def test_signs_are_carried_over_fresh_sizes() -> None:
    fresh = target().init("transfer").weights[BODY]
    for ticket, made in carried(carry="sign"):
        old, new = ticket.state.weights[BODY], made.state.weights[BODY]
        np.testing.assert_array_equal(np.abs(new), np.abs(fresh))
        np.testing.assert_array_equal(np.signbit(new), np.signbit(old))
        assert (np.signbit(fresh) != np.signbit(old)).any()
        for name in ("hidden/bias", HEAD, "output/bias"):
            np.testing.assert_array_equal(
                made.state.weights[name], target().init("transfer").weights[name]
            )


def test_a_shuffled_mask_is_over_the_weights_of_the_rewind_point() -> None:
    pairs = zip(carried(carry="shuffled"), carried(carry="rewind"), strict=True)
    for (ticket, shuffled), (_, rewound) in pairs:
        assert shuffled.state == rewound.state
        assert shuffled.mask[HEAD].all()
        assert ticket.level == 0 or shuffled.mask != rewound.mask


@pytest.mark.parametrize("head", HEADS)
def test_what_was_taken_away_is_checked_and_noted(head: str) -> None:
    for carry in ("mask", "sign", "shuffled"):
        for ticket, made in carried(carry=carry, head=head):
            check: Any = made.note["control"]
            if carry == "shuffled":
                assert check["could_differ"] == (ticket.level > 0)
                assert (check["overlap"] < 1) == (ticket.level > 0)
            else:
                assert check["weights_differ"] == 1
                assert (check["signs_kept"] == 1) == (carry == "sign")
    for carry in ("init", "rewind"):
        assert not any("control" in made.note for _, made in carried(carry=carry, head=head))


class Constant(FakeLab):
    """Its fresh weights are those that it starts from: nothing there is fresh."""

    def init(self, stream: str = "init") -> State:
        return super().init("init")

    def open_sibling(self, task: Task) -> "Constant":
        return Constant(task, ledger=self.ledger)


@pytest.mark.parametrize("carry", ["mask", "sign"])
def test_fresh_weights_that_are_the_tickets_are_refused(carry: str) -> None:
    lab = Constant(target().task)
    finder = Transfer(of=IMP(levels=1), source=lab.task, carry=carry)
    with pytest.raises(ControlError, match=r"transfer, level 0.*nothing was drawn anew"):
        list(finder.find(lab))


def test_a_shuffle_that_moves_nothing_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Mask, "shuffled", lambda self, rng: self)
    finder = Transfer(of=INNER, source="source", carry="shuffled")
    with pytest.raises(ControlError, match="transfer, level 1"):
        list(finder.find(target()))


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
        return sum(event.steps for event in store.events() if isinstance(event, Trained))

    list(INNER.find(MemoLab(FakeLab(plain), store)))
    before = steps_trained()
    lab = MemoLab(FakeLab(dataclasses.replace(plain, data="target")), store)
    assert len(list(Transfer(of=INNER, source="source").find(lab))) == 3
    assert steps_trained() == before > 0


@pytest.mark.slow
def test_halves_of_digits_carry_to_one_another_on_keras() -> None:
    from ltx.backends.tf_keras.lab import KerasLab

    recipe = dataclasses.replace(RECIPE, length="4it", learning_rate=0.05)
    low, high = (
        Task(data="digits", model="convnet", recipe=recipe, classes=tuple(range(n, n + 5)))
        for n in (0, 5)
    )
    inner = EarlyRewind(levels=1, rewind="2it")
    lab, found = KerasLab(high, 0), list(inner.find(KerasLab(low, 0)))
    for carry in CARRY:
        finder = Transfer(of=inner, source=low, carry=carry)
        finder.check(lab)
        for ticket, made in zip(found, finder.find(lab), strict=True):
            check_carried(lab, ticket, made, carry)


def check_carried(lab: Lab, ticket: Ticket, made: Ticket, carry: str) -> None:
    moved = carry in ("rewind", "shuffled")
    assert made.parent == ticket.id
    for name, keep in made.mask.items():
        if name in lab.head:
            assert keep.all()
            continue
        old, new = ticket.state.weights[name], made.state.weights[name]
        assert (keep == ticket.mask[name]).all() == (carry != "shuffled" or not ticket.level)
        assert (new == old).all() == moved
        assert (np.signbit(new) == np.signbit(old)).all() == (moved or carry == "sign")
    for name, array in made.state.statistics.items():
        assert (array == ticket.state.statistics[name]).all() == moved
    assert made.state.statistics
    assert lab.train(made.state, made.mask, "1it").state.step == 1


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


@pytest.mark.parametrize("carry", sorted(set(CARRY) - {"init"}))
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


# Whole tasks as sources


def half(classes: tuple[int, ...], **changes: object) -> FakeLab:
    task = dataclasses.replace(target().task, data="both/8", classes=classes, **changes)
    return FakeLab(task)


def test_tickets_go_from_one_half_of_the_classes_to_the_other(tmp_path: Path) -> None:
    first, second = (0, 1, 2, 3), (4, 5, 6, 7)
    finder = Transfer(of=INNER, source=half(first).task)
    found = list(INNER.find(half(first)))
    finder.check(half(second))
    made = list(finder.find(half(second)))
    assert [t.parent for t in made] == [t.id for t in found]
    assert made[2].mask[BODY].tolist() == found[2].mask[BODY].tolist()
    assert made[2].note["source"] == "both/8[0-3]/fake"
    store = Store(tmp_path)
    for classes in (first, second):
        for ticket in INNER.find(half(classes)):
            store.put_ticket(ticket, half(classes).task, INNER, "imp")
    stored = list(Transfer(store=str(tmp_path), source=half(first).task).find(half(second)))
    assert [t.parent for t in stored] == [t.id for t in found]
    for one, other in zip(stored, made, strict=True):
        assert identity.describe(one.note) == identity.describe(other.note)
    with pytest.raises(UsageError, match=r"on both/8\[1,2\]/fake \(task \w+\) with seed 0"):
        Transfer(store=str(tmp_path), source=half((1, 2)).task).check(half(second))


def test_the_source_keeps_all_of_its_own_task() -> None:
    recipe = dataclasses.replace(RECIPE, optimizer="adam", length="40it", learning_rate=0.01)
    source = dataclasses.replace(
        target().task, data="source", recipe=recipe, subset=0.5, split_seed=3
    )
    made = list(Transfer(of=INNER, source=source).find(target()))
    assert [t.parent for t in made] == [t.id for t in INNER.find(FakeLab(source))]
    assert made[0].note["source_task"] == source.id


@pytest.mark.parametrize("carry", CARRY)
def test_the_lab_may_carry_from_its_own_task(carry: str) -> None:
    lab = target()
    finder = Transfer(of=INNER, source=lab.task, carry=carry)
    finder.check(lab)
    made = list(finder.find(lab))
    native = list(INNER.find(target()))
    assert [t.parent for t in made] == [t.id for t in native]
    if carry == "rewind":
        assert [dict(t.mask)[BODY].tolist() for t in made] == [
            t.mask[BODY].tolist() for t in native
        ]


def test_the_targets_classes_are_not_those_of_a_set_by_name() -> None:
    made = list(Transfer(of=INNER, source="source").find(half((4, 5, 6, 7))))
    assert [t.parent for t in made] == [t.id for t in sources()]


def test_a_source_of_other_images_is_refused_before_anything_trains() -> None:
    lab = target()
    source = dataclasses.replace(lab.task, data="source", image=(5, 5, 1))
    with pytest.raises(UsageError, match=r"transfer from source/fake: .*set Task\.image alike"):
        Transfer(of=INNER, source=source).check(lab)
    assert lab.spent.steps == 0


# Unlike first layers

CONV, MIX, FACTOR = "conv/kernel", "mix/kernel", "factor/kernel"


def ranks(image: tuple[int, int, int] = (4, 4, 1), data: str = "target/4") -> FakeLab:
    task = Task(data=data, model="fake", recipe=RECIPE, image=image)
    return FakeLab(task, network="ranks")


@pytest.mark.parametrize("stem", STEMS)
@pytest.mark.parametrize("carry", CARRY)
def test_the_body_is_carried_under_another_stem(carry: str, stem: str) -> None:
    """From coloured images of another size and with other classes, unless the stem comes along."""
    source = ranks((5, 5, 3) if stem != "carry" else (4, 4, 1), "source/6")
    lab, fresh = ranks(), ranks().init("transfer")
    finder = Transfer(of=INNER, source=source.task, carry=carry, stem=stem)
    finder.check(lab)
    found, made = list(INNER.find(source)), list(finder.find(lab))
    for old, new in zip(found, made, strict=True):
        assert new.mask.check(lab.prunable)
        for name in (MIX, FACTOR):
            assert new.mask[name].sum() == old.mask[name].sum()
            assert carry == "shuffled" or (new.mask[name] == old.mask[name]).all()
            start = source.init() if carry == "init" else old.state
            moved = (new.state.weights[name] == start.weights[name]).all()
            assert moved == (carry in ("rewind", "shuffled", "init"))
        assert new.note.get("stem", "carry") == stem
        assert "unmatched" not in new.note
        assert lab.train(new.state, new.mask, "1it")
        if stem == "carry":
            continue
        np.testing.assert_array_equal(new.state.weights[CONV], fresh.weights[CONV])
        share = 1.0 if stem == "fresh" else old.mask[CONV].mean()
        assert int(new.mask[CONV].sum()) == round(share * new.mask[CONV].size)


def test_the_stem_is_carried_by_default_and_moves_no_identity() -> None:
    plain = Transfer(of=INNER, source="source")
    assert plain == Transfer(of=INNER, source="source", stem="carry")
    assert "stem" not in identity.describe(plain)
    assert all(CONV in dict(t.mask) and "stem" not in t.note for t in plain.find(ranks()))


def test_the_lab_may_carry_from_itself_under_a_new_stem() -> None:
    lab = ranks()
    for source in (lab.task, lab.task.data):
        made = list(Transfer(of=INNER, source=source, stem="fresh").find(lab))
        native = list(INNER.find(ranks()))
        assert {t.note["source_task"] for t in made} == {lab.task.id}
        assert [t.parent for t in made] == [t.id for t in native]
        assert all(t.mask[CONV].all() for t in made)
        assert [t.mask[MIX].tolist() for t in made] == [t.mask[MIX].tolist() for t in native]


def test_a_stem_of_another_shape_is_refused_with_the_setting() -> None:
    lab, source = ranks(), ranks((4, 4, 3)).task
    with pytest.raises(UsageError, match=r"conv/kernel is .*transfer\.stem='fresh'"):
        Transfer(of=INNER, source=source).check(lab)
    Transfer(of=INNER, source=source, stem="random").check(lab)
    assert lab.spent.steps == 0


def test_what_finds_no_match_is_listed_in_one_line(caplog: pytest.LogCaptureFixture) -> None:
    lab, source = ranks(), ranks((4, 4, 3)).task
    finder = Transfer(of=INNER, source=source, stem="fresh")
    (_, first, *_) = map(renamed, INNER.find(ranks((4, 4, 3))))
    made = finder._carry(lab, first, first.state, source.id, INNER, None)
    assert made.note["unmatched"] == {"here": [MIX], "there": ["other/kernel"]}
    assert made.mask[MIX].all()
    np.testing.assert_array_equal(made.state.weights[FACTOR], first.state.weights[FACTOR])
    (line,) = {record.getMessage() for record in caplog.records}
    assert line.endswith("no match for mix/kernel here; other/kernel there")


def test_a_source_with_nothing_in_common_is_refused() -> None:
    lab = target()
    finder = Transfer(of=INNER, source="source", stem="fresh")
    with pytest.raises(UsageError, match=r"no layer is carried: between head and stem are none"):
        finder.check(lab)
    Transfer(of=INNER, source="source", stem="fresh", head="carry").check(lab)
    with pytest.raises(UsageError, match=r"are mix/kernel, factor/kernel here, of which none"):
        finder._fit(ranks(), Mask({BODY: np.ones((16, 12), bool)}))


def test_a_lab_that_does_not_tell_its_stem_is_refused() -> None:
    class Untold(FakeLab):
        stem = ()

    with pytest.raises(UsageError, match=r"transfer\.stem: Untold does not say"):
        Transfer(of=INNER, source=target().task, stem="fresh").check(Untold(target().task))


def test_settings_of_one_data_set_are_not_those_of_another() -> None:
    given = {"data_args": {"target": "y"}, "preprocessing": {"scaling": "none"}, "test": 0.2}
    task = dataclasses.replace(target().task, **given)
    finder = Transfer(of=INNER, source="source")
    other, own = (
        dataclasses.replace(finder, source=name)._lab(FakeLab(task)).task
        for name in ("source", task.data)
    )
    assert (other.data_args, other.preprocessing, other.test) == ({}, {}, 0)
    assert own == task
    kept = dataclasses.replace(task, data="source", data_args={}, preprocessing={}, test=0)
    assert other == kept
    sized = dataclasses.replace(finder, stem="fresh", head="carry")._lab(FakeLab(task)).task
    assert sized == dataclasses.replace(kept, image=None)


def test_a_name_that_cannot_be_loaded_so_is_told_to_be_a_task() -> None:
    class Picky(FakeLab):
        def open_sibling(self, task: Task) -> Lab:
            raise UsageError("data set 'csv:b.csv': it has no test split")

    with pytest.raises(UsageError, match=r"transfer\.source: .*no test split.*as a whole task"):
        Transfer(of=INNER, source="csv:b.csv").check(Picky(target().task))


@pytest.mark.slow
def test_numbers_and_images_share_the_body_of_one_model_on_keras() -> None:
    from ltx.backends.tf_keras.lab import KerasLab

    recipe = dataclasses.replace(RECIPE, length="4it", learning_rate=0.05)
    images = Task(data="digits", model="mlp", recipe=recipe, model_args={"widths": (12, 8)})
    numbers = dataclasses.replace(images, data="number_rows.load", test=0.2, objective=Regression())
    inner = EarlyRewind(levels=1, rewind="2it")
    for here, there in ((images, numbers), (numbers, images), (images, images)):
        lab = KerasLab(here, 0)
        assert lab.stem == ("dense_1/kernel", "dense_1/bias")
        finder = Transfer(of=inner, source=there, stem="fresh")
        finder.check(lab)
        found = inner.find(KerasLab(there, 0))
        for old, new in zip(found, finder.find(lab), strict=True):
            for name in ("dense_2/kernel", "dense_2/bias"):
                np.testing.assert_array_equal(new.state.weights[name], old.state.weights[name])
            assert (new.mask["dense_2/kernel"] == old.mask["dense_2/kernel"]).all()
            assert new.mask["dense_1/kernel"].all()
            assert lab.train(new.state, new.mask, "1it").state.step == 1


def renamed(ticket: Ticket) -> Ticket:
    """The ticket of a network whose second kernel has another name."""
    names = {MIX: "other/kernel"}
    weights = {names.get(n, n): array for n, array in ticket.state.weights.items()}
    mask = Mask({names.get(n, n): keep for n, keep in ticket.mask.items()})
    return dataclasses.replace(ticket, mask=mask, state=ticket.state.replace(weights=weights))


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
        ({"of": INNER, "source": Task}, r"transfer\.source: expected the data set or the @Task"),
        ({"of": INNER, "source": 3}, "transfer.source"),
        ({"source": "s"}, "either `of`"),
        ({"source": "s", "of": INNER, "store": "x"}, "either `of`"),
        ({"source": "s", "of": INNER, "carry": "weights"}, "transfer.carry"),
        ({"source": "s", "of": INNER, "head": "dense"}, "transfer.head"),
        ({"source": "s", "of": INNER, "stem": "dense"}, "transfer.stem"),
        ({"source": "s", "store": "x", "carry": "init"}, "rewind"),
    ],
)
def test_bad_settings_are_refused_by_name(settings: dict, words: str) -> None:
    with pytest.raises(UsageError, match=words):
        Transfer(**settings)
