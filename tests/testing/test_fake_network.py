"""Fake network: its derivatives are those of finite differences of its own loss."""

import dataclasses
from collections.abc import Callable

import numpy as np
import pytest
from kinds import FAKE, fake_task

from ltx import Objective, Recipe, UsageError
from ltx.testing import RECIPE, FakeLab
from ltx.testing.fake_data import LENGTH, TOKENS, FakeData
from ltx.testing.fake_network import EMBEDDING, HIDDEN, OUTPUT, DenseNetwork
from ltx.testing.output_derivatives import FORMULAS, central_differences

UNITS = 5
Arrays = dict[str, np.ndarray]
NETWORKS = [(kind, layers) for kind in FAKE for layers in (1, 2)]
each_network = pytest.mark.parametrize(("kind", "layers"), NETWORKS)


def network(kind: str, layers: int) -> tuple[DenseNetwork, Arrays, tuple[np.ndarray, np.ndarray]]:
    """A network of a kind, weights in float64, where a difference has digits to spare, a batch."""
    data = FakeData.of(fake_task(kind))
    made, rng = (
        DenseNetwork(data.task.objective, data.outputs, data.tokens),
        np.random.default_rng(0),
    )
    inputs, targets = (array[:20] for array in data.splits(sealed=True)["train"])
    inputs = inputs if data.tokens else inputs.astype(np.float64)
    features = made.features(inputs).shape[-1]
    by_token = data.tokens and len(data.outputs) > 1
    width = data.outputs[-1] if by_token else int(np.prod(data.outputs))
    first = EMBEDDING if data.tokens else HIDDEN
    shapes = {first: (features, UNITS), OUTPUT: (UNITS, width)}
    if layers == 1:
        shapes = {OUTPUT: (features, width)}
    biases = {"output/bias": width} | ({"hidden/bias": UNITS} if layers == 2 else {})
    weights = {name: rng.normal(size=shape) for name, shape in (shapes | biases).items()}
    return made, weights, (inputs, targets)


def shifted(weights: Arrays, along: Arrays, step: float) -> Arrays:
    return {name: w + step * along.get(name, 0) for name, w in weights.items()}


@each_network
def test_gradients_are_those_of_finite_differences(kind: str, layers: int) -> None:
    made, weights, batch = network(kind, layers)
    for name, gradient in made.gradients(weights, *batch).items():
        for place in np.ndindex(gradient.shape):
            along = {name: np.zeros_like(gradient)}
            along[name][place] = 1
            high, low = (
                made.measured(shifted(weights, along, step), *batch).loss for step in (1e-5, -1e-5)
            )
            assert gradient[place] == pytest.approx((high - low) / 2e-5, abs=1e-6)


@pytest.mark.parametrize("temperature", [1.0, 3.0])
@each_network
def test_products_are_those_of_finite_differences(
    kind: str, layers: int, temperature: float
) -> None:
    made, weights, batch = network(kind, layers)
    rng = np.random.default_rng(2)
    vector = {n: rng.normal(size=w.shape) for n, w in weights.items() if w.ndim > 1}
    product = made.hessian_times(vector, weights, *batch, temperature)
    step = 1e-6 if type(made.objective).losses in FORMULAS else 1e-4
    high, low = (
        made.gradients(shifted(weights, vector, s), *batch, temperature) for s in (step, -step)
    )
    for name in vector:
        expected = (high[name] - low[name]) / (2 * step)
        np.testing.assert_allclose(product[name], expected, atol=1e-5)


@pytest.mark.parametrize("kind", [k for k in FAKE if type(FAKE[k][0]).losses in FORMULAS])
def test_formulas_are_those_of_central_differences(kind: str) -> None:
    made, weights, (inputs, targets) = network(kind, 2)
    outputs = made.forward(weights, made.features(inputs))[1]
    along = np.random.default_rng(3).normal(size=outputs.shape)
    formula = FORMULAS[type(made.objective).losses]
    pairs = (f(made.objective, outputs, targets, along) for f in (formula, central_differences))
    for exact, close in zip(*pairs, strict=True):
        np.testing.assert_allclose(exact, close, atol=1e-5)


@pytest.mark.parametrize("tokens", [0, TOKENS])
@pytest.mark.parametrize("layers", [1, 2])
def test_flow_is_conserved_and_blind_to_signs(layers: int, tokens: int) -> None:
    made, weights, _ = network("tokens" if tokens else "images", layers)
    weights = {n: 0 * w if n.endswith("bias") else w for n, w in weights.items()}
    every = np.repeat(np.arange(TOKENS)[:, None], LENGTH, axis=1)
    inputs = every if tokens else np.ones((1, 16))
    flow = made.synaptic_flow(weights, inputs)
    sums = [float((flow[n] * np.abs(weights[n])).sum()) for n in flow]
    assert sums == pytest.approx([sums[0]] * layers)
    turned = made.synaptic_flow({n: -w for n, w in weights.items()}, inputs)
    assert all((turned[n] == flow[n]).all() for n in flow)


def test_tokens_sum_their_rows_and_later_ones_change_no_earlier_output() -> None:
    made, weights, (inputs, _) = network("tokens", 2)
    rows = weights[EMBEDDING][inputs].sum(axis=1)
    np.testing.assert_allclose(made.features(inputs) @ weights[EMBEDDING], rows)
    made, weights, (inputs, _) = network("next_token", 2)
    other = inputs.copy()
    other[:, 3] = inputs[:, 3] % (TOKENS - 1) + 1
    one, two = (made.forward(weights, made.features(i))[1] for i in (inputs, other))
    assert one.shape == (20, LENGTH, TOKENS)
    assert (one[:, :3] == two[:, :3]).all()
    assert (one[:, 3:] != two[:, 3:]).any()


# What the data of a FakeLab are


def lab(kind: str, **changes: object) -> FakeLab:
    return FakeLab(fake_task(kind, **changes))


@pytest.mark.parametrize(
    ("kind", "shape", "outputs"),
    [
        ("images", (4, 4, 1), (4,)),
        ("tokens", (LENGTH,), (4,)),
        ("regression", (8,), (1,)),
        ("multi_label", (8,), (3,)),
        ("ordinal", (4, 4, 1), (3,)),
        ("next_token", (LENGTH,), (LENGTH, TOKENS)),
    ],
)
def test_the_objective_chooses_the_data(kind: str, shape: tuple, outputs: tuple) -> None:
    made = lab(kind)
    assert made.input_shape == shape
    assert made._net.outputs == outputs
    first, last = made.prunable
    assert first.name == (EMBEDDING if made._net.tokens else HIDDEN)
    assert last.shape[1] == outputs[-1]
    assert {w.uses for w in made.prunable} == {LENGTH if kind == "next_token" else 1}


@pytest.mark.parametrize("kind", FAKE)
def test_every_kind_learns(kind: str) -> None:
    made = lab(kind)
    before = made.evaluate(made.init(), made.dense()).value
    history = made.train(made.init(), made.dense()).history
    metric = made.task.objective.metric
    assert metric.gain(metric.best(*history.value), before) > 0
    assert set(made.evaluate(made.init(), made.dense()).further) <= {
        other.name for other in made.task.objective.further
    }


@pytest.mark.parametrize("kind", ["regression", "tokens", "multi_label", "next_token"])
@pytest.mark.parametrize("corrupt", ["random_labels", "shuffled_pixels"])
def test_every_kind_is_corrupted_and_cut(kind: str, corrupt: str) -> None:
    whole, other = (lab(kind, **c)._data for c in ({}, {"corrupt": corrupt, "subset": 0.5}))
    assert len(other["train"][1]) == 100
    part = 1 if corrupt == "random_labels" else 0
    assert (other["validation"][part] != whole["validation"][part]).any()
    assert (other["validation"][1 - part] == whole["validation"][1 - part]).all()


def unfit() -> Objective:
    class Wants(type(FAKE["images"][0])):  # type: ignore[misc]
        def outputs(self, targets):  # type: ignore[no-untyped-def]
            raise self.refuse("graphs", "something else")

    return Wants()


def smoothed() -> Recipe:
    return dataclasses.replace(RECIPE, label_smoothing=0.1)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        (lambda: {"classes": (0, 1)}, "Task.classes: targets of 'fake' are no class numbers"),
        (lambda: {"recipe": smoothed()}, "Recipe.label_smoothing: Regression has no labels"),
        (lambda: {"objective": unfit()}, "Task.objective: Wants expects targets that FakeLab has"),
        (
            lambda: {"data": "tokens", "image": (4, 4, 1)},
            "Task.image: 'tokens' holds no images; leave it out",
        ),
    ],
)
def test_what_no_kind_can_mean_is_refused(changes: Callable[[], dict], words: str) -> None:
    with pytest.raises(UsageError, match="^" + words):
        lab("regression", **changes())
