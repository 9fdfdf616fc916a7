"""Controls: exactly one thing is taken away from the ticket, the rest stays."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from ltx_plugins.early_rewind import EarlyRewind
from ltx_plugins.imp import IMP
from ltx_plugins.random_reinit import MASKS, WEIGHTS, RandomReinit, _even_counts

from ltx import ControlError, Mask, Ticket, UsageError
from ltx.testing import FakeLab

INNER = IMP(levels=3)


def pairs(**settings: str) -> list[tuple[Ticket, Ticket]]:
    """The tickets and their controls."""
    controls = RandomReinit(of=INNER, **settings).find(FakeLab())
    return list(zip(INNER.find(FakeLab()), controls, strict=True))


def test_a_control_says_it_is_one() -> None:
    assert RandomReinit.control
    assert not IMP.control


def test_fresh_weights_under_the_same_mask() -> None:
    for ticket, control in pairs():
        assert control.mask == ticket.mask
        assert (control.level, control.parent) == (ticket.level, ticket.id)
        assert control.state.step == 0
        for name in ticket.mask:
            assert not np.isin(control.state.weights[name], ticket.state.weights[name]).any()


def test_fresh_weights_come_from_the_same_distribution_and_seed() -> None:
    assert {c.state for _, c in pairs()} == {FakeLab().init("reinit")}


def test_kept_signs_are_kept_and_the_sizes_are_not() -> None:
    fresh = FakeLab().init("reinit")
    for ticket, control in pairs(weights="sign_kept"):
        assert control.mask == ticket.mask
        assert control.note["signs_kept"] == 1.0
        for name in ticket.mask:
            ours, theirs = control.state.weights[name], ticket.state.weights[name]
            np.testing.assert_array_equal(np.signbit(ours), np.signbit(theirs))
            np.testing.assert_array_equal(np.abs(ours), np.abs(fresh.weights[name]))


def test_fresh_signs_are_right_about_half_the_time() -> None:
    for _, control in pairs():
        kept = control.note["signs_kept"]
        assert isinstance(kept, float)
        assert 0.3 < kept < 0.7


def test_shuffled_masks_keep_the_count_of_every_layer() -> None:
    for ticket, control in pairs(weights="same", mask="shuffled"):
        assert control.mask.densities() == ticket.mask.densities()
        assert control.state == ticket.state
        if ticket.level:
            assert control.mask != ticket.mask
            assert control.note["mask_overlap"] == control.mask.overlap(ticket.mask)


def test_random_masks_keep_every_count_and_are_nested_from_level_to_level() -> None:
    made = pairs(weights="same", mask="random")
    for ticket, control in made:
        assert control.mask.densities() == ticket.mask.densities()
        assert (control.mask == ticket.mask) == (ticket.level == 0)
    for (_, one), (_, two) in itertools.pairwise(made):
        assert two.mask <= one.mask
    shuffled = [c.mask for _, c in pairs(weights="same", mask="shuffled")]
    assert not shuffled[2] <= shuffled[1]


def test_uniform_masks_keep_the_total_and_every_layer_alike() -> None:
    made = pairs(weights="same", mask="uniform")
    for ticket, control in made:
        assert control.mask.kept == ticket.mask.kept
        for keep in control.mask.values():
            assert abs(int(keep.sum()) - ticket.density * keep.size) < 1
    # The output layer loses half as much as the others in a ticket, and as much here.
    assert made[3][1].mask.densities() != made[3][0].mask.densities()
    for (_, one), (_, two) in itertools.pairwise(made):
        assert two.mask <= one.mask


@given(sizes=st.lists(st.integers(1, 500), min_size=1, max_size=6), data=st.data())
def test_even_counts_add_up_and_never_rise_as_the_total_falls(
    sizes: list[int], data: st.DataObject
) -> None:
    named = dict(zip("abcdef", sizes, strict=False))
    total = data.draw(st.integers(0, sum(sizes)))
    counts = _even_counts(named, total)
    assert sum(counts.values()) == total
    assert all(0 <= counts[name] <= size for name, size in named.items())
    if total:
        fewer = _even_counts(named, total - 1)
        assert all(fewer[name] <= counts[name] for name in named)


@pytest.mark.parametrize("weights", WEIGHTS)
@pytest.mark.parametrize("mask", MASKS)
def test_every_control_stores_the_check_of_itself(mask: str, weights: str) -> None:
    if (mask, weights) == ("same", "same"):
        return
    for ticket, control in pairs(mask=mask, weights=weights):
        check = control.note["control"]
        assert isinstance(check, dict)
        if mask != "same":
            assert check["kept_counts"]
            assert check["could_differ"] == (ticket.level > 0)
            assert check["overlap"] == control.mask.overlap(ticket.mask)
            assert abs(check["overlap"] - check["chance_overlap"]) <= check["allowed_deviation"]
        if weights != "same":
            assert check["weights_differ"] == 1.0
            assert (check["signs_kept"] == 1.0) == (weights == "sign_kept")


# A control that quietly does nothing is how wrong results were published.


def test_a_shuffle_that_shuffles_nothing_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Mask, "shuffled", lambda self, rng: self)
    with pytest.raises(ControlError, match=r"random_reinit, level 1: .*hidden/kernel.*ticket's"):
        pairs(weights="same", mask="shuffled")


@pytest.mark.parametrize("mask", ["random", "uniform"])
def test_a_ranking_by_the_tickets_own_order_is_refused(
    monkeypatch: pytest.MonkeyPatch, mask: str
) -> None:
    found = [ticket.mask for ticket in INNER.find(FakeLab())]
    real = FakeLab.rng

    class Planted:
        """Ranks a layer's weights as the tickets keep them, and not by chance."""

        def __init__(self, name: str) -> None:
            self.depth = sum(mask[name].astype(int) for mask in found).ravel()

        def permutation(self, size: int) -> np.ndarray:
            return np.argsort(np.argsort(-self.depth, kind="stable"))

    def rng(self: FakeLab, *stream: object) -> object:
        return Planted(str(stream[1])) if stream[0] == "ranking" else real(self, *stream)

    monkeypatch.setattr(FakeLab, "rng", rng)
    with pytest.raises(ControlError, match="random_reinit, level 1"):
        pairs(weights="same", mask=mask)


def test_weights_that_are_not_drawn_anew_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    drawn = FakeLab.init
    monkeypatch.setattr(FakeLab, "init", lambda self, stream="init": drawn(self))
    for weights in ("fresh", "sign_kept"):
        with pytest.raises(ControlError, match="level 0: the surviving weights of hidden/kernel"):
            pairs(weights=weights)


def test_signs_that_are_not_kept_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(np, "copysign", lambda size, sign: size)
    with pytest.raises(ControlError, match=r"level 0: .* weights of hidden/kernel lost the sign"):
        pairs(weights="sign_kept")


def test_both_may_be_taken_away() -> None:
    for ticket, control in pairs(mask="shuffled"):
        assert control.mask.densities() == ticket.mask.densities()
        assert control.state != ticket.state


def test_a_control_of_rewound_tickets_starts_over() -> None:
    inner = EarlyRewind(levels=1, mode="fine_tune")
    _, control = RandomReinit(of=inner).find(FakeLab())
    ticket = list(inner.find(FakeLab()))[1]
    assert control.state.step == 0
    assert dict(control.state.slots) == {}
    assert control.recipe == ticket.recipe


def test_a_control_costs_what_its_ticket_costs() -> None:
    assert [c.cost.steps for _, c in pairs()] == [0, 60, 120, 180]


def test_controls_of_one_seed_are_the_same_each_time() -> None:
    assert [c.id for _, c in pairs(mask="shuffled")] == [c.id for _, c in pairs(mask="shuffled")]


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({}, "random_reinit.of: expected a finder"),
        ({"of": IMP}, "random_reinit.of"),
        ({"of": INNER, "weights": "kept"}, "random_reinit.weights"),
        ({"of": INNER, "mask": "reversed"}, "random_reinit.mask"),
        ({"of": INNER, "weights": "same"}, "no control"),
    ],
)
def test_bad_settings_are_refused_by_name(settings: dict, words: str) -> None:
    with pytest.raises(UsageError, match=words):
        RandomReinit(**settings)


def test_check_checks_what_is_inside() -> None:
    with pytest.raises(UsageError, match="has only 60"):
        RandomReinit(of=EarlyRewind(rewind="100%")).check(FakeLab())
