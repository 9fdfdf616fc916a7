"""Schedule: TF-MOT's curve and its masks in numpy, down to what it does at the edges."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ltx import (
    Blocks,
    ByChannel,
    NofM,
    PolynomialDecay,
    Recipe,
    Structure,
    Task,
    Unstructured,
    UsageError,
    Weight,
)
from ltx.testing import FakeLab

LAB = FakeLab()

CURVE = PolynomialDecay(density=0.2, begin=5, end=45, every=10)


def test_masks_are_due_on_the_grid_within_the_range() -> None:
    assert [step for step in range(80) if CURVE.is_due(step)] == [5, 15, 25, 35, 45]
    groups = PolynomialDecay(density=0.5, begin=5, end=45, structure=NofM())
    assert [step for step in range(80) if groups.is_due(step)] == [5]


def test_the_share_that_goes_follows_the_paper() -> None:
    for step in (0, 5, 15, 25, 35, 45, 60):
        way = min(1, max(0, (step - 5) / 40))
        assert CURVE.sparsity(step) == pytest.approx(0.8 - 0.8 * (1 - way) ** 3, abs=1e-6)
    late = PolynomialDecay(density=0.2, begin=0, end=10, start=0.5, power=1)
    assert late.sparsity(0) == pytest.approx(0.5)
    assert late.sparsity(5) == pytest.approx(0.65)


@given(st.integers(1, 300), st.integers(5, 45), st.integers(0, 99))
def test_the_largest_stay(size: int, step: int, seed: int) -> None:
    array = np.random.default_rng(seed).normal(size=(size, 1)).astype(np.float32)
    kept = CURVE.mask(LAB, {"w": array}, step)["w"]
    exact = np.float32(size) * (np.float32(1) - CURVE.sparsity(step))  # as TF-MOT rounds it
    assert kept.sum() == max(1, round(float(exact)))
    assert kept.all() or np.abs(array[~kept]).max() < np.abs(array[kept]).min()


def test_equals_of_the_smallest_survivor_stay_too() -> None:
    assert CURVE.mask(LAB, {"w": np.ones((4, 5), np.float32)}, 45)["w"].all()


def test_blocks_stand_and_fall_whole() -> None:
    array = np.arange(1, 25, dtype=np.float32).reshape(4, 6)
    made = PolynomialDecay(density=0.25, begin=0, end=10, structure=Blocks(2, 3))
    kept = made.mask(LAB, {"w": array}, 10)["w"]
    assert kept.tolist() == [[False] * 6] * 2 + [[False] * 3 + [True] * 3] * 2


@pytest.mark.parametrize("shape", [(8, 5), (6, 3), (3, 3, 8, 2)])
@pytest.mark.parametrize("kind", [NofM(2, 4), NofM(1, 4), NofM(1, 2)])
def test_every_group_of_inputs_has_its_survivors(shape: tuple[int, ...], kind: NofM) -> None:
    array = np.random.default_rng(0).normal(size=shape).astype(np.float32)
    schedule = PolynomialDecay(density=0.5, begin=0, end=1, structure=kind)
    inputs = np.moveaxis(schedule.mask(LAB, {"w": array}, 0)["w"], -2, -1)
    for at in range(0, shape[-2] - kind.m + 1, kind.m):
        assert (inputs[..., at : at + kind.m].sum(-1) == kind.n).all()


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"density": 0.0}, "density"),
        ({"start": 1.5}, "start"),
        ({"power": 0}, "power"),
        ({"begin": -1}, "begin"),
        ({"end": 5}, "end"),
        ({"every": 0}, "every"),
        ({"structure": ByChannel()}, "structure"),
        ({"structure": Blocks}, "structure"),
    ],
)
def test_bad_settings_are_refused_by_name(settings: dict, words: str) -> None:
    with pytest.raises(UsageError, match=rf"PolynomialDecay\.{words}"):
        PolynomialDecay(**{"density": 0.5, "begin": 5, "end": 10, **settings})


class Convolving(FakeLab):
    """One whose second weight TF-MOT can cut neither into blocks nor into groups."""

    @property
    def prunable(self) -> tuple[Weight, ...]:
        return (Weight("fc/kernel", (8, 4)), Weight("conv/kernel", (3, 8, 4)))


def test_what_tfmot_cannot_divide_is_refused_by_name() -> None:
    assert CURVE.check(Convolving()) is CURVE
    for structure in (Blocks(), NofM()):
        schedule = PolynomialDecay(density=0.5, begin=5, end=10, structure=structure)
        assert schedule.check(LAB) is schedule
        with pytest.raises(UsageError, match=r"conv/kernel of shape \(3, 8, 4\)"):
            schedule.check(Convolving())
        with pytest.raises(UsageError, match=r"conv/kernel"):
            Convolving().scheduled_mask(LAB.init(), LAB.dense(), schedule)


@pytest.mark.parametrize("optimizer", ["sgd", "momentum"])
@pytest.mark.parametrize("structure", [Unstructured(), Blocks(4, 2), NofM(2, 4)], ids=repr)
def test_masks_and_weights_are_those_of_tfmots_own_training(
    structure: Structure, optimizer: str
) -> None:
    """Step by step beside layers that TF-MOT wrapped, its schedule in charge, gradients masked.

    It updates a mask before the forward pass of the step that it counts: `begin_step=5` shows in
    the fifth step, on the weights after four.
    """
    import tensorflow as tf
    import tensorflow_model_optimization as tfmot
    import tf_keras

    from ltx.backends.tf_keras.lab import KerasLab
    from ltx.core.engine import Engine
    from ltx.data import sampling

    recipe = Recipe(optimizer, 0.05, batch_size=30, length="30it", eval_every="10it")
    lab = KerasLab(Task(model="tiny.dense", recipe=recipe), 0, engine=Engine(compile="graph"))
    begin = 0 if isinstance(structure, NofM) else 4
    ours = PolynomialDecay(0.2, begin=begin, end=24, every=5, structure=structure)
    options: dict = {}
    if isinstance(structure, Blocks):
        options = {"block_size": (4, 2), "block_pooling_type": "AVG"}
    elif isinstance(structure, NofM):
        options = {"sparsity_m_by_n": (2, 4)}
    theirs = tfmot.sparsity.keras.PolynomialDecay(0.0, 0.8, begin + 1, 25, power=3, frequency=5)
    model, state = lab._program.build(0), lab.init()
    wrapped = tfmot.sparsity.keras.prune_low_magnitude(model, theirs, **options)
    drawn = [state.weights[name] for name in lab._program.weights]
    for value, variable in zip(drawn, wrapped.trainable_variables, strict=True):
        variable.assign(value)
    for layer in wrapped.layers:
        layer.pruning_step.assign(0)  # as UpdatePruningStep does
    held = {f"{w.layer.name}/kernel": w.pruning_vars[0] for w in wrapped.layers if w.pruning_vars}
    descent = tf_keras.optimizers.SGD(0.05, 0.9 if optimizer == "momentum" else 0.0)
    table = sampling.batch_table(0, "order", len(lab._program.data.train), 30, 0, 30)
    mask, densities = lab.dense(), set()
    for step in range(30):
        mask = lab.scheduled_mask(state, mask, ours)
        images, labels = lab._program.data.train.take(table[step])
        with tf.GradientTape() as tape:
            logits = wrapped(lab._program.loss.scaled(tf.constant(images)), training=True)
            losses = tf.nn.sparse_softmax_cross_entropy_with_logits(labels, logits)
            loss = tf.reduce_mean(losses)
        masks = {weight.ref(): held_mask for weight, held_mask, _ in held.values()}
        variables = wrapped.trainable_variables
        gradients = tape.gradient(loss, variables)
        pairs = [(g * masks.get(v.ref(), 1), v) for g, v in zip(gradients, variables, strict=True)]
        descent.apply_gradients(pairs)
        state = lab.train(state, mask, f"{step + 1}it").state
        densities.add(mask.density)
        for name, (weight, kept, _) in held.items():
            np.testing.assert_array_equal(kept.numpy() != 0, mask[name])
            now = weight.numpy() * mask[name]
            np.testing.assert_allclose(state.weights[name], now, rtol=1e-5, atol=1e-6)
    assert len(densities) == (1 if isinstance(structure, NofM) else 5)
    assert min(densities) < 0.52
