"""Evaluator: a measurement is a function of the state and changes nothing."""

import numpy as np
import pytest

import ltx
from ltx.backends.tf_keras.lab import KerasLab
from ltx.core.engine import Engine
from ltx.core.errors import UsageError

ALWAYS = ("always_dropping", "always_normalising", "counting")


def lab(model, engine=Engine(), args=None, **recipe):  # noqa: B008
    settings = {"batch_size": 30, "length": "8it", "eval_every": "8it", **recipe}
    recipe = ltx.Recipe(**settings)
    task = ltx.Task(model=f"output_models.{model}", recipe=recipe, model_args=args or {})
    return KerasLab(task, 0, engine=engine)


@pytest.mark.parametrize("model", ALWAYS)
@pytest.mark.parametrize("mode", ["xla", "graph"])
def test_layers_in_training_mode_are_measured_as_a_function_of_the_state(model, mode):
    made = lab(model, Engine(compile=mode))
    start, mask = made.init(), made.dense()
    first = made.evaluate(start, mask)
    trained = made.train(start, mask)
    assert made.evaluate(start, mask) == first
    assert made.evaluate(trained.state, mask).loss == trained.history.loss[-1]
    streamed = lab(model, Engine(compile=mode, resident_mb=0))
    assert streamed.evaluate(start, mask).loss == pytest.approx(first.loss, rel=1e-5)
    half = made.train(start, mask, until="3it").state
    assert made.train(half, mask).state == trained.state


@pytest.mark.parametrize("model", ALWAYS)
def test_how_often_it_is_measured_changes_no_state(model):
    seldom, often = lab(model), lab(model, eval_every="1it")
    states = [each.train(each.init(), each.dense()).state for each in (seldom, often)]
    for name, value in states[0].statistics.items():
        np.testing.assert_array_equal(value, states[1].statistics[name])
    assert states[0] == states[1]


def test_a_flow_through_noise_is_a_function_of_the_state():
    made = lab("always_dropping")
    flows = [made.synaptic_flow(made.init(), made.dense()) for _ in range(2)]
    for name, flow in flows[0].items():
        np.testing.assert_array_equal(flow, flows[1][name])


def test_random_numbers_without_a_seed_are_refused_before_training():
    with pytest.raises(UsageError, match=r"evaluation that gives.*without a seed \(.*of its layer"):
        lab("unseeded")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("model", "engine"),
    [
        ("augmenting", {"compile": "graph"}),
        *(
            ("own", {setting: value})
            for setting, value in (*(("compile", "xla"), ("compile", "graph"), ("resident_mb", 0)),)
        ),
    ],
)
def test_segments_equal_one_run_under_every_noise_of_keras(model, engine):
    named = ("noisy_training", {"kind": model}) if model == "own" else (model, None)
    made = lab(named[0], Engine(**engine), named[1])
    start, mask = made.init(), made.dense()
    whole = made.train(start, mask).state
    half = made.train(start, mask, until="3it").state
    assert made.train(half, mask).state == whole
    assert made.train(start, mask).state == whole
    assert made.train(start, mask, stream="other").state != whole


@pytest.mark.parametrize("kind", ["normal", "dropout", "hidden", "function", "condition"])
@pytest.mark.parametrize("engine", [{"compile": "xla"}, {"compile": "graph"}, {"resident_mb": 0}])
def test_random_numbers_without_a_seed_are_refused_where_only_training_draws_them(kind, engine):
    made = lab("noisy_training", Engine(**engine), {"kind": kind})
    start, mask = made.init(), made.dense()
    for measure in (made.train, made.gradients):
        with pytest.raises(UsageError, match=r"a training that gives the same.*of its layer"):
            measure(start, mask)
    assert made.evaluate(start, mask) == made.evaluate(start, mask)
