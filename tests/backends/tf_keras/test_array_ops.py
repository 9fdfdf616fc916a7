"""TensorFlowOps: losses are those of numpy, with finite gradients at extreme outputs."""

import numpy as np
import pytest
import tensorflow as tf
from kinds import FAKE, targets_of

from ltx import Objective
from ltx.backends.tf_keras.array_ops import OPS
from ltx.core.objectives.array_ops import NUMPY
from ltx.testing.output_derivatives import derivatives, prepared

each_objective = pytest.mark.parametrize(
    "objective", [pair[0] for pair in FAKE.values()], ids=list(FAKE)
)


def gradient(objective: Objective, outputs: np.ndarray, targets: np.ndarray) -> tuple:
    """Losses and the gradient of their mean by the outputs, in TensorFlow."""
    variable, given = tf.constant(outputs), tf.constant(targets)
    with tf.GradientTape() as tape:
        tape.watch(variable)
        ready = tf.nn.log_softmax(variable) if objective.softmax else variable
        losses = objective.losses(OPS, ready, given)
        counts = objective.counts(OPS, given, losses)
        mean = tf.reduce_sum(losses) / (4 if counts is None else tf.reduce_sum(counts))
    return losses.numpy(), tape.gradient(mean, variable).numpy()


@each_objective
@pytest.mark.parametrize("size", [0.1, 1.0, 10.0])
def test_losses_are_those_of_numpy(objective: Objective, size: float) -> None:
    shape, targets = targets_of(objective)
    outputs = np.random.default_rng(2).normal(0, size, shape).astype(np.float32)
    losses, slopes = gradient(objective, outputs, targets.astype(targets.dtype.kind + "4"))
    expected = objective.losses(NUMPY, prepared(objective, outputs.astype(np.float64)), targets)
    np.testing.assert_allclose(losses, expected, rtol=2e-5, atol=1e-5)
    np.testing.assert_allclose(
        slopes, derivatives(objective, outputs, targets)[0], rtol=1e-4, atol=1e-5
    )


@each_objective
@pytest.mark.parametrize("size", [88.0, 1e4, 1e15])
def test_gradients_are_finite_at_extreme_outputs(objective: Objective, size: float) -> None:
    shape, targets = targets_of(objective)
    outputs = (size * np.random.default_rng(1).choice([-1, 1], shape)).astype(np.float32)
    losses, slopes = gradient(objective, outputs, targets.astype(targets.dtype.kind + "4"))
    assert np.isfinite(losses).all()
    assert np.isfinite(slopes).all()
