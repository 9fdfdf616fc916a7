"""Variables: unique names, and every random generator, before its first draw."""

import numpy as np
import pytest
from layer_kinds import SEQUENCE

from ltx.backends.tf_keras.masking import MaskedModel
from ltx.backends.tf_keras.models import builder

import tf_keras  # isort: skip

L = tf_keras.layers


@pytest.fixture(autouse=True)
def _fresh_names():
    tf_keras.backend.reset_uids()


def test_equal_layer_names_in_a_subclassed_model_stay_apart():
    class Twins(tf_keras.Model):
        def __init__(self):
            super().__init__()
            self.a, self.b = L.Dense(3, name="same"), L.Dense(3, name="same")

        def call(self, x):
            return self.b(self.a(x))

    model = Twins()
    model.build((None, 3))
    masked = MaskedModel(model)
    assert len(masked.weights) == 4
    assert list(masked.masks) == ["same/kernel", "same/kernel_1"]


def test_generators_are_those_that_draw():
    tf_keras.backend.experimental.enable_tf_random_generator()
    lenet = builder.build("lenet_300_100", (2, 2, 1), 3)
    assert MaskedModel(lenet).generators == []
    inp = tf_keras.Input(SEQUENCE)
    y = L.Dropout(0.3, name="on")(L.Dropout(0.0, name="off")(inp))
    y = L.LSTM(3, dropout=0.5, name="lstm")(L.RandomFlip(name="flip")(y[..., None])[..., 0])
    dropping = tf_keras.Model(inp, L.Dense(2)(y))
    masked = MaskedModel(dropping)
    assert len(set(map(id, masked.generators))) == len(masked.generators)
    # The active dropout, the flip, the LSTM and its cell; not the dropout of rate 0.
    assert len(masked.generators) == 4
    states = {v.ref() for g in masked.generators for v in [g.state]}
    assert not states & {v.ref() for v in [*masked.weights.values(), *masked.statistics.values()]}

    def drawn(reset=True):
        for number, generator in enumerate(masked.generators if reset else ()):
            generator.reset_from_seed(number)
        return dropping(np.ones((2, *SEQUENCE), "float32"), training=True).numpy()

    assert np.array_equal(drawn(), drawn())
    assert not np.array_equal(drawn(), drawn(reset=False))


def test_a_generator_made_lazily_is_found_before_the_first_training_step():
    class Noise(L.Dropout):
        def build(self, shape):
            self.built = True

    class Noisy(tf_keras.Model):
        def __init__(self):
            super().__init__()
            self.noise, self.head = Noise(0.5), L.Dense(2)

        def call(self, x, training=None):
            return self.head(self.noise(x, training=training))

    tf_keras.backend.experimental.enable_tf_random_generator()
    model = Noisy()
    model.build((None, 3))
    assert len(MaskedModel(model).generators) == 1
