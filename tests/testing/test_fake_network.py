"""Fake network: its derivatives are those of finite differences of its own loss."""

import numpy as np
import pytest

from ltx.testing import fake_network

NETWORKS = {"deep": ((6, 5), (5, 3)), "flat": ((6, 3),)}


def network(shapes: tuple) -> dict[str, np.ndarray]:
    """Weights in float64, in which a finite difference has digits to spare."""
    rng, names = np.random.default_rng(0), ("hidden", "output")[-len(shapes) :]
    made = {f"{n}/kernel": rng.normal(size=s) for n, s in zip(names, shapes, strict=True)}
    return made | {f"{n}/bias": rng.normal(size=s[1]) for n, s in zip(names, shapes, strict=True)}


def batch() -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(1)
    return rng.normal(size=(20, 6)), rng.integers(3, size=20)


def shifted(weights: dict, along: dict, step: float) -> dict[str, np.ndarray]:
    return {name: w + step * along.get(name, 0) for name, w in weights.items()}


@pytest.mark.parametrize("shapes", NETWORKS.values(), ids=NETWORKS)
def test_gradients_are_those_of_finite_differences(shapes: tuple) -> None:
    weights, (images, labels) = network(shapes), batch()
    gradients = fake_network.gradients(weights, images, labels)
    for name, gradient in gradients.items():
        for place in np.ndindex(gradient.shape):
            along = {name: np.zeros_like(gradient)}
            along[name][place] = 1
            high, low = (
                fake_network.measured(shifted(weights, along, step), images, labels).loss
                for step in (1e-5, -1e-5)
            )
            assert gradient[place] == pytest.approx((high - low) / 2e-5, abs=1e-6)


@pytest.mark.parametrize("temperature", [1.0, 3.0])
@pytest.mark.parametrize("shapes", NETWORKS.values(), ids=NETWORKS)
def test_products_are_those_of_finite_differences(shapes: tuple, temperature: float) -> None:
    weights, (images, labels) = network(shapes), batch()
    rng = np.random.default_rng(2)
    vector = {n: rng.normal(size=w.shape) for n, w in weights.items() if n.endswith("kernel")}
    product = fake_network.hessian_times(vector, weights, images, labels, temperature)
    high, low = (
        fake_network.gradients(shifted(weights, vector, step), images, labels, temperature)
        for step in (1e-6, -1e-6)
    )
    for name in vector:
        np.testing.assert_allclose(product[name], (high[name] - low[name]) / 2e-6, atol=1e-7)


@pytest.mark.parametrize("shapes", NETWORKS.values(), ids=NETWORKS)
def test_flow_is_conserved_and_blind_to_signs(shapes: tuple) -> None:
    weights = network(shapes)
    weights = {n: 0 * w if n.endswith("bias") else w for n, w in weights.items()}
    flow = fake_network.synaptic_flow(weights)
    sums = [float((flow[n] * np.abs(weights[n])).sum()) for n in flow]
    assert sums == pytest.approx([sums[0]] * len(sums))
    turned = fake_network.synaptic_flow({n: -w for n, w in weights.items()})
    assert all((turned[n] == flow[n]).all() for n in flow)
