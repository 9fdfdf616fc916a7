"""Divergence: weights, statistics, slots, scores, losses and gradients of KerasLab are finite."""

import numpy as np
import pytest

from ltx import Bernoulli, DivergedError, EdgePopup, Recipe, State, Task
from ltx.backends.tf_keras.lab import KerasLab
from ltx.core.engine import Engine
from ltx.core.ticket import Ticket
from ltx.evaluation.trial import Trial

SHORT = {"batch_size": 30, "length": "24it", "eval_every": "8it"}


def lab(model: str = "tiny.dense", engine: Engine = Engine(), **recipe: object) -> KerasLab:  # noqa: B008
    task = Task(model=model, recipe=Recipe(**{**SHORT, **recipe}))  # type: ignore[arg-type]
    return KerasLab(task, 0, engine=engine, sealed=False)


def with_array(state: State, group: str, name: str, value: float) -> State:
    arrays = dict(getattr(state, group))
    broken = np.array(arrays[name])
    broken.flat[-1] = value
    return state.replace(**{group: {**arrays, name: broken}})


def test_statistics_that_overflow_in_float16_are_named() -> None:
    made = lab("tiny.overflows_in_half", Engine(precision="float16"))
    with pytest.raises(DivergedError, match=r"moving_mean is not finite; .*Engine\.precision"):
        made.train(made.init(), made.dense(), "1it")
    with pytest.raises(DivergedError):
        Trial.run(made, Ticket.of(made, made.dense(), made.init()))
    whole = lab("tiny.overflows_in_half")
    assert whole.train(whole.init(), whole.dense()).history.last.is_finite


def test_a_training_whose_loss_scale_skips_its_first_steps_is_valid() -> None:
    made = lab("tiny.dense", Engine(precision="float16"), optimizer="momentum")
    slots = dict(made.train(made.init(), made.dense(), "1it").state.slots)
    slots["loss_scale:"] = np.float32(2.0**30)
    run = made.train(made.init().replace(slots=slots), made.dense())
    assert run.state.slots["loss_scale:"] < 2.0**30
    assert run.history.last.is_finite


@pytest.mark.parametrize("engine", [{}, {"resident_mb": 0, "compile": "graph"}])
def test_a_training_whose_loss_scale_skips_every_step_is_none(engine: dict) -> None:
    made = lab("tiny.explodes_in_half", Engine(precision="float16", **engine))
    start, mask = made.init(), made.dense()
    with pytest.raises(DivergedError, match=r"skipped every step.*at step 16.*'bfloat16'"):
        made.train(start, mask)
    # A scale that can still be halved may be the right one; at 1 nothing is left to halve.
    half = made.train(start, mask, "12it").state
    with pytest.raises(DivergedError, match="skipped every step of the segment that ends at"):
        made.train(half, mask)
    short = lab(
        "tiny.explodes_in_half",
        Engine(precision="float16", **engine),
        length="9it",
        eval_every="3it",
    )
    for state in (start, short.train(start, mask, "4it").state):
        with pytest.raises(DivergedError, match="skipped all 9 steps"):
            short.train(state, mask)
    whole = lab("tiny.explodes_in_half")
    assert whole.train(whole.init(), whole.dense()).state.first_not_finite() is None


def test_steps_skipped_late_do_not_make_a_training_none() -> None:
    made = lab("tiny.dense", Engine(precision="float16"), optimizer="sgd")
    mask = made.dense()
    state = made.train(made.init(), mask, "16it").state
    slots = {**state.slots, "loss_scale:": np.float32(2.0**40)}
    end = made.train(state.replace(slots=slots), mask).state
    assert end.slots["good_steps:"] == 0
    assert end.slots["loss_scale:"] == 2.0**32
    assert end.step == 24


def test_one_step_that_leaves_finite_weights_and_no_finite_loss() -> None:
    made = lab(optimizer="sgd", learning_rate=1e30, eval_every="1it")
    with pytest.raises(DivergedError, match="validation loss at step 1 is not finite"):
        made.train(made.init(), made.dense(), "1it")
    later = lab(optimizer="sgd", learning_rate=1e30)
    state = later.train(later.init(), later.dense(), "1it").state
    assert state.first_not_finite() is None
    for split in ("validation", "test"):
        with pytest.raises(DivergedError, match=f"the {split} loss at step 1 is not finite"):
            later.evaluate(state, later.dense(), split)


@pytest.mark.parametrize(
    ("group", "name"),
    [
        ("weights", "conv/kernel"),
        ("statistics", "norm/moving_variance"),
        ("slots", "momentum:conv/kernel"),
    ],
)
@pytest.mark.parametrize("engine", [Engine(), Engine(resident_mb=0, compile="graph")])
def test_every_part_of_a_state_is_checked(group: str, name: str, engine: Engine) -> None:
    made = lab("tiny.normed", engine, optimizer="momentum")
    mask, state = made.dense(), made.train(made.init(), made.dense(), "2it").state
    name = next(n for n in getattr(state, group) if n.endswith(name.rpartition("/")[2]))
    other = with_array(state, group, name, np.inf)
    for until in ("2it", "3it"):
        with pytest.raises(DivergedError, match="is not finite"):
            made.train(other, mask, until)
    if group == "slots":
        return
    for measure in (made.evaluate, made.gradients, made.hessian_gradient, made.synaptic_flow):
        with pytest.raises(DivergedError, match=f"{name} at step 2 is not finite"):
            measure(other, mask)  # type: ignore[operator]


def test_gradients_and_new_statistics_that_are_not_finite_are_refused() -> None:
    made = lab("tiny.normed")
    huge = {n: np.full_like(a, 3e38) if a.ndim > 1 else a for n, a in made.init().weights.items()}
    state = made.init().replace(weights=huge)
    for measure in (made.gradients, made.hessian_gradient, made.recalibrated):
        with pytest.raises(DivergedError, match="is not finite"):
            measure(state, made.dense(), 1)


@pytest.mark.parametrize("method", [EdgePopup(0.5), Bernoulli(0.5)])
def test_statistics_are_checked_while_a_mask_is_learned(method: EdgePopup | Bernoulli) -> None:
    made = lab("tiny.normed")
    state = with_array(made.init(), "statistics", "norm/moving_variance", np.inf)
    with pytest.raises(DivergedError, match="norm/moving_variance: not finite; lower"):
        made.train_mask(state, made.dense(), method, "1it")
