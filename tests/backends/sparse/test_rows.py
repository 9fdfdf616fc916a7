"""The compiled passes equal numpy's for every mask, shape and number of examples."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ltx.backends.sparse import updates
from ltx.backends.sparse.network import CROSS_ENTROPY, HUBER, SQUARED, Examples, Layer
from ltx.backends.sparse.trainer import Trainer
from ltx.core.recipe import Recipe

# A step of SGD at rate 1 without momentum subtracts the gradient from the weights.
SGD = Recipe(optimizer="sgd", learning_rate=1.0)


def activated(layer: Layer, sums: np.ndarray) -> np.ndarray:
    return np.tanh(sums) if layer.tanh else np.where(sums < 0, layer.slope * sums, sums)


def derivative(layer: Layer, outputs: np.ndarray) -> np.ndarray:
    return 1 - outputs**2 if layer.tanh else np.where(outputs > 0, 1, layer.slope)


def output_gradient(loss: int, outputs: np.ndarray, targets: np.ndarray) -> np.ndarray:
    if loss == CROSS_ENTROPY:
        chances = np.exp(outputs - outputs.max(1, keepdims=True))
        chances /= chances.sum(1, keepdims=True)
        return (chances - np.eye(outputs.shape[1])[targets]) / len(targets)
    error = outputs - targets
    return (2 * error if loss == SQUARED else np.clip(error, -1, 1)) / error.size


def gradients(network, loss, weights, mask, inputs, targets):
    """By numpy, in float64."""
    kept = {n: w.astype(np.float64) * mask.get(n, 1) for n, w in weights.items()}
    values = [inputs.astype(np.float64)]
    for layer in network:
        sums = values[-1] @ kept[layer.kernel] + (kept[layer.bias] if layer.bias else 0)
        values.append(activated(layer, sums))
    delta, found = output_gradient(loss, values[-1], targets), {}
    for layer, before, after in reversed(list(zip(network, values[:-1], values[1:], strict=True))):
        delta = delta * derivative(layer, after)
        found[layer.kernel] = (before.T @ delta) * mask[layer.kernel]
        if layer.bias:
            found[layer.bias] = delta.sum(0)
        delta = delta @ kept[layer.kernel].T
    return found


@st.composite
def networks(draw):
    sizes = draw(st.lists(st.integers(1, 40), min_size=2, max_size=4))
    kinds = st.sampled_from([(1.0, False), (0.0, False), (0.3, False), (1.0, True)])
    layers = []
    for n, (inputs, units) in enumerate(itertools.pairwise(sizes)):
        slope, tanh = draw(kinds) if n < len(sizes) - 2 else (1.0, False)
        bias = f"bias_{n}" if draw(st.booleans()) else ""
        layers.append(Layer(f"kernel_{n}", bias, inputs, units, slope, tanh))
    return tuple(layers)


def parameters(network, rng, density):
    weights = {x.kernel: rng.normal(0, 0.5, (x.inputs, x.units)) for x in network}
    weights |= {x.bias: rng.normal(0, 0.5, x.units) for x in network if x.bias}
    weights = {name: array.astype(np.float32) for name, array in weights.items()}
    mask = {x.kernel: rng.random((x.inputs, x.units)) < density for x in network}
    return weights, mask


def fresh(recipe, weights):
    named = {
        f"{s}:{n}": np.zeros_like(w) for s in updates.slot_names(recipe) for n, w in weights.items()
    }
    return {**named, "iterations:": np.int64(0)}


def targets_of(loss, network, count, rng):
    outputs = network[-1].units
    if loss == CROSS_ENTROPY:
        return rng.integers(0, outputs, count).astype(np.int32)
    return rng.normal(0, 1, (count, outputs)).astype(np.float32)


@given(
    network=networks(),
    loss=st.sampled_from([CROSS_ENTROPY, SQUARED, HUBER]),
    batch=st.integers(1, 150),
    density=st.sampled_from([0.0, 0.02, 0.3, 1.0]),
    raw=st.booleans(),
    seed=st.integers(0, 2**16),
)
def test_a_step_has_the_gradients_of_numpy(network, loss, batch, density, raw, seed):
    rng = np.random.default_rng(seed)
    size, count = network[0].inputs, 200
    weights, mask = parameters(network, rng, density)
    mean, scale = (
        rng.uniform(*bounds, size).astype(np.float32) for bounds in ((90, 160), (0.01, 0.02))
    )
    if raw:
        inputs = rng.integers(0, 256, (count, size), dtype=np.uint8)
        seen = (inputs - mean.astype(np.float64)) * scale
    else:
        seen = inputs = rng.normal(0, 1, (count, size)).astype(np.float32)
    targets = targets_of(loss, network, count, rng)
    trainer = Trainer(network, loss, SGD, Examples(inputs, targets, mean, scale))
    trainer.load(weights, fresh(SGD, weights), mask)
    rows = rng.integers(0, count, (1, batch)).astype(np.int32)
    trainer.run(rows, np.ones(1, np.float32))
    expected = gradients(network, loss, weights, mask, seen[rows[0]], targets[rows[0]])
    after = trainer.weights()
    for name, wanted in expected.items():
        got = trainer.gradients()[name]
        assert np.abs(got - wanted).max() <= 2e-5 * max(np.abs(wanted).max(), 1e-2), name
        before = weights[name] * mask.get(name, True)
        assert np.array_equal(after[name], (before - got).astype(np.float32))


@pytest.mark.parametrize("density", [0.0, 0.01, 0.5, 1.0])
def test_what_is_loaded_comes_back_with_zeros_for_the_pruned(density):
    rng = np.random.default_rng(0)
    network = (Layer("a", "", 30, 20, 0.0), Layer("b", "c", 20, 3))
    weights, mask = parameters(network, rng, density)
    examples = Examples(np.zeros((9, 30), np.float32), np.zeros(9, np.int32), *np.ones((2, 30)))
    trainer = Trainer(network, CROSS_ENTROPY, Recipe(), examples)
    slots = {
        n: np.abs(rng.normal(size=a.shape)).astype(np.float32)
        for n, a in fresh(Recipe(), weights).items()
    }
    slots["iterations:"] = np.int64(7)
    trainer.load(weights, slots, mask)
    for loaded, got in ((weights, trainer.weights()), (slots, trainer.slots())):
        assert loaded.keys() == got.keys()
        for name, array in loaded.items():
            keep = mask.get(name.rpartition(":")[2], True)
            assert np.array_equal(got[name], np.where(keep, array, 0))
            assert got[name].dtype == array.dtype
