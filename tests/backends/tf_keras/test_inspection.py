"""Inspection: softmax endings and output layers, for every style of model."""

import dataclasses

import numpy as np
import output_models
import pytest
import tf_keras

import ltx
from ltx.backends.tf_keras.lab import KerasLab
from ltx.backends.tf_keras.masking import MaskedModel
from ltx.core.errors import UsageError
from ltx.data.dataset import InputSpec

IMAGE, CLASSES = (4, 4, 1), 3


def built(make):
    tf_keras.backend.reset_uids()
    model = make(IMAGE, CLASSES)
    if not model.built:
        model.build((None, *IMAGE))
    return model


def inspect(make):
    return MaskedModel(built(make), InputSpec(IMAGE))


@pytest.mark.parametrize("name", output_models.SOFTMAX)
def test_every_way_to_end_in_softmax_is_known(name):
    masked = inspect(output_models.SOFTMAX[name])
    before = [variable.numpy() for variable in masked.weights.values()]
    assert masked.inspection.ends_in_softmax
    for variable, value in zip(masked.weights.values(), before, strict=True):
        np.testing.assert_array_equal(variable, value)


@pytest.mark.parametrize("name", output_models.LOGITS)
def test_what_only_looks_like_softmax_is_none(name):
    inspection = inspect(output_models.LOGITS[name]).inspection
    assert not inspection.ends_in_softmax
    assert inspection.ends_in_log_softmax == (name == "log_softmax")


@pytest.mark.parametrize("name", output_models.LOG_SOFTMAX)
def test_every_way_to_end_in_log_softmax_is_known(name):
    inspection = inspect(output_models.LOG_SOFTMAX[name]).inspection
    assert inspection.ends_in_log_softmax
    assert not inspection.ends_in_softmax
    assert inspection.corrections == {}


def test_only_models_that_were_judged_otherwise_get_another_fingerprint():
    assert inspect(output_models.SOFTMAX["name"]).inspection.corrections == {}
    assert inspect(output_models.SOFTMAX["layer"]).inspection.corrections == {}
    assert inspect(output_models.logits).inspection.corrections == {}
    assert inspect(output_models.SOFTMAX["lambda"]).inspection.corrections == {"softmax": True}
    assert inspect(output_models.gated).inspection.corrections == {"softmax": False}


@pytest.mark.parametrize("name", ["by_function", "by_operation", "in_call", "log_softmax"])
def test_the_loss_of_probabilities_is_that_of_their_logits(name):
    recipe = ltx.Recipe(batch_size=30, length="24it", eval_every="24it")
    made, plain = (
        KerasLab(ltx.Task(model=f"output_models.{model}", recipe=recipe), 0)
        for model in (name, "logits")
    )
    assert plain.outputs_logits
    assert not made.outputs_logits
    start = plain.init()
    weights = {key: start.weights[key] for key in made.init().weights}
    given = made.init().replace(weights=weights)
    loss = made.evaluate(given, made.dense()).loss
    assert loss == pytest.approx(plain.evaluate(start, plain.dense()).loss, rel=1e-4)
    trained = made.train(given, made.dense()).history
    assert trained.loss == pytest.approx(plain.train(start, plain.dense()).history.loss, rel=1e-2)
    with pytest.raises(UsageError, match=r"ends in softmax.*leave its softmax away"):
        made.synaptic_flow(given, made.dense())


@pytest.mark.parametrize("name", output_models.HEADS)
def test_the_output_layers_are_the_last_ones_of_the_computation(name):
    make, expected = output_models.HEADS[name]
    masked = inspect(make)
    layers = masked.inspection.output_layers
    owners = {part for key in masked.head for part in key.split("/")[:-1]}
    assert expected <= owners <= {*expected, "inner", "lstm_cell", "head"}
    outputs = {weight.name for weight in masked.prunable if weight.is_output}
    assert outputs == set(masked.head) & masked.masks.keys()
    assert len(layers) == len(expected)
    body = [weight for weight in masked.prunable if not weight.is_output]
    assert body, "the body of the model is no output layer"


def test_two_layers_of_one_name_are_two_layers():
    masked = inspect(output_models.HEADS["same_names"][0])
    assert [w.is_output for w in masked.prunable] == [
        w.shape[-1] == CLASSES for w in masked.prunable
    ]
    assert len(masked.head) == 2


@pytest.mark.parametrize("name", output_models.UNCLEAR)
def test_an_unclear_output_layer_is_refused_with_the_setting(name):
    masked = inspect(output_models.UNCLEAR[name])
    with pytest.raises(UsageError, match=r"expected one output layer.*as in Task\.head = \('"):
        masked.prunable  # noqa: B018


def test_a_task_names_the_output_layer():
    recipe = ltx.Recipe(batch_size=30, length="24it", eval_every="24it")
    task = ltx.Task(model="output_models.of_two", recipe=recipe)
    with pytest.raises(UsageError, match=r"head/kernel, other/kernel.*Task\.head"):
        KerasLab(task, 0)
    named = KerasLab(dataclasses.replace(task, head=["other/kernel"]), 0)
    assert named.head == ("other/kernel", "other/bias")
    assert [w.name for w in named.prunable if w.is_output] == ["other/kernel"]
    with pytest.raises(UsageError, match=r"kernel in Task\.head.*'out/kernel'.*body/kernel"):
        KerasLab(dataclasses.replace(task, head=("out/kernel",)), 0)


def text_model(_shape, classes):
    words = tf_keras.Input((5,), dtype="int32")
    x = tf_keras.layers.Embedding(9, 4, name="words")(words)
    cells = [tf_keras.layers.GRUCell(3, name=name) for name in ("lower", "upper")]
    x = tf_keras.layers.RNN(cells, name="gru")(x)
    return tf_keras.Model(words, tf_keras.layers.Dense(classes, name="head")(x))


def sequence_model(shape, classes):
    images = tf_keras.Input(shape)
    cells = [tf_keras.layers.GRUCell(3, name=name) for name in ("lower", "upper")]
    x = tf_keras.layers.RNN(cells, name="gru")(tf_keras.layers.Reshape((4, 4))(images))
    return tf_keras.Model(images, tf_keras.layers.Dense(classes, name="head")(x))


def skipping(shape, classes):
    """The second layer reads the images beside the first; the third does not."""
    images = tf_keras.Input(shape)
    flat = tf_keras.layers.Flatten()(images)
    x = tf_keras.layers.Dense(6, "relu", name="one")(flat)
    x = tf_keras.layers.Dense(6, "relu", name="two")(tf_keras.layers.Concatenate()([flat, x]))
    x = x + tf_keras.layers.Dense(6, "relu", name="three")(x)
    return tf_keras.Model(images, tf_keras.layers.Dense(classes, name="head")(x))


def two_inputs(_shape, classes):
    numbers, words = tf_keras.Input((3,)), tf_keras.Input((2,), dtype="int32")
    x = tf_keras.layers.Dense(4, name="numbers")(tf_keras.layers.BatchNormalization()(numbers))
    y = tf_keras.layers.Flatten()(tf_keras.layers.Embedding(9, 2, name="words")(words))
    joined = tf_keras.layers.Dense(4, "relu", name="joined")(tf_keras.layers.Concatenate()([x, y]))
    return tf_keras.Model([numbers, words], tf_keras.layers.Dense(classes, name="head")(joined))


@pytest.mark.parametrize(
    ("make", "expected"),
    [
        (output_models.logits, {"body/kernel", "body/bias"}),
        (output_models.HEADS["nested"][0], {"body/kernel", "body/bias"}),
        (output_models.HEADS["first"][0], {"body/kernel", "body/bias"}),
        (output_models.HEADS["compiled_call"][0], {"body/kernel", "body/bias"}),
        (skipping, {"one/kernel", "one/bias", "two/kernel", "two/bias"}),
        (text_model, {"words/embeddings"}),
        (two_inputs, {"numbers/kernel", "numbers/bias", "words/embeddings"}),
    ],
)
def test_the_stem_is_what_reads_the_inputs(make, expected):
    assert set(MaskedModel(built(make)).stem) == expected


def test_of_a_loop_over_two_layers_the_lower_one_reads_the_inputs():
    stem = MaskedModel(sequence_model(IMAGE, CLASSES)).stem
    assert {name.split("/")[-2] for name in stem} == {"lower"}
    assert len(stem) == 3
