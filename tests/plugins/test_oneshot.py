"""Pruning before training: exact densities, no training, and layers that do not collapse."""

import numpy as np
import pytest
from ltx_plugins.oneshot import SNIP, GraSP, OneShot, SynFlow

import ltx
from ltx import Finder, Grasp, Magnitude, Pruning, Random, Snip, Task, UsageError
from ltx.testing import RECIPE, FakeLab

ALL = (OneShot, SNIP, GraSP, SynFlow)


def wide(seed: int = 0) -> FakeLab:
    """A lab with 9456 weights, 48 of them in its output layer."""
    return FakeLab(Task(data="fake", model="fake", recipe=RECIPE, image=(28, 28, 1)), seed)


def sparse(finder: Finder, lab: ltx.Lab) -> ltx.Ticket:
    finder.check(lab)
    return list(finder.find(lab))[-1]


@pytest.mark.parametrize("cls", ALL)
def test_a_dense_ticket_and_one_of_exactly_the_density(cls: type) -> None:
    lab = FakeLab(seed=3)
    dense, ticket = cls(density=0.15).find(lab)
    assert (dense.level, dense.density, dense.cost.steps) == (0, 1.0, 0)
    assert (ticket.level, ticket.mask.kept, ticket.parent) == (1, 36, dense.id)
    assert dense.state == ticket.state == lab.init()


def test_it_costs_what_the_score_asks_of_the_lab() -> None:
    assert sparse(OneShot(), FakeLab()).cost == ltx.Cost()
    assert sparse(SNIP(batches=2), FakeLab()).cost.steps == 2
    assert sparse(GraSP(batches=2), FakeLab()).cost.steps == 8
    synflow = sparse(SynFlow(), FakeLab()).cost
    assert (synflow.steps, synflow.examples) == (0, 0)
    assert synflow.flops < synflow.dense_flops == 100 * 6 * 240


def test_single_rounds_are_their_score_and_a_global_cut() -> None:
    lab = FakeLab()
    state, dense, cut = lab.init(), lab.dense(), Pruning.to(0.1)
    for finder, score in ((SNIP(), Snip()), (GraSP(), Grasp()), (OneShot(), Magnitude())):
        assert sparse(finder, lab).mask == cut(lab, dense, score(lab, state, dense))


def test_rounds_lower_the_density_by_one_factor() -> None:
    lab, seen = FakeLab(), []

    def watched(lab: ltx.Lab, state: ltx.State, mask: ltx.Mask) -> dict[str, np.ndarray]:
        seen.append(mask.kept)
        return Magnitude()(lab, state, mask)

    sparse(OneShot(density=0.1, rounds=4, score=watched), lab)
    assert seen == [240, *(round(240 * 0.1 ** (k / 4)) for k in (1, 2, 3))]


@pytest.mark.parametrize("seed", range(3))
def test_synflow_keeps_every_layer_alive_where_magnitude_need_not(seed: int) -> None:
    ticket = sparse(SynFlow(density=0.001), wide(seed))
    assert ticket.mask.kept == 9
    assert ticket.note == {"rounds": 100, "collapsed": []}
    # As few weights as layers: the utmost that any method can do.
    assert sparse(SynFlow(density=2 / 240), FakeLab(seed=seed)).mask.empty() == []


def test_a_layer_that_collapsed_is_named() -> None:
    ticket = sparse(OneShot(density=0.001, score=Random("a")), wide())
    assert ticket.note["collapsed"] == ticket.mask.empty() != []


def test_random_masks_by_erk_are_what_sparse_training_starts_from() -> None:
    lab = wide()
    ticket = sparse(OneShot(density=0.1, score=Random(), scope="erk"), lab)
    assert ticket.mask.kept == round(0.1 * 9456)
    assert ticket.mask["output/kernel"].mean() > 2 * ticket.mask["hidden/kernel"].mean()


def test_structures_are_pruned_in_rounds_to_their_density() -> None:
    lab = FakeLab()
    finder = OneShot(density=0.25, rounds=3, structure=ltx.ByChannel())
    mask = sparse(finder, lab).mask
    assert ltx.ByChannel().alive(lab, mask)["hidden/kernel"].sum() == 3
    assert mask.kept == 3 * (16 + 4)
    blocks = sparse(OneShot(density=0.25, structure=ltx.Blocks(2, 2)), lab).mask
    assert blocks.kept == 240 / 4
    pairs = sparse(OneShot(density=0.5, structure=ltx.NofM()), lab).mask
    assert pairs.densities() == {"hidden/kernel": 0.5, "output/kernel": 0.5}


def test_smart_scope_thins_towards_the_end_but_for_the_output() -> None:
    ticket = sparse(OneShot(density=0.1, score=Random(), scope="smart"), wide())
    assert ticket.mask.kept == round(0.1 * 9456)
    assert ticket.mask["output/kernel"].sum() == round(0.3 * 48)


IMPOSSIBLE = [
    ({"structure": ltx.ByChannel(), "scope": "erk"}, "compared in scope layer or global"),
    ({"structure": ltx.ByChannel(), "scope": "smart"}, "compared in scope layer or global"),
    ({"structure": ltx.ByChannel(), "density": 0.01}, "less than one"),
    ({"structure": ltx.ByChannel(), "keep": "hidden/*"}, "leaves no channel"),
    ({"structure": ltx.NofM(), "density": 0.4}, "has density 0.5 and no other"),
    ({"structure": ltx.NofM(1, 4), "density": 0.5}, "has density 0.25 and no other"),
    ({"structure": ltx.NofM(), "density": 0.5, "scope": "erk"}, "compared in scope"),
    ({"structure": ltx.NofM(), "density": 0.5, "rounds": 2}, "oneshot.rounds"),
    ({"structure": ltx.Blocks}, "as in @ByChannel"),
    ({"score": ltx.BatchNormScale()}, "no BatchNorm"),
    ({"scope": "smart", "density": 0.01}, "leaves nothing beside"),
]


@pytest.mark.parametrize(("settings", "words"), IMPOSSIBLE)
def test_what_cannot_be_combined_is_refused_before_any_training(settings: dict, words: str) -> None:
    lab = FakeLab()
    with pytest.raises(UsageError, match=words):
        OneShot(**settings).check(lab)
    assert lab.spent == ltx.Cost()


@pytest.mark.parametrize(
    ("cls", "settings", "words"),
    [
        (OneShot, {"density": 0.0}, "oneshot.density"),
        (OneShot, {"score": "magnitude"}, "oneshot.score"),
        (OneShot, {"rounds": 0}, "oneshot.rounds"),
        (OneShot, {"scope": "local"}, "oneshot.scope"),
        (SNIP, {"density": 1.0}, "snip.density"),
        (SNIP, {"batches": 0}, "Snip.batches"),
        (GraSP, {"temperature": -1.0}, "Grasp.temperature"),
        (SynFlow, {"rounds": 2.5}, "synflow.rounds"),
    ],
)
def test_bad_settings_are_refused_by_name(cls: type, settings: dict, words: str) -> None:
    with pytest.raises(UsageError, match=words):
        cls(**settings)


@pytest.mark.parametrize("cls", ALL)
def test_check_refuses_a_density_of_nothing(cls: type) -> None:
    with pytest.raises(UsageError, match="less than one"):
        cls(density=0.001).check(FakeLab())


def test_kept_patterns_stay_whole_however_they_are_given() -> None:
    finder = OneShot(density=0.1, keep=("output/*",))
    assert (
        finder == OneShot(density=0.1, keep="output/*") == OneShot(density=0.1, keep=["output/*"])
    )
    mask = sparse(finder, FakeLab()).mask
    assert (mask["output/kernel"].sum(), mask["hidden/kernel"].sum()) == (48, round(0.1 * 192))


def test_check_refuses_patterns_that_match_nothing() -> None:
    with pytest.raises(UsageError, match="conv"):
        OneShot(keep=("conv*",)).check(FakeLab())


@pytest.mark.slow
@pytest.mark.parametrize("cls", ALL)
def test_on_a_real_network(cls: type) -> None:
    from conftest import keras_lab

    lab = keras_lab()
    size = lab.dense().size
    ticket = sparse(cls(density=0.001), lab)
    assert ticket.mask.kept == round(0.001 * size)
    if cls is SynFlow:
        assert ticket.note["collapsed"] == []
    history = lab.train(ticket.state, ticket.mask, "10it").history
    assert np.isfinite(history.last.loss)
