"""Recalibration: statistics are plain means over the batches, and nothing else changes."""

import numpy as np
import pytest
import tensorflow as tf

import ltx
from ltx.backends.tf_keras.lab import KerasLab
from ltx.data import sampling


def lab(model="tiny.convnet", **recipe):
    settings = {"batch_size": 30, "length": "12it", "eval_every": "6it", **recipe}
    return KerasLab(ltx.Task(model=model, recipe=ltx.Recipe(**settings)), 0)


@pytest.fixture(scope="module")
def convnet():
    made = lab()
    return made, made.train(made.init(), made.dense()).state


def half(made):
    return ltx.Mask({w.name: made.rng("half", w.name).random(w.shape) < 0.5 for w in made.prunable})


def test_the_first_layers_statistics_are_those_computed_by_hand(convnet):
    made, state = convnet
    mask, data = half(made), made._program.data
    taken = made.recalibrated(state, mask, batches=3, stream="some").statistics
    means, variances = [], []
    for rows in sampling.batch_table(0, "some", len(data.train), 30, 0, 3):
        images = (data.train.take(rows)[0].astype(np.float32) - data.mean) / data.std
        kernel = state.weights["conv_1/kernel"] * mask["conv_1/kernel"]
        maps = tf.nn.conv2d(images, kernel, 1, "SAME").numpy() + state.weights["conv_1/bias"]
        means.append(maps.reshape(-1, 8).mean(0))
        variances.append(maps.reshape(-1, 8).var(0, ddof=1))  # as the fused layer has it
    np.testing.assert_allclose(taken["norm_1/moving_mean"], np.mean(means, 0), atol=1e-5)
    np.testing.assert_allclose(taken["norm_1/moving_variance"], np.mean(variances, 0), rtol=1e-4)


def test_only_statistics_change_and_they_do_not_depend_on_what_they_were(convnet):
    made, state = convnet
    taken = made.recalibrated(state, made.dense(), batches=2)
    assert taken == state.replace(statistics=taken.statistics)
    assert all((taken.statistics[n] != array).all() for n, array in state.statistics.items())
    assert made.recalibrated(taken, made.dense(), batches=2) == taken
    assert made.recalibrated(taken, made.dense(), batches=3) != taken
    assert made.recalibrated(taken, made.dense(), batches=2, stream="other") != taken


def test_training_goes_on_as_if_nothing_had_been_measured(convnet):
    made, state = convnet
    again = lab()
    again.recalibrated(again.init(), again.dense(), 2)
    assert again.train(again.init(), again.dense()).state == state
    assert [layer.momentum for layer in made._program.masked.norms] == [0.99, 0.99]


def test_it_costs_forward_passes_and_no_steps(convnet):
    _, state = convnet
    made = lab()
    mask = half(made)
    made.recalibrated(state, mask, batches=2)
    whole = made.cost(2, mask)
    assert vars(made.spent) == {
        "steps": 0,
        "examples": 60,
        "dense_flops": whole.dense_flops // 3,
        "flops": whole.flops // 3,
    }


def test_images_are_augmented_as_in_training(convnet):
    _, state = convnet
    plain, moved = lab(), lab(augment="crop_flip")
    one, other = (made.recalibrated(state, made.dense(), 2) for made in (plain, moved))
    # Cropping brings in zeros, which is the mean of scaled images.
    assert one != other
    assert moved.recalibrated(state, moved.dense(), 2) == other
