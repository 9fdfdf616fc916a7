"""Fake convolution: derivatives are those of finite differences, statistics those of data."""

import numpy as np
import pytest

from ltx import Mask
from ltx.testing import FakeLab, fake_convnet

NETWORKS = ("convolution", "ranks")


def network(name: str) -> tuple[dict[str, np.ndarray], np.ndarray, np.ndarray]:
    """Weights and statistics in float64, and a batch of images that are not square."""
    net = fake_convnet.ConvNetwork((3, 4, 2), 3, ranks=name == "ranks")
    rng = np.random.default_rng(0)
    weights, statistics = net.others()
    arrays = {n: rng.normal(1, 0.5, a.shape) for n, a in {**weights, **statistics}.items()}
    arrays |= {w.name: rng.normal(size=w.shape) for w in net.prunable}
    return arrays, rng.normal(size=(7, 3, 4, 2)), rng.integers(3, size=7)


def loss(arrays: dict, images: np.ndarray, labels: np.ndarray) -> float:
    """The loss as in training, which is that of the statistics of the batch."""
    batch = fake_convnet.batch_statistics(arrays, images)
    return fake_convnet.measured({**arrays, **batch}, images, labels).loss


def shifted(arrays: dict, along: dict, step: float) -> dict[str, np.ndarray]:
    return {name: array + step * along.get(name, 0) for name, array in arrays.items()}


@pytest.mark.parametrize("name", NETWORKS)
def test_gradients_are_those_of_finite_differences(name: str) -> None:
    arrays, images, labels = network(name)
    for weight, gradient in fake_convnet.gradients(arrays, images, labels).items():
        assert gradient.shape == arrays[weight].shape
        for place in list(np.ndindex(gradient.shape))[:40]:
            along = {weight: np.zeros_like(gradient)}
            along[weight][place] = 1
            high, low = (loss(shifted(arrays, along, s), images, labels) for s in (1e-6, -1e-6))
            assert gradient[place] == pytest.approx((high - low) / 2e-6, abs=1e-6)


@pytest.mark.parametrize("temperature", [1.0, 3.0])
@pytest.mark.parametrize("name", NETWORKS)
def test_products_are_those_of_finite_differences(name: str, temperature: float) -> None:
    arrays, images, labels = network(name)
    rng = np.random.default_rng(2)
    vector = {n: rng.normal(size=a.shape) for n, a in arrays.items() if n.endswith("kernel")}
    product = fake_convnet.hessian_times(vector, arrays, images, labels, temperature)
    high, low = (
        fake_convnet.gradients(shifted(arrays, vector, step), images, labels, temperature)
        for step in (1e-6, -1e-6)
    )
    for weight in vector:
        np.testing.assert_allclose(product[weight], (high[weight] - low[weight]) / 2e-6, atol=1e-5)


def test_the_ranks_are_one_to_four() -> None:
    assert [len(w.shape) for w in FakeLab(network="ranks").prunable] == [4, 3, 1, 2]
    assert [len(w.shape) for w in FakeLab(network="convolution").prunable] == [4, 2]


@pytest.mark.parametrize("name", NETWORKS)
def test_training_moves_the_statistics_to_those_of_the_data(name: str) -> None:
    lab = FakeLab(network=name)
    state = lab.train(lab.init(), lab.dense()).state
    again = lab.recalibrated(state, lab.dense(), 10)
    assert set(again.statistics) == {"norm/moving_mean", "norm/moving_variance"}
    for weight, value in again.statistics.items():
        before = np.abs(lab.init().statistics[weight] - value).mean()
        assert np.abs(state.statistics[weight] - value).mean() < before / 2
    assert lab.evaluate(state, lab.dense()).value > 0.8


def test_a_filter_that_nothing_reads_or_feeds_is_not_effective() -> None:
    lab = FakeLab(network="convolution")
    mask = {name: keep.copy() for name, keep in lab.dense().items()}
    mask["conv/kernel"][..., 1] = False
    rows = np.arange(mask["output/kernel"].shape[0])
    mask["output/kernel"][rows % fake_convnet.FILTERS == 0] = False
    effective = lab.effective(Mask(mask))
    assert not effective["conv/kernel"][..., 0].any()
    assert effective["conv/kernel"][..., 2:].all()
    fed = rows % fake_convnet.FILTERS > 1
    assert (effective["output/kernel"] == fed[:, None]).all()
