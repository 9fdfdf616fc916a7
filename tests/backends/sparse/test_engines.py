"""The sparse engine does what the dense one does, step by step, and cut anywhere."""

import dataclasses
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from array_tasks import array_task

import ltx
from ltx.backends.tf_keras import optimizers
from ltx.backends.tf_keras.lab import KerasLab
from ltx.backends.tf_keras.programs import program, training_program
from ltx.core.engine import Engine
from ltx.core.errors import DivergedError, GuardError
from ltx.core.recipe import OPTIMIZERS
from ltx.data import sampling

SPARSE = Engine(sparse="always")


def lab(engine=SPARSE, **recipe):
    length = {"length": "40it", "eval_every": "10it", **recipe}
    return KerasLab(ltx.Task(recipe=ltx.Recipe(**length)), 0, engine=engine)


def part(made, density=0.2):
    return ltx.Mask(
        {w.name: made.rng("m", w.name).random(w.shape) < density for w in made.prunable}
    )


def difference(one, other):
    """The largest difference of two sets of arrays, each as a share of its largest value."""
    assert one.keys() == other.keys()
    return max(
        np.abs(one[name] - other[name]).max() / max(np.abs(one[name]).max(), 1e-12) for name in one
    )


SETTINGS = {"weight_decay": 0.01, "clip_norm": 0.5, "label_smoothing": 0.1}


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize("settings", [{}, SETTINGS], ids=["plain", "all"])
def test_every_optimizer_has_the_updates_of_tf_keras_for_its_gradients(optimizer, settings):
    import tensorflow as tf

    rate = 0.001 if "adam" in optimizer else 0.02
    made = lab(optimizer=optimizer, learning_rate=rate, **settings)
    mask, state = part(made), made.init()
    inner = training_program(made._program)
    variables = {name: tf.Variable(array) for name, array in mask.apply(state.weights).items()}
    theirs = optimizers.make(made.task.recipe, variables, set(mask), "float32")
    table = sampling.batch_table(0, "order", len(made._program.data.train), 60, 0, 5)
    inner.load(state, mask)
    for step in range(5):
        rates = np.full(1, rate * (step + 1) / 5, np.float32)
        inner.run(table[step : step + 1], rates, step, np.zeros(2, np.int32), 1)
        theirs.learning_rate.assign(rates[0])
        gradients = inner._trainer.gradients()
        theirs.apply_gradients([(tf.constant(gradients[n]), v) for n, v in variables.items()])
        now = inner.read(step + 1)
        assert difference({n: v.numpy() for n, v in variables.items()}, now.weights) < 1e-6
        slots = {n: v.numpy() for n, v in optimizers.slots(theirs, variables).items()}
        assert difference(slots, now.slots) < 1e-6
        # The next step starts from the same bytes in both.
        for name, variable in variables.items():
            variable.assign(now.weights[name])


@pytest.mark.parametrize("settings", [{}, SETTINGS], ids=["plain", "all"])
@pytest.mark.parametrize("batch_size", [1, 60, 64, 100, 128])
def test_every_step_has_the_gradients_of_the_dense_engine(batch_size, settings):
    # SGD at rate 1: its slot is the negative gradient.
    recipe = {"optimizer": "sgd", "learning_rate": 1.0, "schedule": "constant"}
    one, other = (lab(e, batch_size=batch_size, **recipe, **settings) for e in (Engine(), SPARSE))
    mask, state = part(one), one.init()
    for step in range(3):
        dense, sparse = (x.train(state, mask, f"{step + 1}it").state for x in (one, other))
        assert difference(dense.slots, sparse.slots) < 2e-6
        state = dense


@pytest.mark.parametrize("density", [1.0, 0.2, 0.02])
@pytest.mark.parametrize(("optimizer", "rate"), [("adam", 0.0012), ("nesterov", 0.02)])
def test_losses_stay_equal_over_200_steps(optimizer, rate, density):
    recipe = {
        "optimizer": optimizer,
        "learning_rate": rate,
        "length": "200it",
        "schedule": "cosine",
    }
    one, other = (lab(engine, **recipe) for engine in (Engine(), SPARSE))
    start, mask = one.init(), part(one, density)
    dense, sparse = (x.train(start, mask).history for x in (one, other))
    assert dense.steps == sparse.steps
    np.testing.assert_allclose(sparse.loss, dense.loss, rtol=1e-5)


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_cut_anywhere_it_ends_in_the_same_bytes(optimizer):
    made = lab(optimizer=optimizer, schedule="cosine", warmup="5it", batch_size=70, **SETTINGS)
    start, mask = made.init(), part(made)
    whole = made.train(start, mask)
    for cut in ("1it", "10it", "33it"):
        first = made.train(start, mask, cut)
        second = made.train(first.state, mask)
        assert second.state == whole.state
        assert first.history + second.history == whole.history


def test_a_state_goes_from_one_engine_to_the_other():
    dense, sparse = lab(Engine()), lab()
    start, mask = dense.init(), part(dense)
    one = sparse.train(dense.train(start, mask, "20it").state, mask)
    other = dense.train(sparse.train(start, mask, "20it").state, mask)
    assert one.state.slots.keys() == other.state.slots.keys()
    assert difference(dense.train(start, mask).state.weights, one.state.weights) < 0.01
    assert difference(one.state.weights, other.state.weights) < 0.01


@pytest.mark.parametrize("left", [0, 1, 2])
def test_an_empty_layer_trains_as_on_the_dense_engine(left):
    dense, sparse = (lab(engine, optimizer="momentum") for engine in (Engine(), SPARSE))
    names = [weight.name for weight in dense.prunable]
    arrays = {name: np.array(keep) for name, keep in part(dense).items()}
    arrays[names[left]][:] = False
    one, other = (x.train(x.init(), ltx.Mask(arrays)) for x in (dense, sparse))
    assert difference(one.state.weights, other.state.weights) < 1e-4
    assert not other.state.weights[names[left]].any()


def test_regressions_on_numbers_train_as_on_the_dense_engine(tmp_path):
    numbers = array_task("numbers", tmp_path)
    for objective in (ltx.Regression(), ltx.Regression(loss="huber")):
        made = dataclasses.replace(numbers, objective=objective)
        one, other = (KerasLab(made, 0, engine=engine) for engine in (Engine(), SPARSE))
        dense, sparse = (x.train(x.init(), part(x, 0.5)) for x in (one, other))
        np.testing.assert_allclose(sparse.history.loss, dense.history.loss, rtol=1e-5)


def test_the_two_engines_have_entries_of_their_own_in_the_memo():
    dense, sparse = lab(Engine()), lab()
    assert dense.fingerprint != sparse.fingerprint
    assert training_program(sparse._program).mode == "sparse-loop"
    assert lab(Engine(sparse="never")).fingerprint == dense.fingerprint
    assert training_program(program(dense.task, Engine(), None)).mode == "xla-loop"


def test_a_pruned_weight_that_is_not_zero_is_noticed(monkeypatch):
    made = lab()
    mask = part(made)
    trainer = training_program(made._program)._trainer
    right = trainer.weights

    def leaking():
        arrays = right()
        name = next(iter(mask))
        arrays[name][tuple(np.argwhere(~mask[name])[0])] = 1e-30
        return arrays

    monkeypatch.setattr(trainer, "weights", leaking)
    with pytest.raises(GuardError, match="1 pruned weights that are not zero; please report"):
        made.train(made.init(), mask, "3it")


@pytest.mark.parametrize("optimizer", ["momentum", "adam"])
def test_a_training_that_diverges_says_where_and_names_the_remedy(optimizer):
    made = lab(optimizer=optimizer, learning_rate=1e30)
    with pytest.raises(DivergedError, match=r"before step 10, .*lower Recipe\.learning_rate"):
        made.train(made.init(), part(made))


def test_two_threads_train_at_a_time_as_one_does():
    """The compiled loop releases Python's lock; programs of two tasks share no arrays."""
    labs = [lab(batch_size=size, length="200it", eval_every="200it") for size in (60, 64)]
    mask = part(labs[0])
    alone = [made.train(made.init(), mask) for made in labs]
    with ThreadPoolExecutor(2) as pool:
        assert list(pool.map(lambda made: made.train(made.init(), mask), labs)) == alone


def test_evaluation_is_that_of_the_dense_engine():
    dense, sparse = lab(Engine()), lab()
    mask, start = part(dense), dense.init()
    trained = sparse.train(start, mask).state
    nothing = start.replace(weights={n: np.zeros_like(a) for n, a in start.weights.items()})
    for state in (start, trained, nothing):  # the last one's logits are ties: the first class wins
        one, other = (x.evaluate(state, mask) for x in (dense, sparse))
        assert other.value == one.value
        np.testing.assert_allclose(other.loss, one.loss, rtol=1e-6)
    detailed = dataclasses.replace(dense.task, objective=ltx.Classification(detailed=True))
    made = KerasLab(detailed, 0, engine=SPARSE)
    further = made.evaluate(trained, mask)
    assert further.further.keys() >= {"balanced accuracy", "top-5 accuracy"}
    assert further.value == pytest.approx(sparse.evaluate(trained, mask).value)
