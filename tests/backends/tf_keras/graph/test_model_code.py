"""Model code: whatever changes what a model computes moves its hash, and nothing else does."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
import tf_keras
import tiny

from ltx.backends.tf_keras.graph.model_code import model_code
from ltx.backends.tf_keras.masking import MaskedModel
from ltx.backends.tf_keras.models import builder

layers = tf_keras.layers
IMAGE = (4, 4, 1)


class Body(tf_keras.Model):
    """Two hidden layers of one shape, whose `call` is `compute(model, hidden)`."""

    def __init__(self, compute: Callable, **settings: object) -> None:
        super().__init__()
        self.flat, self.head = layers.Flatten(), layers.Dense(3, name="head")
        self.one = layers.Dense(16, name="one", **settings)
        self.two, self.noise = layers.Dense(16, name="two"), layers.Dropout(0.5)
        self.table = tf.constant(np.arange(16.0), tf.float32)
        self.compute = compute

    def call(self, images: tf.Tensor, training: bool = False) -> tf.Tensor:
        return self.head(self.compute(self, self.flat(images), training))


def plain(net, x, training):
    return net.two(tf.nn.relu(net.one(x)))


def renamed(net, given, training):
    """The same computation, written in another way."""
    hidden = tf.nn.relu(net.one(given))
    return net.two(hidden)


@tf.function
def slope(x, by=0.1):
    return tf.where(x > 0, x, by * x)


def clipped(limit):
    @tf.custom_gradient
    def function(x):
        return tf.identity(x), lambda dy: tf.clip_by_value(dy, -limit, limit)

    return lambda net, x, training: function(net.one(x))


def looped(times):
    return lambda net, x, training: tf.while_loop(
        lambda n, x: n < times, lambda n, x: (n + 1, tf.tanh(net.two(x))), (0, net.one(x))
    )[1]


def doubled(array):
    return array * np.float32(2)


def tripled(array):
    return array * np.float32(3)


def in_python(function):
    def compute(net, x, training):
        y = net.one(x)
        return tf.ensure_shape(tf.numpy_function(function, [y], tf.float32), y.shape)

    return compute


MODELS = {
    "plain": (plain, {}),
    "activation": (lambda net, x, training: net.two(tf.nn.sigmoid(net.one(x))), {}),
    "wiring": (lambda net, x, training: net.one(tf.nn.relu(net.two(x))), {}),
    "in training only": (lambda net, x, t: net.two(tf.nn.relu(net.one(-x if t else x))), {}),
    "noise": (lambda net, x, t: net.noise(net.two(tf.nn.relu(net.one(x))), training=t), {}),
    "slope 0.1": (lambda net, x, training: slope(net.one(x)), {}),
    "slope 0.2": (lambda net, x, training: slope(net.one(x), 0.2), {}),
    "gradient 1": (clipped(1.0), {}),
    "gradient 2": (clipped(2.0), {}),
    "loop 1": (looped(1), {}),
    "loop 2": (looped(2), {}),
    "constant": (lambda net, x, training: net.one(x) * net.table, {}),
    "other constant": (lambda net, x, training: net.one(x) * tf.constant([2.0] * 16), {}),
    "python": (in_python(doubled), {}),
    "other python": (in_python(tripled), {}),
    "constraint": (plain, {"kernel_constraint": lambda w: tf.clip_by_value(w, -1, 1)}),
    "other constraint": (plain, {"kernel_constraint": lambda w: tf.clip_by_value(w, -2, 2)}),
    "regularizer": (plain, {"kernel_regularizer": lambda w: tf.reduce_sum(w * w)}),
    "other regularizer": (plain, {"kernel_regularizer": lambda w: tf.reduce_sum(w * w * w)}),
}


def code(model: tf_keras.Model) -> str:
    masked = MaskedModel(model)
    variables = {**masked.weights, **masked.statistics}
    return model_code(model, masked.inspection.forward_pass.function, variables)


def build(compute: Callable, settings: dict, shape: tuple[int, ...] = (None, 4, 4, 1)) -> str:
    tf_keras.backend.reset_uids()
    model = Body(compute, **settings)
    # All layers have weights, whatever the model does with them.
    for layer in (model.one, model.two):
        layer.build((None, 16))
    model.build(shape)
    return code(model)


@pytest.mark.slow
def test_every_change_of_what_a_model_computes_moves_its_hash() -> None:
    hashes = {name: build(*spec) for name, spec in MODELS.items()}
    assert len(set(hashes.values())) == len(hashes), hashes
    for name in ("slope 0.2", "gradient 2", "loop 2", "other python"):  # in any trace
        assert hashes[name] == build(*MODELS[name])


def test_names_and_weights_move_nothing() -> None:
    assert build(plain, {}) == build(renamed, {})
    for model in (tiny.dropout, tiny.convnet):
        one, two = model(IMAGE, 3), model(IMAGE, 3)
        two.set_weights([weight + 1 for weight in two.get_weights()])
        two._name = "another"
        assert code(one) == code(two)
    assert code(tiny.convnet(IMAGE, 3)) != code(tiny.dropout(IMAGE, 3))


def test_the_seed_of_the_process_moves_nothing_and_stays() -> None:
    def noisy(net, x, training):
        y = net.two(net.one(x))
        return y + tf.random.normal(tf.shape(y)) if training else y

    hashes, drawn = [], []
    for _ in range(2):
        tf_keras.backend.reset_uids()
        model = Body(noisy)
        model.build((None, 4, 4, 1))
        masked = MaskedModel(model)
        function = masked.inspection.forward_pass.function
        for seed in (1, 2):
            tf.random.set_seed(seed)
            hashes.append(model_code(model, function, masked.weights))
            drawn.append(float(tf.random.normal([])))
    assert len(set(hashes)) == 1
    assert drawn[:2] == drawn[2:]
    assert drawn[0] != drawn[1]


@pytest.mark.slow
def test_another_process_computes_the_same_hash() -> None:
    here = [build(*MODELS[name]) for name in ("plain", "constant", "gradient 2", "loop 2")]
    names = "('plain', 'constant', 'gradient 2', 'loop 2')"
    program = f"import test_model_code as m; print(*(m.build(*m.MODELS[n]) for n in {names}))"
    tests = Path(__file__).parents[3]
    text = f"import sys; sys.path[:0] = {[str(tests), str(Path(__file__).parent)]!r}; {program}"
    result = subprocess.run(
        [sys.executable, "-c", text], check=True, capture_output=True, text=True
    )
    assert result.stdout.split() == here


def test_only_models_of_the_user_have_code_of_their_own() -> None:
    named = ("lenet_300_100", "resnet_20", "tf_keras.applications.MobileNetV2")
    assert [builder.has_own_code(name) for name in named] == [False] * 3
    assert builder.has_own_code("tiny.dense")
