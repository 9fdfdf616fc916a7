"""Catalogue: every model has a sentence, a reference and the size it is said to have."""

import inspect
import math
import re

import numpy as np
import pytest

from ltx import UsageError
from ltx.backends.tf_keras.masking import MaskedModel
from ltx.backends.tf_keras.models import builder
from ltx.backends.tf_keras.models.catalogue import BUILDERS
from ltx.data.dataset import InputSpec

SIGNAL, TEXT = InputSpec((40,), "float32"), InputSpec((14,), "int32", 50)
LINES, IMAGE = InputSpec((64,), "int32", 63), InputSpec((32, 32, 3))
PIXELS, STEPS = InputSpec((8, 8, 1)), InputSpec((6, 3), "float32")
BOTH = {"bidirectional": True}

# name, input, outputs, arguments, parameters, weights of kinds
SIZES = [
    ("mlp", SIGNAL, (10,), {"widths": (100, 100), "residual": True}, 15_210, {"dense": 15_000}),
    ("conv1d", SIGNAL, (10,), {}, 5_210, {"conv": 3_875, "dense": 1_250}),
    (
        *("conv1d", TEXT, (5,), {"filters": (64, 64), "sizes": (3, 3)}, 16_613),
        {"embedding": 800, "conv": 15_360, "dense": 320},
    ),
    (
        *("gru", SIGNAL, (10,), {"units": 6, "read": "all", **BOTH}, 5_134),
        {"recurrent": 252, "dense": 4_800},
    ),
    ("gru", TEXT, (5,), {}, 16_869, {"embedding": 800, "recurrent": 15_360, "dense": 320}),
    ("lstm", TEXT, (5,), {}, 21_861, {"embedding": 800, "recurrent": 20_480, "dense": 320}),
    (
        *("text_transformer", TEXT, (5,), {}, 19_365),
        {"embedding": 1_600, "attention": 8_192, "dense": 8_352},
    ),
    ("char_lm", LINES, (64, 63), {}, 24_927, {"embedding": 2_016, "recurrent": 18_432}),
    (
        *("char_lm", LINES, (64, 63), {"body": "transformer", "depth": 2}, 112_319),
        {"embedding": 4_032, "attention": 32_768},
    ),
    ("vit_tiny", IMAGE, (10,), {}, 5_362_378, {"attention": 1_769_472}),
    ("mlp_mixer", IMAGE, (10,), {}, 1_132_170, {"dense": 1_121_536}),
]


@pytest.mark.parametrize("row", SIZES, ids=lambda row: f"{row[0]}-{row[4]}")
def test_sizes_kinds_and_outputs(row):
    name, inputs, outputs, args, parameters, kinds = row
    masked = MaskedModel(builder.build_for(name, inputs, outputs, args), inputs)
    assert masked.model.count_params() == parameters
    assert masked.unprunable == {}
    found = {}
    for weight in masked.prunable:
        found[weight.kind] = found.get(weight.kind, 0) + weight.size
    assert found.items() >= kinds.items()
    assert [weight.name for weight in masked.prunable if weight.is_output] == ["logits/kernel"]
    steps = {weight.uses for weight in masked.prunable if weight.kind == "recurrent"}
    assert steps <= {inputs.shape[0]}


def test_every_model_is_described_in_one_sentence_with_its_size():
    assert {"mlp", "conv1d", "gru", "lstm", "char_lm", "mobilenet_v2"} <= set(builder.names())
    for name, sentence in builder.names().items():
        assert sentence.endswith("."), name
        assert "\n" not in sentence
        assert re.search(r"\d", sentence), name
        assert "Reference:" in inspect.getdoc(BUILDERS[name])


@pytest.mark.parametrize("name", ["gru", "lstm", "conv1d", "text_transformer"])
@pytest.mark.parametrize("read", ["", "all", "max", "mean"])
def test_padding_changes_nothing(name, read):
    args = {"read": read, **(BOTH if name in ("gru", "lstm") else {})} if read else {}
    if name == "text_transformer":
        args = {}
    outputs = []
    short = np.array([[5, 3, 7, 2]], np.int32)
    models = [
        builder.build_for(name, InputSpec((n,), "int32", 9), (3,), args, seed=1) for n in (4, 7)
    ]
    if read == "all" or name == "text_transformer":
        models[0] = models[1]  # its weights depend on the length; then only dirt behind counts
    if read != "all" and name != "text_transformer":
        models[0].set_weights(models[1].get_weights())
        outputs = [models[0](short), models[1](np.pad(short, ((0, 0), (0, 3))))]
        np.testing.assert_allclose(*outputs, atol=1e-6)
        return
    embedding = models[0].get_layer("embedding").embeddings
    padded = np.pad(short, ((0, 0), (0, 3)))
    before = models[0](padded).numpy()
    embedding.assign(np.concatenate([embedding[:1] + 9, embedding[1:]]))  # the row of padding
    np.testing.assert_allclose(models[0](padded), before, atol=1e-6)


@pytest.mark.parametrize("body", ["gru", "lstm", "transformer"])
def test_a_language_model_sees_no_later_token(body):
    model = builder.build_for("char_lm", InputSpec((6,), "int32", 9), (6, 9), {"body": body})
    one, other = np.array([[1, 2, 3, 4, 5, 6]]), np.array([[1, 2, 3, 8, 7, 2]])
    np.testing.assert_allclose(model(one)[:, :3], model(other)[:, :3], atol=1e-6)
    assert not np.allclose(model(one)[:, 3:], model(other)[:, 3:])


def test_patches_are_squares_of_the_image():
    model = builder.build("mlp_mixer", (4, 6, 1), 2, {"patch": 2, "depth": 1})
    image = np.arange(24, dtype=np.float32).reshape(1, 4, 6, 1)
    found = model.get_layer("patches")(image).numpy()
    assert found[0].tolist()[1] == [2, 3, 8, 9]
    assert found.shape == (1, 6, 4)


BAD = [
    ("gru", IMAGE, {}, "reads sequences of shape"),
    ("text_transformer", SIGNAL, {}, "reads tokens"),
    ("gru", TEXT, {"read": "lats"}, "did you mean last"),
    ("conv1d", TEXT, {"read": "men"}, "did you mean"),
    ("lstm", TEXT, {"units": 0}, "expected a whole number of at least 1 as units, got 0"),
    ("conv1d", SIGNAL, {"sizes": (3,)}, "as many sizes as filters"),
    ("text_transformer", TEXT, {"heads": 5}, "heads that divide width 32"),
    ("vit_tiny", PIXELS, {"patch": 3}, "a patch that divides images of \\(8, 8\\)"),
    ("mobilenet_v2", PIXELS, {"width": -1}, "width"),
]


@pytest.mark.parametrize(("name", "inputs", "args", "text"), BAD)
def test_bad_arguments_are_refused_in_one_line(name, inputs, args, text):
    with pytest.raises(UsageError, match=text) as error:
        builder.build_for(name, inputs, (3,), args)
    assert "\n" not in str(error.value)


def test_models_are_saved_and_loaded(tmp_path):
    import tf_keras

    for name, inputs, args in (
        ("gru", TEXT, BOTH),
        ("text_transformer", TEXT, {}),
        ("vit_tiny", PIXELS, {"depth": 1, "width": 6}),
        ("conv1d", TEXT, {}),
    ):
        model = builder.build_for(name, inputs, (3,), args)
        path = tmp_path / f"{name}.keras"
        model.save(path)
        again = tf_keras.models.load_model(path)
        given = np.ones((2, *inputs.shape), inputs.fed)
        np.testing.assert_array_equal(model(given), again(given))


def test_positions_are_not_pruned_and_no_fault_of_the_model():
    model = builder.build_for("vit_tiny", PIXELS, (3,), {"depth": 1, "width": 6})
    masked = MaskedModel(model, PIXELS)
    assert "positions/embeddings" in masked.weights
    assert "positions/embeddings" not in masked.masks
    assert "every weight of rank 2 or more is among them" in masked.coverage()
    assert math.prod(masked.weights["positions/embeddings"].shape) == 24
