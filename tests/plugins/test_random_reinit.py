"""Controls: exactly one thing is taken away from the ticket, the rest stays."""

import dataclasses
import itertools
from collections.abc import Iterator

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from ltx_plugins.early_rewind import EarlyRewind
from ltx_plugins.imp import IMP
from ltx_plugins.random_reinit import MASKS, WEIGHTS, RandomReinit, _even_counts

from ltx import (
    Blocks,
    ByChannel,
    ControlError,
    Finder,
    Lab,
    Mask,
    NofM,
    Pruning,
    Structure,
    Ticket,
    UsageError,
)
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


# Structures: what chance places is what the ticket is made of.

CHANNELS = ByChannel()
EVEN, CUT = Blocks(4, 1), Blocks(5, 5)  # kernels of 16x12 and 12x4, which 5 does not divide
PRUNED = {
    CHANNELS: Pruning(0.3, structure=CHANNELS),
    EVEN: Pruning(0.4, structure=EVEN),
    CUT: Pruning(0.4, structure=CUT),
    NofM(2, 4): Pruning.to(0.5, structure=NofM(2, 4)),
    NofM(3, 5): Pruning.to(0.6, structure=NofM(3, 5)),
}


def structured(structure: Structure, mask: str, seed: int = 0) -> list[tuple[Ticket, Ticket]]:
    inner = IMP(levels=1 if structure.only else 3, pruning=PRUNED[structure])
    finder = RandomReinit(of=inner, weights="same", mask=mask, structure=structure)
    finder.check(FakeLab())
    controls = finder.find(FakeLab(seed=seed))
    return list(zip(inner.find(FakeLab(seed=seed)), controls, strict=True))


@pytest.mark.parametrize("mask", ["shuffled", "random"])
@pytest.mark.parametrize("structure", PRUNED)
def test_the_structure_stays_and_so_does_every_count(structure: Structure, mask: str) -> None:
    lab, moved = FakeLab(), False
    made = structured(structure, mask)
    for ticket, control in made:
        assert not structure.misfits(lab, control.mask)
        ours, theirs = (structure.alive(lab, t.mask) for t in (control, ticket))
        for name, cell in {**{n: 0 * k for n, k in ours.items()}, **structure.cells(lab)}.items():
            for number in np.unique(cell):
                assert ours[name][cell == number].sum() == theirs[name][cell == number].sum()
        # No unit weighs what another does not, so that single weights are as many, too.
        assert control.mask.densities() == ticket.mask.densities()
        moved |= control.mask != ticket.mask
        check = control.note["control"]
        assert isinstance(check, dict)
        assert check["unit"] == structure.unit
        assert check["could_differ"] == (ticket.level > 0)
        assert abs(check["overlap"] - check["chance_overlap"]) <= check["allowed_deviation"]
    assert moved
    if mask == "random":
        for (_, one), (_, two) in itertools.pairwise(made):
            assert two.mask <= one.mask


def test_the_overlap_by_chance_is_that_of_units() -> None:
    """In every cell of four, two places of two: one is shared on average, by chance alone."""
    notes = [
        control.note["control"]
        for seed in range(40)
        for ticket, control in structured(NofM(2, 4), "shuffled", seed)
        if ticket.level
    ]
    assert all(note["chance_overlap"] == pytest.approx(0.5) for note in notes)  # type: ignore
    assert np.mean([note["overlap"] for note in notes]) == pytest.approx(0.5, abs=0.02)  # type: ignore


def test_uniform_blocks_keep_the_total_and_every_layer_alike() -> None:
    for ticket, control in structured(EVEN, "uniform"):
        assert control.mask.kept == ticket.mask.kept
        assert not EVEN.misfits(FakeLab(), control.mask)
        blocks = EVEN.alive(FakeLab(), control.mask)
        share = sum(k.sum() for k in blocks.values()) / sum(k.size for k in blocks.values())
        assert all(abs(keep.sum() - share * keep.size) <= 1 for keep in blocks.values())


@pytest.mark.parametrize("structure", [CHANNELS, CUT, NofM(2, 4)])
def test_uniform_units_that_weigh_unequally_or_must_stay_are_refused(structure: Structure) -> None:
    inner = IMP(levels=1, pruning=PRUNED[structure])
    lab = FakeLab()
    with pytest.raises(UsageError, match=r"random_reinit.mask: 'uniform' takes"):
        RandomReinit(of=inner, mask="uniform", structure=structure).check(lab)
    assert lab.spent.steps == 0


def test_a_model_without_such_units_is_refused_before_anything_trains() -> None:
    inner = IMP(levels=1)
    object.__setattr__(inner, "pruning", None)  # a finder that tells nothing of its structure
    object.__setattr__(inner, "check", lambda lab: None)
    with pytest.raises(UsageError, match="fake has no channels that ByChannel"):
        RandomReinit(of=inner, mask="shuffled", structure=CHANNELS).check(FakeLab(layers=1))


def test_a_structure_that_is_not_the_tickets_is_refused() -> None:
    with pytest.raises(UsageError, match=r"expected that of the tickets, Unstructured\(\)"):
        RandomReinit(of=INNER, mask="shuffled", structure=CHANNELS)
    with pytest.raises(UsageError, match="the same mask moves no channels"):
        RandomReinit(of=IMP(pruning=PRUNED[CHANNELS]), structure=CHANNELS)
    with pytest.raises(UsageError, match=r"random_reinit.structure"):
        RandomReinit(of=INNER, mask="shuffled", structure="channels")  # type: ignore[arg-type]


@pytest.mark.parametrize("structure", [CHANNELS, EVEN, NofM(2, 4)])
def test_tickets_that_turn_out_to_have_another_structure_are_refused(structure: Structure) -> None:
    finder = RandomReinit(of=Silent(), mask="shuffled", structure=structure)
    finder.check(FakeLab())
    with pytest.raises(ControlError, match=r"level 1: the mask that its ticket has of .*structure"):
        list(finder.find(FakeLab()))


@dataclasses.dataclass(frozen=True)
class Silent(Finder):
    """Single weights, and no setting that says so."""

    def find(self, lab: Lab) -> Iterator[Ticket]:
        return INNER.find(lab)


@pytest.mark.parametrize("structure", [CHANNELS, EVEN, NofM(2, 4)])
def test_units_that_chance_did_not_move_are_refused(
    structure: Structure, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Mask, "shuffled", lambda self, rng: self)
    monkeypatch.setattr("ltx_plugins.random_reinit._first", lambda ranking, keep, cell: keep)
    monkeypatch.setattr(
        "ltx.evaluation.control_checks.CHANCE", 0.05
    )  # of twelve channels a few tell little
    with pytest.raises(ControlError, match=f"{structure.unit}.* (at random|nothing was shuffled)"):
        structured(structure, "shuffled")


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
