"""Lab: what both labs must do beyond the checks of `ltx.testing.LabTestCase`.

tests/testing/test_lab_checks.py runs those.
"""

import dataclasses
import time
from collections.abc import Callable, Mapping

import numpy as np
import pytest

from ltx import (
    Blocks,
    DivergedError,
    EdgePopup,
    Lab,
    Mask,
    NofM,
    PolynomialDecay,
    State,
    Synflow,
    UsageError,
    learned_mask,
)

MakeLab = Callable[..., Lab]


def sparse(lab: Lab, share: float = 0.3) -> Mask:
    return Mask(
        {n: lab.rng("sparse", n).random(keep.shape) < share for n, keep in lab.dense().items()}
    )


def pruned_weights(state: State, mask: Mask) -> np.ndarray:
    return np.concatenate([state.weights[name][~keep] for name, keep in mask.items()])


def test_the_labs_models_end_in_logits_and_have_channels(make_lab: MakeLab) -> None:
    assert make_lab().outputs_logits
    assert make_lab().channels
    assert make_lab().steps() == 60


def test_momentum_does_not_revive_pruned_weights(make_lab: MakeLab) -> None:
    lab = make_lab()
    state = lab.train(lab.init(), lab.dense(), "20it").state
    assert any(np.count_nonzero(slot) for slot in state.slots.values())
    mask = sparse(lab)
    for until in ("20it", "21it", "35it"):
        assert not pruned_weights(lab.train(state, mask, until).state, mask).any()


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


def test_gradients_point_uphill(make_lab: MakeLab) -> None:
    lab = make_lab()
    mask, state = lab.dense(), lab.init()
    gradients = lab.gradients(state, mask, batches=lab.epoch)
    down = {n: state.weights[n] - np.float32(1e-2) * g for n, g in gradients.items()}
    moved = state.replace(weights={**state.weights, **down})
    assert lab.evaluate(moved, mask, "train").loss < lab.evaluate(state, mask, "train").loss


def test_a_learned_mask_is_better_than_the_one_it_began_from(make_lab: MakeLab) -> None:
    lab = make_lab()
    method = EdgePopup(0.5, learning_rate=1.0)
    run = lab.train_mask(lab.init(), lab.dense(), method)
    first = lab.train_mask(lab.init(), lab.dense(), method, "0it").state
    before = lab.evaluate(lab.init(), learned_mask(first, lab.dense(), method))
    assert run.history.last.loss < before.loss
    assert run.history.last.value > before.value + 0.2


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


def test_synaptic_flow_beyond_float32_is_computed_in_float64(make_lab: MakeLab) -> None:
    lab = make_lab()
    state, mask = lab.init(), lab.dense()
    ones = {n: np.full_like(array, array.ndim > 1) for n, array in state.weights.items()}
    flow = lab.synaptic_flow(state.replace(weights=ones), mask)
    assert all(array.dtype == np.float32 for array in flow.values())
    huge = state.replace(weights={n: a * np.float32(2.0**127) for n, a in ones.items()})
    large, factor = lab.synaptic_flow(huge, mask), 2.0 ** (127 * (len(mask) - 1))
    for name, array in flow.items():
        assert large[name].dtype == np.float64
        np.testing.assert_allclose(large[name], array.astype(np.float64) * factor, rtol=1e-6)
    scores = Synflow()(lab, huge, mask)
    assert all(np.isfinite(score).all() for score in scores.values())


def test_synaptic_flow_beyond_float64_is_refused(make_lab: MakeLab, monkeypatch) -> None:
    lab = make_lab()
    infinite = {name: np.full(keep.shape, np.inf) for name, keep in lab.dense().items()}
    monkeypatch.setattr(lab, "compute_synaptic_flow", lambda state, mask: infinite)
    with pytest.raises(DivergedError, match=r"synaptic flow of .* not finite in float64 either"):
        lab.synaptic_flow(lab.init(), lab.dense())


def test_a_penalty_on_scales_that_are_not_there_is_refused(make_lab: MakeLab) -> None:
    lab = make_lab()
    with pytest.raises(UsageError, match=r"Recipe\.scale_l1: .* has no BatchNorm"):
        lab.on(recipe=dataclasses.replace(lab.task.recipe, scale_l1=1e-4))


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
    assert run.history.last.value > 0.8
    with pytest.raises(UsageError, match=r"Task\.classes of '\w+': there is no class 99"):
        lab.on(classes=(0, 99))
