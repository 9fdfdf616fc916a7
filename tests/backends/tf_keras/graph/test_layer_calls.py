"""Layer calls: FLOPs are the sum over the calls of a layer, each at its own positions."""

import pytest
import tensorflow as tf
import tf_keras
from layer_kinds import KINDS

from ltx.backends.tf_keras.masking import MaskedModel
from ltx.data.dataset import InputSpec

L = tf_keras.layers
IMAGE = (8, 8, 2)


def functional(make):
    def build():
        x = tf_keras.Input(IMAGE)
        return tf_keras.Model(x, L.Dense(3, name="head")(L.Flatten()(make(x))))

    return build


def thrice(x):
    shared = L.Dense(2, name="shared")
    return shared(shared(shared(L.Flatten()(L.Dense(2, name="in")(x))[:, :2])))


def two_scales(x):
    shared = L.Conv2D(2, 3, padding="same", name="shared")
    y, z = shared(x), shared(L.AveragePooling2D()(x))
    return L.Concatenate()([L.Flatten()(y), L.Flatten()(z)])


def tower(x):
    given = tf_keras.Input(IMAGE)
    shared = tf_keras.Model(given, L.Conv2D(2, 3, name="shared")(given), name="tower")
    return L.Add()([shared(x), shared(-x)])


def recurrent(x):
    shared = L.LSTM(2, name="shared")
    rows = L.Reshape((8, 16))(x)
    return L.Add()([shared(rows), shared(rows[:, :4])])


def distributed(x):
    shared = L.TimeDistributed(L.Dense(2), name="shared")
    return L.Flatten()(shared(shared(x)))


def in_batch(x):
    """The positions are moved into the batch: a dense layer is applied to each of them."""
    y = L.Dense(2, name="shared")(tf.reshape(x, (-1, 2)))
    return tf.reshape(y, (-1, 128))


class Loop(tf_keras.Model):
    def __init__(self, kind):
        super().__init__()
        self.kind, self.flat, self.shared = kind, L.Flatten(), L.Dense(128, name="shared")
        self.head = L.Dense(3, name="head")
        self.step = tf.function(self.shared)

    def call(self, x):
        x = self.flat(x)
        if self.kind == "python":
            for _ in range(4):
                x = self.shared(x)
        elif self.kind == "function":
            for _ in range(4):
                x = self.step(x)
        else:
            x = tf.while_loop(lambda i, y: i < 4, lambda i, y: (i + 1, self.shared(y)), (0, x))[1]
        return self.head(x)


def looping(kind):
    def build():
        model = Loop(kind)
        model.build((None, *IMAGE))
        return model

    return build


CASES = {
    "thrice": (functional(thrice), 3),
    "two_scales": (functional(two_scales), 64 + 16),
    "tower": (functional(tower), 2 * 36),
    "recurrent": (functional(recurrent), 8 + 4),
    "distributed": (functional(distributed), 2 * 64),
    "in_batch": (functional(in_batch), 64),
    "python_loop": (looping("python"), 4),
    "loop_of_a_function": (looping("function"), 4),
    "loop": (looping("tensorflow"), 4),
}


@pytest.mark.parametrize("name", CASES)
def test_uses_are_summed_over_calls(name):
    make, expected = CASES[name]
    model = make()
    own = [vars(layer).get("call") for layer in model._flatten_layers()]
    masked = MaskedModel(model, InputSpec(IMAGE))
    before = {key: variable.numpy() for key, variable in masked.statistics.items()}
    uses = {weight.name: weight.uses for weight in masked.prunable}
    shared = {key: value for key, value in uses.items() if "shared" in key or "tower" in key}
    assert set(shared.values()) == {expected}
    assert uses["head/kernel"] == 1
    assert all((masked.statistics[key].numpy() == value).all() for key, value in before.items())
    assert own == [vars(layer).get("call") for layer in model._flatten_layers()]


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_layer_counts_each_of_its_calls(kind):
    tf_keras.backend.reset_uids()
    make, expected, _ = KINDS[kind]
    uses = {weight.name: weight.uses for weight in MaskedModel(make()).prunable}
    calls = 2 if kind == "shared" else 1
    for key in uses.keys() & expected.keys():
        assert uses[key] == calls * expected[key]
