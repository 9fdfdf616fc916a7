"""MaskProgram: the compiled training of masks agrees with numpy and gives the weights back."""

import numpy as np
import pytest

from ltx import Bernoulli, EdgePopup, Mask, Recipe, Task, learned_mask
from ltx.backends.tf_keras.lab import KerasLab
from ltx.backends.tf_keras.mask_program import MaskProgram, _highest
from ltx.core.engine import Engine
from ltx.core.errors import DivergedError, GuardError, UsageError
from ltx.pruning import learned_masks

import tensorflow as tf  # isort: skip

SHORT = Recipe(
    optimizer="momentum", learning_rate=0.05, batch_size=30, length="12it", eval_every="5it"
)


def lab(model="tiny.dense", engine=Engine(), **recipe):  # noqa: B008
    return KerasLab(Task(model=model, recipe=Recipe(**{**vars(SHORT), **recipe})), 0, engine=engine)


def part(made):
    return Mask({n: made.rng(n).random(keep.shape) < 0.6 for n, keep in made.dense().items()})


@pytest.mark.parametrize("jit", [False, True])
@pytest.mark.parametrize("ties", [False, True])
def test_the_highest_are_those_that_numpy_finds(jit, ties):
    rng = np.random.default_rng(0)
    compiled = tf.function(_highest, jit_compile=jit)
    for _ in range(20):
        scores = rng.normal(0, 1, (7, 9)).astype(np.float32)
        if ties:
            scores = np.round(scores)  # zeros of either sign among them
        alive = rng.random(scores.shape) < 0.8
        method = EdgePopup(float(rng.uniform(0.02, 0.98)))
        mask = Mask({"w": alive})
        count = tf.constant(method.counts(mask)["w"], tf.int64)
        kept = compiled(tf.constant(scores), tf.constant(alive, tf.float32), count).numpy()
        np.testing.assert_array_equal(kept != 0, method.mask({"w": scores}, mask)["w"])
    nothing = compiled(tf.constant(scores), tf.zeros((7, 9)), tf.constant(0, tf.int64))
    assert not nothing.numpy().any()


@pytest.mark.parametrize("method", [EdgePopup(0.4, 0.5), Bernoulli(0.6, 2.0, 0.5)], ids=repr)
def test_a_step_follows_the_papers_gradient(method):
    made = lab(engine=Engine(compile="graph"))  # XLA draws other numbers than eager code does
    state, mask = made.init(), part(made)
    program = MaskProgram(made._program, method)
    before = state.with_scores(method.init_scores(state.weights, mask, made.rng))
    program.load(before, mask)
    seed = made._noise("order")
    key = tf.random.experimental.stateless_fold_in(tf.constant(seed) + 1, 0)
    drawn = Mask(
        {name: keep.numpy() != 0 for name, keep in program._mask_and_slopes(key)[0].items()}
    )
    assert drawn <= mask
    gradients = made.gradients(state, drawn, 1, stream="order")
    run = made.train_mask(state, mask, method, "1it")
    old, new = learned_masks.scores(before, mask), learned_masks.scores(run.state, mask)
    for name, slope in method.score_gradient(old).items():
        step = gradients[name] * mask.apply(state.weights)[name] * slope
        expected = old[name] - method.learning_rate * step
        np.testing.assert_allclose(new[name], expected, rtol=1e-4, atol=1e-5)
        np.testing.assert_array_equal(new[name][~mask[name]], old[name][~mask[name]])


def test_statistics_move_and_weights_of_every_kind_do_not():
    made = lab("tiny.convnet", augment="crop_flip", label_smoothing=0.1)
    state = made.init()
    run = made.train_mask(state, made.dense(), EdgePopup())
    assert {n: a.tobytes() for n, a in run.state.weights.items()} == {
        n: a.tobytes() for n, a in state.weights.items()
    }
    for name, array in run.state.statistics.items():
        assert (array != state.statistics[name]).any()
    halves = made.train_mask(
        made.train_mask(state, made.dense(), EdgePopup(), "7it").state, made.dense(), EdgePopup()
    )
    assert halves.state == run.state


def test_streamed_data_learn_the_mask_of_resident_data():
    masks = [
        made.train_mask(made.init(), made.dense(), Bernoulli()).state
        for made in (lab(engine=Engine(resident_mb=mb, compile="graph")) for mb in (0, 2048))
    ]
    assert masks[0] == masks[1]


def test_training_weights_goes_on_unmoved_beside_it():
    made = lab()
    once = made.train(made.init(), part(made))
    made.train_mask(made.init(), part(made), EdgePopup())
    assert made.train(made.init(), part(made)) == once


def test_scores_that_are_not_finite_are_named_with_the_remedy():
    made = lab()
    wild = EdgePopup(learning_rate=3e38)
    with pytest.raises(DivergedError, match=r"scores of .*lower EdgePopup\.learning_rate"):
        made.train_mask(made.init(), made.dense(), wild)


def test_the_guard_notices_a_weight_that_moved():
    made = lab()
    program = MaskProgram(made._program, EdgePopup())
    whole = made.dense()
    scores = EdgePopup().init_scores(made.init().weights, whole, made.rng)
    program.load(made.init().with_scores(scores), whole)
    made._program.weights["hidden/bias"].assign_add(tf.ones(16))
    with pytest.raises(GuardError, match="hidden/bias changed while its mask was learned"):
        program.read(0)


def test_a_state_with_scores_is_not_taken_for_one_with_an_optimizer():
    made = lab()
    state = made.train_mask(made.init(), made.dense(), EdgePopup()).state
    with pytest.raises(UsageError, match="another model or optimizer"):
        made.train(state.replace(step=0), made.dense())


@pytest.mark.parametrize("engine", [Engine(strategy="mirrored"), Engine(precision="float16")])
def test_engines_it_cannot_use_are_refused(engine):
    made = lab(engine=engine)
    with pytest.raises(UsageError, match="Engine: masks are learned on one device"):
        made.train_mask(made.init(), made.dense(), EdgePopup())


class Other:
    """A method of somebody else's, with the members of MaskLearner."""

    learning_rate, momentum = 0.1, 0.0
    init_scores, mask = EdgePopup().init_scores, EdgePopup().mask
    sample_mask, score_gradient = EdgePopup().sample_mask, EdgePopup().score_gradient


def test_a_method_without_a_compiled_form_is_refused():
    made = lab()
    with pytest.raises(UsageError, match="KerasLab learns masks by EdgePopup or Bernoulli, got"):
        made.train_mask(made.init(), made.dense(), Other())


def test_a_learned_mask_of_an_untrained_network_is_far_above_chance():
    made = KerasLab(Task(recipe=Recipe(length="300it", eval_every="100it")), 0)
    run = made.train_mask(made.init(), made.dense(), EdgePopup())
    mask = learned_mask(run.state, made.dense(), EdgePopup())
    untrained = made.evaluate(made.init(), made.dense()).value
    assert untrained < 0.3
    assert made.evaluate(made.init(), mask) == run.history.last
    assert run.history.last.value > 0.8
