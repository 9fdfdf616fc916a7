"""What the sparse engine does not know is refused in one line, before anything trains."""

import subprocess
import sys
import textwrap

import pytest
import tf_keras
from array_tasks import array_task

import ltx
from ltx.backends.sparse.network import Layer
from ltx.backends.tf_keras import sparse_model
from ltx.backends.tf_keras.lab import KerasLab
from ltx.backends.tf_keras.masking import MaskedModel
from ltx.core.engine import Engine
from ltx.core.errors import UsageError

layers = tf_keras.layers


def read(*inner, shape=(6,)):
    return sparse_model.read(MaskedModel(tf_keras.Sequential([layers.Input(shape), *inner])))


def test_a_chain_of_dense_layers_is_read_with_its_activations():
    network = read(
        layers.Flatten(),
        layers.Dense(5, "relu", name="one"),
        layers.Dense(4, layers.LeakyReLU(0.25), name="two", use_bias=False),
        layers.Dense(3, name="three"),
        layers.ReLU(negative_slope=0.5),
        layers.Dense(2, "tanh", name="four"),
        layers.Flatten(),
        layers.Dense(3, name="five"),
        layers.Activation("linear"),
        shape=(3, 2, 1),
    )
    assert network == (
        Layer("one/kernel", "one/bias", 6, 5, 0.0),
        Layer("two/kernel", "", 5, 4, 0.25),
        Layer("three/kernel", "three/bias", 4, 3, 0.5),
        Layer("four/kernel", "four/bias", 3, 2, 1.0, tanh=True),
        Layer("five/kernel", "five/bias", 2, 3),
    )


def frozen():
    layer = layers.Dense(4)
    layer.trainable = False
    return layer


L2 = tf_keras.regularizers.L2(0.1)


# Layers are made in the test: the names of those made at import may be given to others meanwhile.
@pytest.mark.parametrize(
    ("inner", "named"),
    [
        (lambda: [layers.Dense(4, "gelu")], "activation gelu"),
        (lambda: [layers.Dense(4), layers.ReLU(max_value=6)], "a ReLU"),
        (lambda: [layers.Dense(4, "relu"), layers.LeakyReLU()], "a LeakyReLU"),
        (lambda: [layers.Dense(4, layers.LeakyReLU(-0.1))], "activation LeakyReLU"),
        (lambda: [layers.Dense(4), layers.Dropout(0.5)], "a Dropout"),
        (lambda: [layers.Dense(4), layers.BatchNormalization()], "a BatchNormalization"),
        (lambda: [layers.ReLU(), layers.Dense(4)], "a ReLU"),
        (lambda: [layers.Dense(4, kernel_regularizer=L2)], "a constraint or regularizer"),
        (lambda: [layers.Dense(4, activity_regularizer=L2)], "a constraint or regularizer"),
        (lambda: [layers.Dense(4, kernel_constraint="non_neg")], "a constraint or regularizer"),
        (lambda: [layers.Dense(4, dtype="bfloat16")], "in bfloat16"),
        (lambda: [frozen()], "not trained"),
        (lambda: [tf_keras.Sequential([layers.Dense(4)])], "a Sequential"),
    ],
)
def test_a_layer_that_is_not_known_is_named(inner, named):
    with pytest.raises(sparse_model.UnknownError, match=named):
        read(*inner(), layers.Dense(3))


def test_what_is_no_chain_is_not_known():
    inputs = layers.Input((4,))
    shared = layers.Dense(4)
    added = layers.Add()([inputs, layers.Dense(4)(inputs)])
    for outputs, named in (
        (layers.Dense(2)(added), "several inputs"),
        (layers.Dense(2)(shared(shared(inputs))), "uses a layer twice"),
        (layers.Dense(2)(layers.Dense(2)(layers.Reshape((2, 2))(inputs))), "a Reshape"),
        (layers.Flatten()(inputs), "without Dense layers"),
    ):
        model = tf_keras.Model(inputs, outputs)
        with pytest.raises(sparse_model.UnknownError, match=named):
            sparse_model.read(MaskedModel(model))
    images = layers.Input((2, 3))
    model = tf_keras.Model(images, layers.Dense(2)(images))
    with pytest.raises(sparse_model.UnknownError, match="inputs of shape"):
        sparse_model.read(MaskedModel(model))


class OwnCode(tf_keras.Model):
    def call(self, inputs, training=None, mask=None):
        return 2 * super().call(inputs, training=training, mask=mask)


def test_a_model_with_code_of_its_own_is_not_known():
    inputs = layers.Input((4,))
    model = OwnCode(inputs, layers.Dense(2)(inputs))
    with pytest.raises(sparse_model.UnknownError, match="code of its own"):
        sparse_model.read(MaskedModel(model))


def refusal(task=ltx.Task(), **engine):  # noqa: B008 (frozen)
    with pytest.raises(UsageError) as caught:
        KerasLab(task, 0, engine=Engine(sparse="always", **engine))
    text = str(caught.value)
    assert text.startswith("Engine.sparse = 'always': expected ")
    assert text.endswith("set Engine.sparse = 'never'")
    assert "\n" not in text
    return text


@pytest.mark.parametrize(
    ("engine", "named"),
    [
        ({"precision": "float16"}, "Engine.precision = 'float16'"),
        ({"precision": "bfloat16"}, "Engine.precision = 'bfloat16'"),
        ({"strategy": "mirrored"}, "Engine.strategy = 'mirrored'"),
        ({"resident_mb": 0}, "Engine.resident_mb = 0"),
    ],
)
def test_engines_that_it_does_not_have(engine, named):
    assert named in refusal(**engine)


def test_models_recipes_and_objectives_that_it_does_not_know(tmp_path):
    assert "a Conv2D" in refusal(ltx.Task(model="tiny.normed"))
    assert "ends in softmax" in refusal(ltx.Task(model="tiny.ends_in_softmax"))
    assert "Recipe.augment" in refusal(ltx.Task(recipe=ltx.Recipe(augment="crop_flip")))
    assert "Task.objective = MultiLabel()" in refusal(array_task("multi_label", tmp_path))
    with pytest.raises(UsageError, match=r"Engine\.sparse"):
        Engine(sparse="sometimes")


def test_a_sibling_that_it_does_not_know_is_refused_as_well():
    lab = KerasLab(ltx.Task(), 0, engine=Engine(sparse="always"))
    with pytest.raises(UsageError, match="a Conv2D"):
        lab.on(model="tiny.normed")


def test_without_numba_the_remedy_is_named_and_the_dense_engine_works():
    code = """
        import sys
        sys.modules["numba"] = None
        import ltx
        from ltx.backends.tf_keras.lab import KerasLab
        from ltx.core.engine import Engine
        task = ltx.Task(recipe=ltx.Recipe(length="2it"))
        lab = KerasLab(task, 0)
        lab.train(lab.init(), lab.dense())
        KerasLab(task, 0, engine=Engine(sparse="always"))
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)], capture_output=True, text=True, check=False
    )
    assert "expected numba, got no module 'numba'" in done.stderr.splitlines()[-1]
    assert "pip install 'ltx-lottery[sparse]'" in done.stderr.splitlines()[-1]
