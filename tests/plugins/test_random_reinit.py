"""Controls: exactly one thing is taken away from the ticket, the rest stays."""

import numpy as np
import pytest
from ltx_plugins.early_rewind import EarlyRewind
from ltx_plugins.imp import IMP
from ltx_plugins.random_reinit import RandomReinit

from ltx import Ticket, UsageError
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
        ({"of": INNER, "mask": "random"}, "random_reinit.mask"),
        ({"of": INNER, "weights": "same"}, "no control"),
    ],
)
def test_bad_settings_are_refused_by_name(settings: dict, words: str) -> None:
    with pytest.raises(UsageError, match=words):
        RandomReinit(**settings)


def test_check_checks_what_is_inside() -> None:
    with pytest.raises(UsageError, match="has only 60"):
        RandomReinit(of=EarlyRewind(rewind="100%")).check(FakeLab())
