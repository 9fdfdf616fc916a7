"""Lab: the contract that finders rely on, the same for every lab."""

import dataclasses
import random
import time
from collections.abc import Callable, Mapping

import numpy as np
import pytest

from ltx import (
    Bernoulli,
    Blocks,
    DivergedError,
    EdgePopup,
    Lab,
    Mask,
    NofM,
    PolynomialDecay,
    State,
    UsageError,
    learned_mask,
)
from ltx.core.mask import MaskLearner

MakeLab = Callable[..., Lab]


def sparse(lab: Lab, share: float = 0.3) -> Mask:
    return Mask(
        {n: lab.rng("sparse", n).random(keep.shape) < share for n, keep in lab.dense().items()}
    )


def pruned_weights(state: State, mask: Mask) -> np.ndarray:
    return np.concatenate([state.weights[name][~keep] for name, keep in mask.items()])


def test_same_seed_same_bytes(make_lab: MakeLab) -> None:
    runs = []
    for _ in range(2):
        lab = make_lab(seed=1)
        runs.append(lab.train(lab.init(), sparse(lab)))
    assert runs[0] == runs[1]
    assert make_lab(seed=1).fingerprint == make_lab(seed=1).fingerprint


def test_other_seed_or_stream_other_bytes(make_lab: MakeLab) -> None:
    lab, other = make_lab(seed=0), make_lab(seed=1)
    inits = {lab.init(), other.init(), lab.init("b")}
    assert len(inits) == 3
    start, mask = lab.init(), lab.dense()
    ends = {
        lab.train(start, mask, "5it").state,
        lab.train(start, mask, "5it", stream="second").state,
        other.train(start, mask, "5it").state,
    }
    assert len(ends) == 3


def test_an_init_is_at_step_zero_with_every_weight(make_lab: MakeLab) -> None:
    lab = make_lab()
    state = lab.init()
    assert state.step == 0
    for weight in lab.prunable:
        assert state.weights[weight.name].shape == weight.shape
    assert set(lab.head) <= state.weights.keys()
    assert {w.name for w in lab.prunable if w.is_output} <= set(lab.head)
    assert lab.outputs_logits


@pytest.mark.parametrize("cuts", [(1,), (10,), (7, 8, 33), (59,), (10, 20, 30)])
def test_segments_equal_one_run(make_lab: MakeLab, cuts: tuple[int, ...]) -> None:
    lab = make_lab()
    mask = sparse(lab)
    whole = lab.train(lab.init(), mask)
    state, history = lab.init(), type(whole.history)()
    for until in (*(f"{cut}it" for cut in cuts), None):
        run = lab.train(state, mask, until)
        state, history = run.state, history + run.history
    assert state.id == whole.state.id
    assert history == whole.history


def test_the_curve_has_its_steps_and_the_last(make_lab: MakeLab) -> None:
    lab = make_lab()
    run = lab.train(lab.init(), lab.dense())
    assert run.history.steps == (10, 20, 30, 40, 50, 60)
    assert run.state.step == 60 == lab.steps()
    assert run.history.last == lab.evaluate(run.state, lab.dense())
    assert run.history.last.loss < lab.evaluate(lab.init(), lab.dense()).loss


def test_pruned_weights_are_exactly_zero(make_lab: MakeLab) -> None:
    lab = make_lab()
    mask = sparse(lab)
    for until in ("0it", "1it", "13it", None):
        state = lab.train(lab.init(), mask, until).state
        assert not pruned_weights(state, mask).any()
        assert all(np.count_nonzero(state.weights[n][keep]) for n, keep in mask.items())


def test_momentum_does_not_revive_pruned_weights(make_lab: MakeLab) -> None:
    lab = make_lab()
    state = lab.train(lab.init(), lab.dense(), "20it").state
    assert any(np.count_nonzero(slot) for slot in state.slots.values())
    mask = sparse(lab)
    for until in ("20it", "21it", "35it"):
        assert not pruned_weights(lab.train(state, mask, until).state, mask).any()


def test_what_pruned_weights_were_does_not_matter(make_lab: MakeLab) -> None:
    lab = make_lab()
    mask, state = sparse(lab), lab.train(lab.init(), lab.dense(), "20it").state
    assert lab.train(state, mask, "40it") == lab.train(state.masked(mask), mask, "40it")
    assert lab.evaluate(state, mask) == lab.evaluate(state.masked(mask), mask)


def test_a_fresh_optimizer_is_an_empty_one(make_lab: MakeLab) -> None:
    lab = make_lab()
    state = lab.train(lab.init(), lab.dense(), "20it").state
    fresh = lab.train(state.replace(slots={}), lab.dense(), "30it")
    assert fresh.state != lab.train(state, lab.dense(), "30it").state
    assert fresh == lab.train(state.replace(slots={}), lab.dense(), "30it")


def test_the_test_split_is_sealed(make_lab: MakeLab) -> None:
    lab = make_lab()
    state = lab.init()
    for sealed in (lab, lab.on(data=lab.task.data)):
        with pytest.raises(UsageError, match="test split"):
            sealed.evaluate(state, lab.dense(), "test")
    assert make_lab(sealed=False).evaluate(state, lab.dense(), "test").loss > 0


def test_the_splits_differ_and_others_are_refused(make_lab: MakeLab) -> None:
    lab = make_lab(sealed=False)
    state = lab.train(lab.init(), lab.dense(), "30it").state
    losses = {lab.evaluate(state, lab.dense(), s).loss for s in ("train", "validation", "test")}
    assert len(losses) == 3
    with pytest.raises(UsageError, match="'valid'"):
        lab.evaluate(state, lab.dense(), "valid")


def test_evaluating_changes_nothing(make_lab: MakeLab) -> None:
    lab = make_lab()
    mask, state = sparse(lab), lab.train(lab.init(), lab.dense(), "20it").state
    once = lab.train(state, mask, "40it")
    metrics = lab.evaluate(state, lab.dense())
    lab.evaluate(lab.init("other"), mask, "train")
    lab.gradients(lab.init("other"), mask, 2)
    lab.hessian_gradient(lab.init("other"), mask, 2)
    lab.synaptic_flow(lab.init("other"), mask)
    lab.effective(mask)
    assert lab.train(state, mask, "40it") == once
    assert lab.evaluate(state, lab.dense()) == metrics


def test_inputs_are_not_changed(make_lab: MakeLab) -> None:
    lab = make_lab()
    state = lab.train(lab.init(), lab.dense(), "10it").state
    mask = sparse(lab)
    copies = {name: array.copy() for name, array in state.arrays().items()}
    masks = {name: keep.copy() for name, keep in mask.items()}
    lab.train(state, mask)
    lab.gradients(state, mask)
    lab.hessian_gradient(state, mask)
    lab.synaptic_flow(state, mask)
    lab.effective(mask)
    lab.evaluate(state, mask)
    for name, array in state.arrays().items():
        np.testing.assert_array_equal(array, copies[name])
    for name, keep in mask.items():
        np.testing.assert_array_equal(keep, masks[name])


def test_the_ledger_counts_steps_examples_and_flops(make_lab: MakeLab) -> None:
    lab = make_lab()
    mask = sparse(lab)
    lab.train(lab.init(), mask, "10it")
    lab.evaluate(lab.init(), mask)
    size = sum(w.size for w in lab.prunable)
    assert vars(lab.spent) == {
        "steps": 10,
        "examples": 200,
        "dense_flops": 6 * 200 * size,
        "flops": 6 * 200 * mask.kept,
    }
    lab.gradients(lab.init(), lab.dense(), 3)
    assert (lab.spent.steps, lab.spent.flops) == (13, 6 * 200 * mask.kept + 6 * 60 * size)


def test_seconds_are_those_of_work(make_lab: MakeLab) -> None:
    lab = make_lab()
    assert lab.seconds == 0
    begun = time.perf_counter()
    run = lab.train(lab.init(), lab.dense(), "10it")
    assert 0 < run.seconds <= lab.seconds <= time.perf_counter() - begun
    told = [lab.seconds]
    lab.gradients(run.state, lab.dense())
    told.append(lab.seconds)
    lab.hessian_gradient(run.state, lab.dense())
    told.append(lab.seconds)
    lab.synaptic_flow(run.state, lab.dense())
    told.append(lab.seconds)
    lab.scheduled_mask(run.state, lab.dense(), PolynomialDecay(0.5, 0, 20, 5))
    told.append(lab.seconds)
    lab.train_mask(run.state, lab.dense(), EdgePopup(0.5), "20it")
    told.append(lab.seconds)
    sibling = lab.on(corrupt="random_labels")
    lab.evaluate(run.state, lab.dense())
    assert lab.seconds == told[-1]
    sibling.train(run.state, lab.dense(), "20it")
    assert lab.seconds == sibling.seconds
    told.append(lab.seconds)
    assert told == sorted(set(told))


def test_gradients_that_pruned_weights_get_as_well_are_charged(make_lab: MakeLab) -> None:
    lab = make_lab()
    mask, size = sparse(lab), sum(w.size for w in lab.prunable)
    lab.gradients(lab.init(), mask, 2)
    # Forward and back to the inputs through survivors, 4; every weight's own gradient, 2.
    expected = {
        "steps": 2,
        "examples": 40,
        "dense_flops": 6 * 40 * size,
        "flops": 40 * (4 * mask.kept + 2 * size),
    }
    assert vars(lab.spent) == expected
    before = lab.spent
    lab.hessian_gradient(lab.init(), mask, 2)
    # Four passes as dear as a gradient; of their 24 FLOPs 4 reach every weight.
    expected = {
        "steps": 8,
        "examples": 160,
        "dense_flops": 24 * 40 * size,
        "flops": 40 * (20 * mask.kept + 4 * size),
    }
    assert vars(lab.spent - before) == expected


def test_gradients_are_pure_and_unmasked(make_lab: MakeLab) -> None:
    lab = make_lab()
    mask, state = sparse(lab), lab.init()
    gradients = lab.gradients(state, mask, batches=3)
    assert gradients.keys() == mask.keys()
    for name, keep in mask.items():
        assert gradients[name].shape == keep.shape
        assert gradients[name].dtype == np.float32
        assert np.count_nonzero(gradients[name][~keep])
    for again in (
        lab.gradients(state, mask, batches=3),
        make_lab().gradients(state, mask, batches=3),
    ):
        for name in mask:
            np.testing.assert_array_equal(again[name], gradients[name])
    one = lab.gradients(state, mask, batches=1)
    assert any((one[name] != gradients[name]).any() for name in mask)


def test_gradients_point_uphill(make_lab: MakeLab) -> None:
    lab = make_lab()
    mask, state = lab.dense(), lab.init()
    gradients = lab.gradients(state, mask, batches=lab.epoch)
    down = {n: state.weights[n] - np.float32(1e-2) * g for n, g in gradients.items()}
    moved = state.replace(weights={**state.weights, **down})
    assert lab.evaluate(moved, mask, "train").loss < lab.evaluate(state, mask, "train").loss


def test_gradients_need_a_batch(make_lab: MakeLab) -> None:
    lab = make_lab()
    with pytest.raises(UsageError, match="at least 1 batch, got 0"):
        lab.gradients(lab.init(), lab.dense(), batches=0)


METHODS = (EdgePopup(0.3), Bernoulli(0.6, learning_rate=1.0))


@pytest.mark.parametrize("method", METHODS, ids=lambda m: type(m).__name__)
def test_learning_a_mask_leaves_the_weights_alone(make_lab: MakeLab, method: MaskLearner) -> None:
    lab = make_lab()
    mask, state = sparse(lab, 0.6), lab.init()
    run = lab.train_mask(state, mask, method)
    assert run.state.step == 60 == lab.spent.steps
    assert run.history.steps == (10, 20, 30, 40, 50, 60)
    for name, array in state.weights.items():
        np.testing.assert_array_equal(run.state.weights[name], array)
    found = learned_mask(run.state, mask, method)
    assert found <= mask
    assert run.history.last == lab.evaluate(run.state.replace(slots={}), found)
    assert run.state.slots.keys() == {f"{s}:{n}" for s in ("score", "score_momentum") for n in mask}
    if isinstance(method, EdgePopup):
        assert [keep.sum() for keep in found.values()] == list(method.counts(mask).values())


@pytest.mark.parametrize("method", METHODS, ids=lambda m: type(m).__name__)
@pytest.mark.parametrize("cuts", [(1,), (7, 8, 33), (10, 59)])
def test_segments_of_learning_a_mask_equal_one_run(
    make_lab: MakeLab, method: MaskLearner, cuts: tuple[int, ...]
) -> None:
    lab = make_lab()
    mask = sparse(lab, 0.6)
    whole = lab.train_mask(lab.init(), mask, method)
    state, history = lab.init(), type(whole.history)()
    for until in (*(f"{cut}it" for cut in cuts), None):
        run = lab.train_mask(state, mask, method, until)
        state, history = run.state, history + run.history
    assert (state.id, history) == (whole.state.id, whole.history)
    other = make_lab(seed=1)
    assert other.train_mask(lab.init(), mask, method).state != whole.state
    assert lab.train_mask(lab.init(), mask, method, stream="second").state != whole.state


def test_a_learned_mask_is_better_than_the_one_it_began_from(make_lab: MakeLab) -> None:
    lab = make_lab()
    method = EdgePopup(0.5, learning_rate=1.0)
    run = lab.train_mask(lab.init(), lab.dense(), method)
    first = lab.train_mask(lab.init(), lab.dense(), method, "0it").state
    before = lab.evaluate(lab.init(), learned_mask(first, lab.dense(), method))
    assert run.history.last.loss < before.loss
    assert run.history.last.accuracy > before.accuracy + 0.2


def test_what_learns_no_mask_is_refused(make_lab: MakeLab) -> None:
    lab = make_lab()
    for wrong in (EdgePopup, None, "edge_popup"):
        with pytest.raises(UsageError, match=r"train_mask: expected a method, as in EdgePopup\(\)"):
            lab.train_mask(lab.init(), lab.dense(), wrong)  # type: ignore[arg-type]
    state = lab.train_mask(lab.init(), lab.dense(), EdgePopup(), "20it").state
    with pytest.raises(UsageError, match="has reached step 20"):
        lab.train_mask(state, lab.dense(), EdgePopup(), "19it")


SCHEDULES = (
    PolynomialDecay(0.1, begin=0, end=20, every=5),
    PolynomialDecay(0.3, begin=5, end=15, every=5, start=0.7, power=1),
    PolynomialDecay(0.25, begin=0, end=20, every=5, structure=Blocks(4, 1)),
    PolynomialDecay(0.25, begin=0, end=20, every=5, structure=Blocks(5, 3, "max")),
    PolynomialDecay(0.25, begin=0, end=20, every=5, structure=Blocks(5, 3)),
    PolynomialDecay(0.5, begin=10, end=20, structure=NofM(2, 4)),
    PolynomialDecay(0.25, begin=10, end=20, structure=NofM(1, 4)),
)


@pytest.mark.parametrize("schedule", SCHEDULES, ids=repr)
def test_a_scheduled_mask_is_tfmots(make_lab: MakeLab, schedule: PolynomialDecay) -> None:
    """On tf_keras by TF-MOT's own wrapper, on numpy by the formulas: the same mask on both."""
    lab = make_lab()
    mask = lab.dense()
    for step in (0, 5, 7, 10, 20, 25):
        state = lab.init(f"at {step}").replace(step=step)
        made = lab.scheduled_mask(state, mask, schedule)
        if schedule.is_due(step):
            assert made == schedule.mask(lab, {n: state.weights[n] for n in mask}, step)
        else:
            assert made is mask
    assert lab.spent.steps == 0


def test_a_scheduled_mask_brings_nothing_back(make_lab: MakeLab) -> None:
    lab = make_lab()
    mask, state = sparse(lab), lab.init()
    schedule = PolynomialDecay(0.1, begin=0, end=30, every=15)
    assert lab.scheduled_mask(state, mask, schedule) == mask
    late = lab.scheduled_mask(state.replace(step=30), mask, schedule)
    assert late <= mask
    for weight in lab.prunable:
        assert late[weight.name].sum() == round(0.1 * weight.size)
    with pytest.raises(UsageError, match="mask"):
        lab.scheduled_mask(state, Mask({}), schedule)


class Third:
    """A schedule of somebody else's: after step 5 the first third of each tensor goes."""

    def check(self, lab: object) -> None:
        pass

    def is_due(self, step: int) -> bool:
        return step == 5

    def mask(self, lab: object, weights: Mapping[str, np.ndarray], step: int) -> Mask:
        return Mask(
            {n: np.arange(a.size).reshape(a.shape) >= a.size // 3 for n, a in weights.items()}
        )


def test_a_schedule_of_ones_own_needs_the_protocol_alone(make_lab: MakeLab) -> None:
    lab = make_lab()
    state = lab.init()
    assert lab.scheduled_mask(state, lab.dense(), Third()) == lab.dense()
    made = lab.scheduled_mask(state.replace(step=5), lab.dense(), Third())
    assert made == Third().mask(lab, {n: state.weights[n] for n in made}, 5)
    for wrong in (Third, None):
        with pytest.raises(UsageError, match="scheduled_mask: expected a schedule, as in Poly"):
            lab.scheduled_mask(state, lab.dense(), wrong)  # type: ignore[arg-type]


def flat(arrays: Mapping[str, np.ndarray], mask: Mask) -> np.ndarray:
    return np.concatenate([arrays[name].reshape(-1) for name in mask]).astype(np.float64)


def moved(state: State, along: dict[str, np.ndarray], length: float) -> State:
    """The state a step of that length further along; float32 weights."""
    scale = np.float32(length / np.linalg.norm(np.concatenate([a.ravel() for a in along.values()])))
    return state.replace(
        weights={**state.weights, **{n: state.weights[n] + scale * along[n] for n in along}}
    )


@pytest.mark.parametrize("share", [0.4, 1.1])
def test_gradients_are_those_of_finite_differences(make_lab: MakeLab, share: float) -> None:
    lab = make_lab()
    mask = sparse(lab, share)
    state = lab.init()
    along = mask.apply(lab.gradients(state, mask, lab.epoch))
    losses = [lab.evaluate(moved(state, along, s), mask, "train").loss for s in (2e-3, -2e-3)]
    slope = (losses[0] - losses[1]) / 4e-3
    # An epoch's batches leave a few images of the split out.
    assert slope == pytest.approx(np.linalg.norm(flat(along, mask)), rel=0.02)


@pytest.mark.parametrize("share", [0.4, 1.1])
def test_hessian_gradients_are_those_of_finite_differences(make_lab: MakeLab, share: float) -> None:
    lab = make_lab()
    mask = sparse(lab, share)
    state = lab.init().masked(mask)
    product = flat(lab.hessian_gradient(state, mask, 3), mask)
    # A longer step crosses kinks of the ReLUs, where gradients jump.
    along = mask.apply(lab.gradients(state, mask, 3))
    ends = [flat(lab.gradients(moved(state, along, s), mask, 3), mask) for s in (1e-4, -1e-4)]
    expected = (ends[0] - ends[1]) / 2e-4 * np.linalg.norm(flat(along, mask))
    assert np.linalg.norm(product - expected) < 0.01 * np.linalg.norm(expected)


def test_hessian_gradients_are_pure_and_unmasked(make_lab: MakeLab) -> None:
    lab = make_lab()
    mask, state = sparse(lab), lab.init()
    product = lab.hessian_gradient(state, mask, 2)
    again = make_lab().hessian_gradient(state.masked(mask), mask, 2)
    for name, keep in mask.items():
        assert (product[name].shape, product[name].dtype) == (keep.shape, np.float32)
        assert np.count_nonzero(product[name][~keep])
        np.testing.assert_array_equal(product[name], again[name])


def test_a_high_temperature_makes_the_loss_flat(make_lab: MakeLab) -> None:
    lab = make_lab()
    mask, state = lab.dense(), lab.init()
    sizes = [np.abs(flat(lab.hessian_gradient(state, mask, 1, t), mask)).sum() for t in (1, 10)]
    # Two derivatives of the logits and one of the gradient: a cube, were the output uniform.
    assert sizes[1] < sizes[0] / 100
    for wrong in ({"batches": 0}, {"temperature": 0.0}):
        with pytest.raises(UsageError, match="hessian_gradient"):
            lab.hessian_gradient(state, mask, **wrong)


def test_synaptic_flow_is_conserved_from_layer_to_layer(make_lab: MakeLab) -> None:
    lab = make_lab()
    mask = sparse(lab)
    state = lab.init().masked(mask)
    flow = lab.synaptic_flow(state, mask)
    # The labs' networks are chains without biases at the start, so every layer carries it all.
    carried = [float((np.abs(state.weights[name]) * flow[name]).sum()) for name in mask]
    assert carried == pytest.approx([carried[0]] * len(carried), rel=1e-4)
    assert carried[0] > 0
    assert all((array >= 0).all() for array in flow.values())


def test_synaptic_flow_sees_neither_data_nor_signs_nor_pruned_weights(make_lab: MakeLab) -> None:
    lab = make_lab()
    mask, state = sparse(lab), lab.init()
    flow = lab.synaptic_flow(state, mask)
    assert vars(lab.spent) == {
        "steps": 0,
        "examples": 0,
        "dense_flops": 6 * lab.dense().size,
        "flops": 4 * mask.kept + 2 * lab.dense().size,
    }
    flipped = state.replace(weights={n: -array for n, array in state.weights.items()})
    for other in (state.masked(mask), flipped):
        again = lab.synaptic_flow(other, mask)
        for name in mask:
            np.testing.assert_array_equal(again[name], flow[name])


def test_what_is_effective_lies_on_a_path_from_image_to_logits(make_lab: MakeLab) -> None:
    lab = make_lab()
    assert lab.effective(lab.dense()) == lab.dense()
    rng = np.random.default_rng(0)
    mask = Mask({w.name: rng.random(w.shape) < 0.05 for w in lab.prunable})
    found = lab.effective(mask)
    assert 0 < found.kept < mask.kept
    assert found <= mask
    assert lab.effective(found) == found  # what lies on no path carries none
    # A flow without biases reaches these and no others.
    ones = {n: np.full_like(a, a.ndim > 1) for n, a in lab.init().weights.items()}
    flow = lab.synaptic_flow(lab.init().replace(weights=ones), mask)
    for name, keep in found.items():
        np.testing.assert_array_equal(keep, (flow[name] > 0) & mask[name])
    with pytest.raises(UsageError, match="no weight survives"):
        lab.effective(Mask({name: keep & False for name, keep in mask.items()}))


def test_looking_for_paths_is_on_the_books_as_one_example(make_lab: MakeLab) -> None:
    lab = make_lab()
    lab.effective(lab.dense())
    assert vars(lab.spent) == {
        **{"steps": 0, "examples": 0},
        **{"dense_flops": 6 * lab.dense().size, "flops": 6 * lab.dense().size},
    }


def test_synaptic_flow_that_overflows_is_refused(make_lab: MakeLab) -> None:
    lab = make_lab()
    state = lab.init()
    huge = {n: np.full_like(array, 1e38) for n, array in state.weights.items()}
    with pytest.raises(DivergedError, match="synaptic flow of"), np.errstate(all="ignore"):
        lab.synaptic_flow(state.replace(weights=huge), lab.dense())


def test_a_network_without_statistics_is_recalibrated_for_nothing(make_lab: MakeLab) -> None:
    lab = make_lab()
    state = lab.train(lab.init(), sparse(lab), "10it").state
    spent = lab.spent
    assert lab.recalibrated(state, sparse(lab), 2) is state
    assert lab.spent == spent
    with pytest.raises(UsageError, match="recalibrated: expected at least 1 batch, got 0"):
        lab.recalibrated(state, sparse(lab), 0)
    with pytest.raises(UsageError, match="mask"):
        lab.recalibrated(state, Mask({}))


def test_a_penalty_on_scales_that_are_not_there_is_refused(make_lab: MakeLab) -> None:
    lab = make_lab()
    with pytest.raises(UsageError, match=r"Recipe\.scale_l1: .* has no BatchNorm"):
        lab.on(recipe=dataclasses.replace(lab.task.recipe, scale_l1=1e-4))


def test_channels_are_those_of_the_weights(make_lab: MakeLab) -> None:
    lab = make_lab()
    shapes = {weight.name: weight.shape for weight in lab.prunable}
    state = lab.init()
    assert lab.channels
    for channels in lab.channels:
        for axis in (*channels.writers, *channels.readers):
            assert shapes[axis.name][axis.axis] == axis.outer * axis.total * axis.inner
        for name in (*channels.scales, *channels.followers):
            array = state.weights[name] if name in state.weights else state.statistics[name]
            assert array.shape == (channels.size,)
        assert channels.alive(lab.dense()).all()
    outputs = {weight.name for weight in lab.prunable if weight.is_output}
    assert not outputs & {axis.name for channels in lab.channels for axis in channels.writers}


def test_what_a_dropped_channel_holds_does_not_matter(make_lab: MakeLab) -> None:
    lab = make_lab()
    state, mask = lab.train(lab.init(), lab.dense(), "20it").state, dict(lab.dense())
    weights, statistics = dict(state.weights), dict(state.statistics)
    for number, channels in enumerate(lab.channels):
        dead = lab.rng("dead", number).random(channels.size) < 0.5
        mask = channels.drop(mask, dead)
        np.testing.assert_array_equal(channels.alive(mask), ~dead)
        for name in (*channels.scales, *channels.followers):
            group = weights if name in weights else statistics
            group[name] = np.where(dead, np.float32(7), group[name])
    left = Mask(mask)
    other = state.replace(weights=weights, statistics=statistics)
    assert other != state
    assert lab.evaluate(other, left) == lab.evaluate(state, left)
    assert lab.evaluate(state, left) != lab.evaluate(state, lab.dense())
    ends = [lab.train(start, left, "30it") for start in (state, other)]
    assert ends[0].history == ends[1].history
    for name, keep in left.items():
        np.testing.assert_array_equal(ends[0].state.weights[name], ends[1].state.weights[name])
        assert not ends[0].state.weights[name][~keep].any()


def test_siblings_share_ledger_and_seed(make_lab: MakeLab) -> None:
    lab = make_lab(seed=3)
    recipe = dataclasses.replace(lab.task.recipe, length="20it")
    sibling = lab.on(recipe=recipe)
    assert (sibling.seed, sibling.task.recipe, sibling.task.data) == (3, recipe, lab.task.data)
    assert sibling.init() == lab.init()
    assert sibling.steps() == 20
    assert sibling.fingerprint != lab.fingerprint
    sibling.train(sibling.init(), sibling.dense(), "5it")
    assert lab.spent.steps == 5 == sibling.spent.steps


def test_a_subset_trains_on_fewer_examples_and_is_measured_on_as_many(make_lab: MakeLab) -> None:
    lab = make_lab(sealed=False)
    few = lab.on(subset=40)
    assert few.epoch == 2 < lab.epoch
    assert few.fingerprint != lab.fingerprint
    state, mask = few.init(), few.dense()
    assert state == lab.init()
    for split in ("validation", "test"):
        assert few.evaluate(state, mask, split) == lab.evaluate(state, mask, split)
    assert few.evaluate(state, mask, "train") != lab.evaluate(state, mask, "train")
    assert few.train(state, mask, "5it").state != lab.train(state, mask, "5it").state
    with pytest.raises(UsageError, match="20 is more than the 10 training examples"):
        lab.on(subset=10).steps()


@pytest.mark.parametrize("how", ["random_labels", "shuffled_pixels"])
def test_spoilt_data_spoil_training_and_validation_and_no_test(make_lab: MakeLab, how: str) -> None:
    lab = make_lab(sealed=False)
    spoilt = lab.on(corrupt=how)
    assert (spoilt.epoch, spoilt.fingerprint != lab.fingerprint) == (lab.epoch, True)
    state, mask = lab.train(lab.init(), lab.dense()).state, lab.dense()
    assert spoilt.evaluate(state, mask, "test") == lab.evaluate(state, mask, "test")
    for split in ("train", "validation"):
        assert spoilt.evaluate(state, mask, split).loss > lab.evaluate(state, mask, split).loss
    learnt = spoilt.train(spoilt.init(), mask).state
    assert learnt != state
    test = [lab.evaluate(end, mask, "test").loss for end in (learnt, state)]
    assert test[0] > test[1]


def test_classes_make_a_smaller_task(make_lab: MakeLab) -> None:
    lab = make_lab()
    half = lab.on(classes=(2, 0))
    assert [w.shape[-1] for w in half.prunable if w.is_output] == [2]
    assert half.epoch < lab.epoch
    run = half.train(half.init(), half.dense())
    assert run.history.last.accuracy > 0.8
    with pytest.raises(UsageError, match=r"Task\.classes of '\w+': there is no class 99"):
        lab.on(classes=(0, 99))


def test_a_sibling_has_only_the_fields_of_a_task(make_lab: MakeLab) -> None:
    with pytest.raises(UsageError, match="no 'dataset'"):
        make_lab().on(dataset="mnist")


def test_training_does_not_go_back(make_lab: MakeLab) -> None:
    lab = make_lab()
    state = lab.train(lab.init(), lab.dense(), "20it").state
    with pytest.raises(UsageError, match="has reached step 20"):
        lab.train(state, lab.dense(), "19it")
    assert lab.train(state, lab.dense(), "20it").state.step == 20
    assert lab.spent.steps == 20


def test_a_mask_that_does_not_fit_is_refused(make_lab: MakeLab) -> None:
    lab = make_lab()
    nothing = Mask({name: np.zeros(keep.shape) for name, keep in lab.dense().items()})
    for wrong in (Mask({}), nothing):
        with pytest.raises(UsageError, match="mask"):
            lab.train(lab.init(), wrong)
    assert lab.spent.steps == 0


def test_one_surviving_weight_is_enough(make_lab: MakeLab) -> None:
    lab = make_lab()
    arrays = {name: np.zeros(keep.shape) for name, keep in lab.dense().items()}
    arrays[lab.prunable[0].name].flat[0] = 1
    run = lab.train(lab.init(), Mask(arrays), "5it")
    assert not pruned_weights(run.state, Mask(arrays)).any()


def test_durations_are_those_of_the_recipe(make_lab: MakeLab) -> None:
    lab = make_lab()
    assert (lab.steps(), lab.steps("50%"), lab.steps("7it")) == (60, 30, 7)
    assert lab.steps("1ep") == lab.epoch
    assert lab.train(lab.init(), lab.dense(), "10%").state.step == 6


def test_global_generators_are_left_alone(make_lab: MakeLab) -> None:
    lab = make_lab()
    lab.train(lab.init(), lab.dense(), "1it")
    random.seed(7)
    np.random.seed(7)
    lab.train(lab.init("fresh"), lab.dense(), "5it")
    lab.gradients(lab.init(), lab.dense())
    lab.evaluate(lab.init(), lab.dense())
    drawn = random.random(), np.random.random()
    random.seed(7)
    np.random.seed(7)
    assert drawn == (random.random(), np.random.random())
    again = lab.init("fresh")
    random.seed(8)
    for other in ("one", "two", "three"):
        lab.init(other)  # a lab may remember the last ones
    assert lab.init("fresh") == again


def test_generators_belong_to_seed_and_stream(make_lab: MakeLab) -> None:
    def draw(seed: int, *stream: object) -> float:
        return make_lab(seed=seed).rng(*stream).random()

    assert draw(0, "a", 1) == draw(0, "a", 1)
    assert len({draw(0, "a", 1), draw(1, "a", 1), draw(0, "a", 2)}) == 3
