"""The checks of what a backend may lack: gradients, saliencies, channels, masks made in training.

They are skipped for a lab that raises UnsupportedError, and take what `lab_checks` takes.
"""

import dataclasses

import numpy as np

from ltx.core.lab import Lab
from ltx.core.mask import Mask, MaskLearner
from ltx.core.run import History, Metrics
from ltx.core.state import State
from ltx.pruning.learned_masks import Bernoulli, EdgePopup, learned_mask
from ltx.pruning.patterns import Blocks, NofM
from ltx.pruning.schedules import PolynomialDecay
from ltx.testing.harness import require
from ltx.testing.lab_checks import (
    MakeLab,
    evaluated_steps,
    refused,
    sparse,
    trained,
)

Arrays = dict[str, np.ndarray]
METHODS: tuple[MaskLearner, ...] = (EdgePopup(0.3), Bernoulli(0.6, learning_rate=1.0))


def _flat(arrays: Arrays, mask: Mask) -> np.ndarray:
    return np.concatenate([arrays[name].reshape(-1) for name in mask]).astype(np.float64)


def _moved(state: State, along: Arrays, length: float) -> State:
    """The state with its weights moved by that length along a direction."""
    scale = np.float32(length / np.linalg.norm(np.concatenate([a.ravel() for a in along.values()])))
    moved = {name: state.weights[name] + scale * along[name] for name in along}
    return state.replace(weights={**state.weights, **moved})


def _check_arrays(arrays: Arrays, mask: Mask) -> None:
    """Float32 arrays of the weights' shapes; pruned weights have values as well."""
    require(arrays.keys() == mask.keys(), f"for {sorted(arrays)}, expected {sorted(mask)}")
    for name, keep in mask.items():
        got = (arrays[name].shape, arrays[name].dtype)
        require(got == (keep.shape, np.float32), f"{name}: {got}, expected float32 {keep.shape}")
        require(np.count_nonzero(arrays[name][~keep]), f"{name}: masked, expected pruned ones too")


def _same(one: Arrays, two: Arrays) -> bool:
    return all(np.array_equal(array, two[name]) for name, array in one.items())


def check_gradients(make_lab: MakeLab) -> None:
    """Gradients are unmasked, the same in every lab of a seed, and those of their batches."""
    lab = make_lab()
    mask, state = sparse(lab), lab.init()
    gradients = lab.gradients(state, mask, batches=3)
    _check_arrays(gradients, mask)
    for again in (lab, make_lab()):
        require(_same(gradients, again.gradients(state, mask, batches=3)), "two calls differ")
    require(not _same(gradients, lab.gradients(state, mask, batches=1)), "1 and 3 batches agree")
    with refused("gradients of no batches", "at least 1 batch, got 0"):
        lab.gradients(state, mask, batches=0)


def check_gradient_slope(make_lab: MakeLab) -> None:
    """Gradients over an epoch equal the finite difference of the training loss, to 2%."""
    lab = make_lab()
    for density in (0.4, 1.1):
        mask, state = sparse(lab, density), lab.init()
        along = mask.apply(lab.gradients(state, mask, lab.epoch))
        losses = [lab.evaluate(_moved(state, along, s), mask, "train").loss for s in (2e-3, -2e-3)]
        slope, expected = (losses[0] - losses[1]) / 4e-3, np.linalg.norm(_flat(along, mask))
        # An epoch's batches leave a few examples of the split out.
        require(abs(slope - expected) <= 0.02 * expected, f"slope {slope}, gradient {expected}")


def check_hessian_gradient(make_lab: MakeLab) -> None:
    """Hessian-gradient products are unmasked, and the finite difference of gradients, to 1%."""
    lab = make_lab()
    for density in (0.4, 1.1):
        mask = sparse(lab, density)
        state = lab.init().masked(mask)
        product = _flat(lab.hessian_gradient(state, mask, 3), mask)
        # A longer step crosses kinks of the ReLUs, where gradients jump.
        along = mask.apply(lab.gradients(state, mask, 3))
        ends = [_flat(lab.gradients(_moved(state, along, s), mask, 3), mask) for s in (1e-4, -1e-4)]
        expected = (ends[0] - ends[1]) / 2e-4 * np.linalg.norm(_flat(along, mask))
        # Of survivors alone: the gradient that is multiplied is masked.
        error = np.linalg.norm(product - expected) / np.linalg.norm(expected)
        require(error < 0.01, f"off by {error:.1%} of the finite difference")
    mask, state = sparse(lab), lab.init()
    product_by_name = lab.hessian_gradient(state, mask, 2)
    _check_arrays(product_by_name, mask)
    again = make_lab().hessian_gradient(state.masked(mask), mask, 2)
    require(_same(product_by_name, again), "depends on pruned values, or on the lab")


def check_temperature(make_lab: MakeLab) -> None:
    """A high temperature flattens a loss of logits; it does not change one of other outputs."""
    lab = make_lab()
    mask, state = lab.dense(), lab.init()
    sizes = [np.abs(_flat(lab.hessian_gradient(state, mask, 1, t), mask)).sum() for t in (1, 10)]
    # Two derivatives of the logits and one of the gradient: a cube, were the output uniform.
    fits = sizes[1] < sizes[0] / 100 if lab.task.objective.softmax else sizes[1] == sizes[0]
    require(fits, f"sizes {sizes} at temperatures 1 and 10")
    for wrong in ({"batches": 0}, {"temperature": 0.0}):
        with refused(f"{wrong}", "hessian_gradient"):
            lab.hessian_gradient(state, mask, **wrong)


def check_synaptic_flow(make_lab: MakeLab) -> None:
    """Synaptic flow is positive and depends on neither signs nor pruned values, however large."""
    lab = make_lab()
    mask, state = sparse(lab), lab.init()
    flow = lab.synaptic_flow(state, mask)
    require(all((array >= 0).all() for array in flow.values()), "some flow is negative")
    require(any(array.any() for array in flow.values()), "nothing flows")
    flipped = state.replace(weights={name: -array for name, array in state.weights.items()})
    for other in (state.masked(mask), flipped):
        require(_same(flow, lab.synaptic_flow(other, mask)), "depends on signs or pruned values")
    huge = {n: np.full_like(a, 2.0**126) for n, a in state.weights.items()}
    flow = lab.synaptic_flow(state.replace(weights=huge), mask)
    require(any(array.any() for array in flow.values()), "nothing flows along large weights")


def check_effective(make_lab: MakeLab) -> None:
    """Effective weights are survivors; finding them again removes nothing more."""
    lab = make_lab()
    require(lab.effective(lab.dense()) == lab.dense(), "something of the dense network is idle")
    rng = np.random.default_rng(0)
    for density in (0.05, 0.3):
        mask = Mask({weight.name: rng.random(weight.shape) < density for weight in lab.prunable})
        effective = lab.effective(mask)
        require(effective <= mask, "pruned weights are effective")
        again = lab.effective(effective) if effective.kept else effective
        require(again == effective, "idle weights were left")
    require(effective.kept, "nothing is effective of 30% of the weights")
    with refused("an empty mask", "no weight survives"):
        lab.effective(Mask({name: keep & False for name, keep in mask.items()}))


def check_channels(make_lab: MakeLab) -> None:
    """Channels fit the arrays that they name, and never are the outputs."""
    lab = make_lab()
    shapes = {weight.name: weight.shape for weight in lab.prunable}
    arrays = {**lab.init().weights, **lab.init().statistics}
    outputs = {weight.name for weight in lab.prunable if weight.is_output}
    for channels in lab.channels:
        for axis in (*channels.writers, *channels.readers):
            length = axis.outer * axis.total * axis.inner
            require(shapes[axis.name][axis.axis] == length, f"{axis} does not fit its weight")
        for name in (*channels.scales, *channels.followers):
            require(arrays[name].shape == (channels.size,), f"{name} has no entry a channel")
        require(channels.alive(lab.dense()).all(), f"{channels.name}: dead in the dense network")
        written = {axis.name for axis in channels.writers}
        require(not outputs & written, f"{channels.name} makes the outputs")


def check_dropped_channels(make_lab: MakeLab) -> None:
    """What biases, scales and statistics of dropped channels hold changes no result."""
    lab = make_lab()
    state, mask = trained(lab), dict(lab.dense())
    weights, statistics = dict(state.weights), dict(state.statistics)
    for number, channels in enumerate(lab.channels):
        dead = lab.rng("dead", number).random(channels.size) < 0.5
        mask = channels.drop(mask, dead)
        require(np.array_equal(channels.alive(mask), ~dead), f"{channels.name}: others are alive")
        for name in (*channels.scales, *channels.followers):
            group = weights if name in weights else statistics
            group[name] = np.where(dead, np.float32(7), group[name])
    left, other = Mask(mask), state.replace(weights=weights, statistics=statistics)
    require(lab.evaluate(other, left) == lab.evaluate(state, left), "an evaluation depends on it")
    if lab.channels:
        require(lab.evaluate(state, left) != lab.evaluate(state, lab.dense()), "nothing is dropped")
    until = f"{state.step + 10}it"
    one, two = (lab.train(start, left, until) for start in (state, other))
    require(one.history == two.history, "a curve depends on it")
    kept = all(np.array_equal(one.state.weights[n], two.state.weights[n]) for n in left)
    require(kept, "a training depends on it")
    pruned = any(one.state.weights[name][~keep].any() for name, keep in left.items())
    require(not pruned, "pruned weights are not zero")


def check_learned_masks(make_lab: MakeLab) -> None:
    """Learning a mask leaves the weights alone and ends in scores, at the curve's last point."""
    for method in METHODS:
        lab = make_lab()
        mask, state = sparse(lab, 0.6), lab.init()
        run = lab.train_mask(state, mask, method)
        require(run.state.step == lab.steps() == lab.spent.steps, "other steps than the recipe's")
        require(_same(dict(state.weights), dict(run.state.weights)), "weights were changed")
        require(run.history.steps == evaluated_steps(lab), f"a curve of {run.history.steps}")
        slots = {f"{slot}:{name}" for slot in ("score", "score_momentum") for name in mask}
        require(run.state.slots.keys() == slots, f"slots {sorted(run.state.slots)}")
        learned = learned_mask(run.state, mask, method)
        require(learned <= mask, f"{method}: brings pruned weights back")
        measured = lab.evaluate(run.state.replace(slots={}), learned)
        same = run.history.last == Metrics(measured.loss, measured.value)
        require(same, "the curve is not that of the learned mask")
        if isinstance(method, EdgePopup):
            counts = {name: int(keep.sum()) for name, keep in learned.items()}
            require(counts == method.counts(mask), f"kept {counts}, not {method.counts(mask)}")


def check_learned_segments(make_lab: MakeLab) -> None:
    """Learning a mask in segments equals one run; it depends on seed and stream."""
    for method in METHODS:
        lab = make_lab()
        mask, end = sparse(lab, 0.6), lab.steps()
        whole = lab.train_mask(lab.init(), mask, method)
        for cuts in ((1,), (7, 8, end // 2 + 3), (whole.history.steps[0], end - 1)):
            state, history = lab.init(), History()
            for until in (*(f"{cut}it" for cut in cuts), None):
                run = lab.train_mask(state, mask, method, until)
                state, history = run.state, history + run.history
            same = (state.id, history) == (whole.state.id, whole.history)
            require(same, f"{method}: cut at {cuts}, it ends otherwise")
        other = make_lab(seed=1).train_mask(lab.init(), mask, method).state
        require(other != whole.state, f"{method}: ignores the seed")
        second = lab.train_mask(lab.init(), mask, method, stream="second").state
        require(second != whole.state, f"{method}: ignores the stream")


def check_scheduled_masks(make_lab: MakeLab) -> None:
    """A scheduled mask is that of the schedule's formulas where due, within the given mask."""
    lab = make_lab()
    dense, few = lab.dense(), sparse(lab)
    for schedule in (
        PolynomialDecay(0.1, begin=0, end=20, every=5),
        PolynomialDecay(0.25, begin=0, end=20, every=5, structure=Blocks(5, 3)),
        PolynomialDecay(0.5, begin=10, end=20, structure=NofM(2, 4)),
    ):
        for step in (0, 7, 10, 20, 25):
            state = lab.init().replace(step=step)
            result = lab.scheduled_mask(state, dense, schedule)
            expected = dense
            if schedule.is_due(step):
                weights = {name: state.weights[name] for name in dense}
                expected = schedule.mask(lab, weights, step)
            require(result == expected, f"{schedule}, step {step}: another mask")
            require(lab.scheduled_mask(state, few, schedule) <= few, "brings pruned weights back")
    require(lab.spent.steps == 0, "steps were charged")


def check_statistics(make_lab: MakeLab) -> None:
    """Recalibration changes statistics alone, and costs nothing where there are none."""
    lab = make_lab()
    mask, state = sparse(lab), trained(lab, 0.2)
    spent = lab.spent
    result = lab.recalibrated(state, mask, 2)
    expected = dataclasses.replace(state, statistics=result.statistics)
    require(result == expected, "changes more than the statistics")
    if not state.statistics:
        require(result is state, "another state, for a model without statistics")
        require(lab.spent == spent, "charged, for a model without statistics")
    with refused("no batches", "recalibrated: expected at least 1 batch, got 0"):
        lab.recalibrated(state, mask, 0)
    with refused("a mask that does not fit", "mask"):
        lab.recalibrated(state, Mask({}))


def check_measuring(make_lab: MakeLab) -> None:
    """Derivatives and paths change neither their arguments nor any later result."""
    lab = make_lab()
    mask, state = sparse(lab), trained(lab)
    arrays = {name: array.copy() for name, array in {**state.arrays(), **mask}.items()}
    until = f"{state.step + 10}it"
    once, metrics = lab.train(state, mask, until), lab.evaluate(state, lab.dense())
    for measured in (lab.init("other"), state):
        _measure(lab, measured, mask)
    require(lab.train(state, mask, until) == once, "a training depends on what was measured")
    require(lab.evaluate(state, lab.dense()) == metrics, "an evaluation depends on it")
    for name, array in {**state.arrays(), **mask}.items():
        require(np.array_equal(array, arrays[name]), f"{name} was changed")


def _measure(lab: Lab, state: State, mask: Mask) -> None:
    lab.gradients(state, mask, 2)
    lab.hessian_gradient(state, mask, 2)
    lab.synaptic_flow(state, mask)
    lab.effective(mask)
