"""Constant propagation: predicted constants are what the network emits, for every input."""

import numpy as np
import pytest
import tf_keras
import wirings
from wirings import NETWORKS, ticket_of

from ltx.backends.tf_keras.graph.constant_folding import constant_inputs
from ltx.backends.tf_keras.graph.variables import named_variables


@pytest.fixture(autouse=True)
def _fresh_names_and_weights():
    tf_keras.backend.reset_uids()
    tf_keras.utils.set_random_seed(0)


def varied(model, seed):
    rng = np.random.default_rng(seed)
    for entry in named_variables(model):
        noise = rng.normal(0, 0.3, entry.shape)
        value = entry.variable.numpy() + (noise if len(entry.shape) == 1 else 0)
        entry.variable.assign(np.abs(value) if "variance" in entry.name else value)


def told(model, mask):
    return constant_inputs(
        model, mask, {entry.name: entry.variable.numpy() for entry in named_variables(model)}
    )


@pytest.mark.parametrize("density", [0.02, 0.2])
@pytest.mark.parametrize(
    "network", [n for n in NETWORKS if n.__name__ not in ("nested", "unknown", "shared")]
)
def test_constants_are_what_the_network_emits(network, density):
    model, rng = network(), np.random.default_rng(0)
    varied(model, 1)
    mask = ticket_of(model, density=density, seed=2).mask
    found = told(model, mask)
    for entry in named_variables(model):
        if entry.name in mask:
            entry.variable.assign(np.where(mask[entry.name], entry.variable, 0))
    inputs = rng.normal(size=(3, *model.input_shape[1:])).astype("float32")
    constant = 0
    for layer in model.layers:
        name = f"{layer.name}/kernel"
        if name not in found:
            continue
        emitted = tf_keras.Model(model.input, layer.input)(inputs).numpy()
        (values, _), known = found[name][0], ~np.isnan(found[name][0].values)
        expected = np.broadcast_to(values[known], (*emitted.shape[:-1], known.sum()))
        np.testing.assert_allclose(emitted[..., known], expected, 1e-4, 1e-5)
        constant += known.sum()
    assert constant or density > 0.02 or network.__name__ == "straight_out"


def test_what_varies_is_not_told():
    model = wirings.plain()
    for read in (r for many in told(model, ticket_of(model).mask).values() for r in many):
        assert np.isnan(read.values).all()


def test_a_live_weight_of_zero_may_learn():
    model = wirings.plain()
    for entry in named_variables(model):
        entry.variable.assign(np.zeros(entry.shape))
    mask = dict(ticket_of(model).mask)
    assert np.isnan(told(model, mask)["logits/kernel"][0].values).all()
    mask["b/kernel"] = np.zeros_like(mask["b/kernel"])
    np.testing.assert_array_equal(told(model, mask)["logits/kernel"][0].values, 0)


def test_a_bias_is_named_where_it_can_take_a_constant():
    model = wirings.depthwise()
    found = told(model, ticket_of(model).mask)
    # One by one, then the padless depthwise stage of a separable one; the first pads its edges.
    assert {name: many[0].bias for name, many in found.items()} == {
        "a/kernel": None,
        "c/kernel": "c/bias",
        "d/pointwise_kernel": "d/bias",
        "logits/kernel": "logits/bias",
    }


def test_every_call_of_a_shared_layer_is_told():
    model = wirings.shared()
    mask = dict(ticket_of(model).mask)
    mask["a/kernel"] = np.zeros_like(mask["a/kernel"])
    first, second = told(model, mask)["twice/kernel"]
    assert (np.isnan(first.values).sum(), np.isnan(second.values).sum()) in ((0, 5), (5, 0))
