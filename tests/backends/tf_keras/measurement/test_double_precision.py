"""Double precision: synaptic flow beyond the range of float32."""

import numpy as np
import pytest
from ltx_plugins.oneshot import SynFlow

import ltx
from ltx import DivergedError
from ltx.backends.tf_keras.lab import KerasLab
from ltx.core.engine import Engine
from ltx.pruning.round import Pruning
from ltx.pruning.scores import Synflow

RECIPE = ltx.Recipe(batch_size=30, length="24it", eval_every="8it")


def lab(model: str, engine: Engine = Engine(), **task: object) -> KerasLab:  # noqa: B008
    return KerasLab(ltx.Task(model=model, recipe=RECIPE, **task), 0, engine=engine)  # type: ignore[arg-type]


def scaled(state: ltx.State, factor: float) -> ltx.State:
    """The state with every kernel multiplied by this."""
    weights = {n: a * np.float32(factor if a.ndim > 1 else 1) for n, a in state.weights.items()}
    return state.replace(weights=weights)


# XLA convolves slowly on a CPU, so convolutions are compared in the graph alone.
@pytest.mark.parametrize(
    ("mode", "model"),
    [
        *(
            ("graph", model)
            for model in ("tiny.deep", "tiny.residual", "tiny.dropout", "resnet_20")
        ),
        *(("xla", model) for model in ("tiny.deep", "tiny.dropout")),
    ],
)
def test_both_precisions_give_the_same_where_float32_is_enough(model: str, mode: str) -> None:
    made = lab(model, Engine(compile=mode))
    state = made.train(made.init(), made.dense(), "3it").state
    mask = Pruning.to(0.5)(made, made.dense(), ltx.Random()(made, state, made.dense()))
    flow = made.synaptic_flow(state, mask)
    double = made._program.double.synaptic_flow(state, mask)
    for name, array in flow.items():
        assert (array.dtype, double[name].dtype) == (np.float32, np.float64)
        np.testing.assert_allclose(array, double[name], rtol=2e-5)
        np.testing.assert_array_equal(array == 0, double[name] == 0)


@pytest.mark.parametrize("power", [-60, 60, 110])
def test_scaled_weights_keep_their_ranks(power: int) -> None:
    made = lab("tiny.deep")
    state, mask = made.init(), made.dense()
    plain = made._program.double.synaptic_flow(state, mask)
    other = made.synaptic_flow(scaled(state, 2.0**power), mask)
    for name, array in plain.items():
        np.testing.assert_array_equal(other[name], array * 2.0 ** (9 * power))
    weights = {name: np.abs(state.weights[name]) for name in mask}
    expected = Pruning.to(0.1)(made, mask, {n: weights[n] * plain[n] for n in mask})
    assert Pruning.to(0.1)(made, mask, Synflow()(made, scaled(state, 2.0**power), mask)) == expected


def test_what_no_precision_holds_is_refused() -> None:
    made = lab("tiny.deep")
    with pytest.raises(DivergedError, match=r"not finite in float64 either; start from smaller"):
        made.synaptic_flow(scaled(made.init(), 2.0**125), made.dense())


def test_a_model_whose_code_is_of_float32_is_refused_where_that_is_not_enough() -> None:
    made = lab("tiny.single")
    made.synaptic_flow(made.init(), made.dense())
    with pytest.raises(DivergedError, match=r"beyond the range of float32.*in float64 \("):
        made.synaptic_flow(scaled(made.init(), 2.0**127), made.dense())


def test_float16_overflows_and_float64_takes_its_place() -> None:
    made, half = lab("tiny.deep"), lab("tiny.deep", Engine(precision="float16"))
    state = scaled(made.init(), 16.0)
    flow = made.synaptic_flow(state, made.dense())
    for name, array in half.synaptic_flow(state, half.dense()).items():
        np.testing.assert_allclose(array, flow[name], rtol=1e-4)


APPLICATIONS = "tf_keras.applications."
ARGS = {"weights": None, "classifier_activation": None}


def application(name: str) -> KerasLab:
    return lab(APPLICATIONS + name, image=(32, 32, 3), model_args=ARGS)


@pytest.mark.slow
def test_the_flow_of_densenet121_reaches_every_connected_weight(monkeypatch) -> None:  # type: ignore[no-untyped-def]
    monkeypatch.setenv("LTX_TRUST", "tf_keras")
    made = application("DenseNet121")
    state = made.init()
    (_, ticket) = SynFlow(density=0.1, rounds=5).find(made)
    assert ticket.mask.density == pytest.approx(0.1, abs=1e-3)
    assert not ticket.mask.empty()
    for mask in (made.dense(), ticket.mask):
        scores = Synflow()(made, state, mask)
        assert all(np.isfinite(score).all() for score in scores.values())
        found = {name: (score > 0) & mask[name] for name, score in scores.items()}
        assert ltx.Mask(found) == made.effective(mask)


@pytest.mark.slow
def test_the_flow_of_efficientnet_stops_at_saturated_gates_alone(monkeypatch) -> None:  # type: ignore[no-untyped-def]
    monkeypatch.setenv("LTX_TRUST", "tf_keras")
    made = application("EfficientNetB0")
    state = scaled(made.init(), 2.0)
    scores = Synflow()(made, state, made.dense())
    assert {score.dtype for score in scores.values()} == {np.dtype(np.float64)}
    connected = made.effective(made.dense())
    for name, score in scores.items():
        assert np.isfinite(score).all()
        if "_se_" not in name:
            np.testing.assert_array_equal(score > 0, connected[name])
