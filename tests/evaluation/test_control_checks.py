"""Control checks: correct controls pass, every wrong one is refused by name."""

import dataclasses
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ltx import ControlError, Lab, Mask, State, Ticket, UsageError, check_control, check_corrupted
from ltx.evaluation.control_checks import CHANCE, _allowed
from ltx.testing import FakeLab

SHAPES = {"a": (40, 30), "b": (30, 20), "c": (4, 2)}


def draw(seed: int, **counts: int) -> Mask:
    rng = np.random.default_rng(seed)
    return Mask(
        {
            name: (rng.permutation(math.prod(shape)) < counts[name]).reshape(shape)
            for name, shape in SHAPES.items()
        }
    )


def state(seed: int = 0) -> State:
    rng = np.random.default_rng([seed, 1])
    return State(
        {name: rng.normal(size=shape).astype(np.float32) for name, shape in SHAPES.items()}
    )


def ticket(mask: Mask, start: State | None = None, level: int = 2) -> Ticket:
    return Ticket(mask=mask, state=start or state(), level=level, task="t", seed=0)


def check(old: Mask, new: Mask, how: str = "shuffled") -> dict:
    note = check_control("mine", ticket(old), ticket(new), mask=how).note["control"]
    assert isinstance(note, dict)
    return note


SOME = {"a": 300, "b": 100, "c": 5}


@given(
    seed=st.integers(0, 10_000),
    counts=st.fixed_dictionaries(
        {name: st.integers(1, math.prod(shape)) for name, shape in SHAPES.items()}
    ),
)
def test_a_true_shuffle_passes_at_every_density(seed: int, counts: dict[str, int]) -> None:
    note = check(draw(seed, **counts), draw(seed + 1, **counts))
    assert note["kept_counts"]
    assert abs(note["overlap"] - note["chance_overlap"]) <= note["allowed_deviation"] + 1e-9
    assert note["could_differ"] == any(
        count < math.prod(SHAPES[name]) for name, count in counts.items()
    )


def test_the_chance_overlap_is_what_shuffles_give_on_average() -> None:
    old = draw(0, **SOME)
    notes = [check(old, draw(seed, **SOME)) for seed in range(1, 200)]
    mean = np.mean([note["overlap"] for note in notes])
    assert mean == pytest.approx(notes[0]["chance_overlap"], abs=0.005)


@given(size=st.integers(2, 200), data=st.data())
def test_the_bound_holds_with_the_chance_it_says(size: int, data: st.DataObject) -> None:
    had, has = (data.draw(st.integers(1, size)) for _ in range(2))
    choices = math.comb(size, has)
    mean = had * has / size
    allowed = _allowed(mean * (size - had) * (size - has) / (size * (size - 1)), CHANCE)
    beyond = sum(
        math.comb(had, n) * math.comb(size - had, has - n)
        for n in range(max(0, had + has - size), min(had, has) + 1)
        if abs(n - mean) > allowed + 1e-6
    )
    assert beyond / choices < CHANCE


def test_a_mask_that_stayed_is_refused() -> None:
    old = draw(0, **SOME)
    with pytest.raises(ControlError, match=r"mine, level 2: .*shares 300.*chance gives 75"):
        check(old, old)


def test_one_layer_that_stayed_is_enough() -> None:
    old, new = draw(0, **SOME), draw(1, **SOME)
    with pytest.raises(ControlError, match="level 2: b shares 100"):
        check(old, Mask({**new, "b": old["b"]}))


def test_a_sparse_layer_that_stayed_is_refused_though_its_overlap_is_small() -> None:
    few = {"a": 6, "b": 5, "c": 1}
    old = draw(0, **few)
    with pytest.raises(ControlError, match="mask of a is still the ticket's, all 6 of 1200"):
        check(old, Mask({**draw(1, **few), "a": old["a"]}))


def test_a_layer_too_small_to_tell_may_stay() -> None:
    old, new = draw(0, **SOME), draw(1, **SOME)
    assert check(old, Mask({**new, "c": old["c"]}))["kept_counts"]


def test_a_mask_that_shuns_the_tickets_weights_is_refused() -> None:
    old = draw(0, **SOME)
    rest = np.flatnonzero(~old["a"])[:300]
    away = np.isin(np.arange(1200), rest).reshape(40, 30)
    with pytest.raises(ControlError, match="a shares 0 weights"):
        check(old, Mask({**draw(1, **SOME), "a": away}))


def test_a_dense_mask_cannot_be_shuffled_which_is_noted() -> None:
    dense = draw(0, a=1200, b=600, c=8)
    note = check(dense, dense)
    assert (note["could_differ"], note["overlap"], note["allowed_deviation"]) == (False, 1.0, 0.0)


def test_a_count_that_moved_is_refused() -> None:
    old = draw(0, **SOME)
    with pytest.raises(ControlError, match="it keeps 299 weights of a, its ticket 300"):
        check(old, draw(1, a=299, b=101, c=5))
    with pytest.raises(ControlError, match="it keeps 404 weights, its ticket 405"):
        check(old, draw(1, a=299, b=100, c=5), "uniform")
    # 405 of 1808: 269 of a, 134 of b, 2 of c
    assert check(old, draw(1, a=269, b=134, c=2), "uniform")["kept_counts"]
    with pytest.raises(ControlError, match="300 weights of a, whose even share is 268"):
        check(old, draw(1, **SOME), "uniform")


def weights(old: State, new: State, how: str) -> dict:
    mask = draw(0, **SOME)
    made = check_control("mine", ticket(mask, old), ticket(mask, new), weights=how)
    note = made.note["control"]
    assert isinstance(note, dict)
    return note


def test_fresh_weights_differ_and_have_half_the_signs() -> None:
    note = weights(state(0), state(1), "fresh")
    assert note["weights_differ"] == 1.0
    assert 0.3 < note["signs_kept"] < 0.7


@pytest.mark.parametrize("name", SHAPES)
def test_one_layer_that_was_not_drawn_anew_is_refused(name: str) -> None:
    old, new = state(0), state(1)
    stale = new.replace(weights={**new.weights, name: old.weights[name]})
    with pytest.raises(ControlError, match=f"the surviving weights of {name} are still"):
        weights(old, stale, "fresh")


def test_a_constant_initialiser_is_no_ones_fault_unless_nothing_else_is_there() -> None:
    ones = {name: np.ones(shape, np.float32) for name, shape in SHAPES.items()}
    old, new = (s.replace(weights={**s.weights, "c": ones["c"]}) for s in (state(0), state(1)))
    assert 0.9 < weights(old, new, "fresh")["weights_differ"] < 1
    with pytest.raises(ControlError, match="no surviving weight differs"):
        weights(State(ones), State(ones), "fresh")


def test_kept_signs_are_the_tickets_on_other_sizes() -> None:
    old, new = state(0), state(1)
    signed = {n: np.copysign(a, old.weights[n]) for n, a in new.weights.items()}
    assert weights(old, State(signed), "sign_kept")["signs_kept"] == 1.0
    with pytest.raises(ControlError, match="lost the sign"):
        weights(old, new, "sign_kept")
    with pytest.raises(ControlError, match="still the ticket's"):
        weights(old, old, "sign_kept")
    one = signed["b"].copy()
    one[tuple(np.argwhere(draw(0, **SOME)["b"])[0])] *= -1
    with pytest.raises(ControlError, match="1 weights of b lost the sign"):
        weights(old, State({**signed, "b": one}), "sign_kept")


def test_what_says_it_is_the_same_must_be() -> None:
    old = draw(0, **SOME)
    with pytest.raises(ControlError, match="its mask is not the ticket's"):
        check(old, draw(1, **SOME), "same")
    with pytest.raises(ControlError, match="its weights are not the ticket's"):
        weights(state(0), state(1), "same")


def test_a_promise_that_is_none_is_refused() -> None:
    mask = draw(0, **SOME)
    with pytest.raises(UsageError, match="mine: the mask of its check"):
        check_control("mine", ticket(mask), ticket(mask), mask="mixed")
    with pytest.raises(UsageError, match="mine: the weights of its check"):
        check_control("mine", ticket(mask), ticket(mask), weights="new")


def test_the_note_keeps_what_was_in_it() -> None:
    made = dataclasses.replace(ticket(draw(1, **SOME)), note={"own": 1})
    checked = check_control("mine", ticket(draw(0, **SOME)), made, mask="shuffled")
    assert checked.note["own"] == 1
    assert checked.id == made.id


@pytest.mark.parametrize("how", ["random_labels", "shuffled_pixels"])
def test_spoilt_data_turn_the_gradient(make_lab, how: str) -> None:  # type: ignore[no-untyped-def]
    lab: Lab = make_lab()
    seen = check_corrupted("mine", lab, lab.on(corrupt=how))
    assert isinstance(seen["gradient_distance"], float)
    assert seen["gradient_distance"] > 0.1
    assert isinstance(seen["gradient_cosine"], float)
    assert -1 <= seen["gradient_cosine"] < 0.99
    with pytest.raises(ControlError, match=r"mine: .*nothing was corrupted"):
        check_corrupted("mine", lab, lab.on(split_seed=lab.task.split_seed))


def test_a_gradient_of_nothing_proves_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    lab = FakeLab()
    zeros = {n: np.zeros(keep.shape, np.float32) for n, keep in lab.dense().items()}
    monkeypatch.setattr(FakeLab, "gradients", lambda *_: zeros)
    with pytest.raises(ControlError, match="nothing was corrupted"):
        check_corrupted("mine", lab, lab.on(corrupt="random_labels"))
