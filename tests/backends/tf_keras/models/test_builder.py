"""Builder: the same bytes for the same seed, users' functions, and one-line refusals."""

import hashlib
import random
import subprocess
import sys

import numpy as np
import pytest

from ltx.backends.tf_keras.models import builder
from ltx.core.errors import UsageError

import tensorflow as tf  # isort: skip
import tf_keras  # isort: skip

MNIST = (28, 28, 1)


SMALL = ["lenet_300_100", "conv_2", "conv_4", "conv_6", "resnet_20", "vgg_11"]


def weights(seed, name="lenet_300_100", shape=(8, 8, 1)):
    return builder.build(name, shape, 3, seed=seed).get_weights()


def same(a, b):
    return all(np.array_equal(x, y) for x, y in zip(a, b, strict=True))


@pytest.mark.parametrize("name", SMALL)
def test_same_seed_same_bytes_whatever_happened_before(name):
    first = weights(7, name)
    tf.random.set_seed(3)
    tf.random.normal((5,))
    tf_keras.layers.Dense(4).build((None, 4))
    random.seed(1)
    np.random.seed(1)
    assert same(first, weights(7, name))


@pytest.mark.slow
def test_same_seed_same_bytes_in_another_process():
    code = (
        "from ltx.backends.tf_keras.models import builder; import hashlib; "
        "w = builder.build('conv_2', (8, 8, 1), 3, seed=7).get_weights(); "
        "print(hashlib.sha256(b''.join(x.tobytes() for x in w)).hexdigest())"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    here = hashlib.sha256(b"".join(w.tobytes() for w in weights(7, "conv_2"))).hexdigest()
    assert run.stdout.split()[-1] == here


def test_another_seed_gives_other_weights_and_no_two_layers_are_alike():
    assert not same(weights(0), weights(1))
    model = builder.build("conv_2", (8, 8, 64), 3)
    one, two = model.get_layer("conv_1").kernel, model.get_layer("conv_2").kernel
    assert one.shape == two.shape
    assert not np.array_equal(one, two)


def test_global_states_are_left_alone():
    random.seed(5)
    np.random.seed(5)
    python_state, numpy_state = random.getstate(), np.random.get_state()
    policy = tf_keras.mixed_precision.global_policy()
    builder.build("lenet_300_100", MNIST, 10, precision="bfloat16")
    with pytest.raises(UsageError):
        builder.build("lenet_300_100", MNIST, 10, {"initializer": "gloriot_normal"}, 0, "bfloat16")
    assert random.getstate() == python_state
    assert all(
        np.array_equal(a, b) for a, b in zip(np.random.get_state(), numpy_state, strict=True)
    )
    assert tf_keras.mixed_precision.global_policy() is policy


def test_another_live_model_still_works_after_a_build():
    model = tf_keras.Sequential([tf_keras.layers.Dense(2, input_shape=(3,))])
    before = model(tf.ones((1, 3))).numpy()
    builder.build("lenet_300_100", MNIST, 10)
    assert np.array_equal(model(tf.ones((1, 3))).numpy(), before)
    assert model.predict(np.ones((1, 3)), verbose=0).shape == (1, 2)


@pytest.mark.parametrize("precision", ["bfloat16", "float16"])
def test_mixed_precision_keeps_float32_weights_and_logits(precision):
    model = builder.build("resnet_20", (8, 8, 3), 4, precision=precision)
    assert {w.dtype for w in model.get_weights()} == {np.dtype("float32")}
    assert model.get_layer("conv").compute_dtype == precision
    assert model(tf.zeros((1, 8, 8, 3))).dtype == tf.float32


USER = """
import tf_keras, tensorflow as tf

def dense(input_shape, num_classes, width=4):
    return tf_keras.Sequential([
        tf_keras.layers.Flatten(input_shape=input_shape),
        tf_keras.layers.Dense(width), tf_keras.layers.Dropout(0.5),
        tf_keras.layers.Dense(num_classes)])

def deferred(classes):
    return tf_keras.Sequential([tf_keras.layers.Flatten(), tf_keras.layers.Dense(classes)])

class Sub(tf_keras.Model):
    def __init__(self, classes):
        super().__init__()
        self.flat, self.head = tf_keras.layers.Flatten(), tf_keras.layers.Dense(classes)
        self.shift = tf.Variable(tf.random.normal((classes,)))
    def call(self, x):
        return self.head(self.flat(x)) + self.shift

def fixed_input():
    return tf_keras.Sequential([tf_keras.layers.Dense(3, input_shape=(5,))])

def spatial(input_shape, classes):
    return tf_keras.Sequential([tf_keras.layers.Dense(classes, input_shape=input_shape)])

def rigid(classes):
    return tf_keras.Sequential([tf_keras.layers.LSTM(classes)])

def needs(classes, width):
    return None

def keras3():
    import keras
    return keras.Sequential([keras.layers.Input((5,)), keras.layers.Dense(3)])

def keras3_layer():
    import keras
    return keras.layers.Dense(3)

def nothing():
    return None

number = 3
"""


@pytest.fixture
def user(tmp_path, monkeypatch):
    (tmp_path / "ltx_test_user.py").write_text(USER)
    (tmp_path / "ltx_test_broken.py").write_text("import no_such_module_at_all")
    monkeypatch.syspath_prepend(tmp_path)
    yield "ltx_test_user"
    sys.modules.pop("ltx_test_user", None)


@pytest.mark.parametrize("function", ["dense", "deferred", "Sub"])
def test_a_users_function_is_built_and_seeded(user, function):
    first = builder.build(f"{user}.{function}", (4, 4, 1), 3, seed=2)
    assert first.built
    assert first(tf.zeros((2, 4, 4, 1))).shape == (2, 3)
    tf.random.normal((3,))
    again = builder.build(f"{user}:{function}", (4, 4, 1), 3, seed=2)
    assert same(first.get_weights(), again.get_weights())
    assert [v.name for v in first.variables] == [v.name for v in again.variables]
    other = builder.build(f"{user}.{function}", (4, 4, 1), 3, seed=3)
    assert not same(first.get_weights(), other.get_weights())


def test_a_users_arguments_arrive(user):
    model = builder.build(f"{user}.dense", (4, 4, 1), 3, {"width": 9})
    assert model.layers[1].units == 9


def test_dropout_keeps_its_state_in_a_generator(user):
    dropout = builder.build(f"{user}.dense", (4, 4, 1), 3).layers[2]
    assert isinstance(dropout._random_generator._generator, tf.random.Generator)


ERRORS = [
    ("lenet_300", {}, "did you mean lenet_300_100"),
    ("no_such_package_at_all.models.f", {}, "cannot be imported (ModuleNotFoundError"),
    ("ltx_test_broken.f", {}, "no_such_module_at_all"),
    ("{user}.dens", {}, "did you mean dense"),
    ("{user}.number", {}, "is of type int; expected a function"),
    ("{user}.nothing", {}, "returned a NoneType; expected an uncompiled tf_keras model"),
    ("{user}.keras3", {}, "returned a Keras 3 Sequential; build it with tf_keras"),
    ("{user}.keras3_layer", {}, "returned a Keras 3 Dense; build it with tf_keras"),
    ("{user}.fixed_input", {}, "takes inputs of shape (None, 5)"),
    ("{user}.spatial", {}, "has outputs of shape (None, 4, 4, 3); expected (None, 3)"),
    ("{user}.rigid", {}, "cannot be built for inputs of shape (4, 4, 1)"),
    ("{user}.needs", {}, "missing a required argument: 'width'"),
    ("{user}.dense", {"widht": 3}, "did you mean width"),
    ("{user}.dense", {"num_classes": 3}, "follows from the data set"),
    ("resnet_50", {"stem": "cifra"}, "did you mean cifar"),
    ("conv_2", {"initializer": "glorot"}, "did you mean glorot_normal"),
    ("conv_2", {"initializer": 3}, "expected the name of a tf_keras initializer"),
]


@pytest.mark.parametrize(("name", "args", "text"), ERRORS)
def test_errors_are_one_line_and_name_the_remedy(user, name, args, text):
    with pytest.raises(UsageError) as caught:
        builder.build(name.replace("{user}", user), (4, 4, 1), 3, args)
    assert text in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("shape", "classes", "precision", "text"),
    [
        ((0, 4, 1), 3, "float32", "at least (1, 1, 1)"),
        ((4, 4), 3, "float32", "(height, width, channels)"),
        ((4, 4, 1), 0, "float32", "at least 1 class"),
        ((4, 4, 1), 3, "bfloat", "did you mean bfloat16"),
    ],
)
def test_impossible_tasks_are_refused(shape, classes, precision, text):
    with pytest.raises(UsageError) as caught:
        builder.build("conv_2", shape, classes, precision=precision)
    assert text in str(caught.value)
