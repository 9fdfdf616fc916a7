"""Convnets: the sizes of the papers, for any image, under stable names."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ltx.backends.tf_keras.models import builder
from ltx.backends.tf_keras.models.catalogue import BUILDERS

import tensorflow as tf  # isort: skip
import tf_keras  # isort: skip

MNIST, CIFAR, IMAGENET = (28, 28, 1), (32, 32, 3), (224, 224, 3)

# name, natural input, classes, weights of rank >= 2, trainable parameters
SIZES = [
    ("lenet_300_100", MNIST, 10, 266_200, 266_610),
    ("conv_2", CIFAR, 10, 4_300_992, 4_301_642),
    ("conv_4", CIFAR, 10, 2_425_024, 2_425_930),
    ("conv_6", CIFAR, 10, 2_261_184, 2_262_602),
    ("resnet_20", CIFAR, 10, 270_896, 272_474),
    ("convnet", MNIST, 10, 23_824, 24_058),
    ("vgg_11", CIFAR, 10, 9_222_848, 9_228_362),
    ("resnet_32", CIFAR, 10, 464_432, 466_906),
    ("resnet_56", CIFAR, 10, 851_504, 855_770),
    ("vgg_16", CIFAR, 10, 14_715_584, 14_724_042),
    ("vgg_19", CIFAR, 10, 20_024_000, 20_035_018),
    ("resnet_50", IMAGENET, 1000, 25_502_912, 25_557_032),
    ("resnet_18", CIFAR, 10, 11_164_352, 11_173_962),
    ("mobilenet_v2", CIFAR, 10, 2_202_560, 2_236_682),
]
SMALL = [row[0] for row in SIZES[:7]]


def size(variables):
    return sum(int(np.prod(v.shape)) for v in variables)


def check_size(name, shape, classes, weights, parameters):
    model = builder.build(name, shape, classes)
    assert size(v for v in model.trainable_variables if len(v.shape) > 1) == weights
    assert size(model.trainable_variables) == parameters
    logits = model(tf.zeros((1, *shape)), training=False)
    assert logits.shape == (1, classes)
    assert logits.dtype == tf.float32


@pytest.mark.parametrize("row", SIZES[:7], ids=lambda row: row[0])
def test_sizes_are_the_papers(row):
    check_size(*row)


@pytest.mark.slow
@pytest.mark.parametrize("row", SIZES[7:], ids=lambda row: row[0])
def test_sizes_are_the_papers_large(row):
    check_size(*row)


@settings(max_examples=12, deadline=None)
@given(
    name=st.sampled_from(["lenet_300_100", "conv_6", "convnet", "vgg_11", "resnet_20"]),
    height=st.integers(1, 12),
    width=st.integers(1, 12),
    classes=st.integers(1, 5),
)
def test_any_image_size_gives_finite_logits(name, height, width, classes):
    model = builder.build(name, (height, width, 2), classes)
    logits = model(tf.ones((2, height, width, 2)), training=False).numpy()
    assert logits.shape == (2, classes)
    assert np.isfinite(logits).all()


def test_layer_names_are_stable_and_explicit():
    for name in SMALL:
        first = [layer.name for layer in builder.build(name, (8, 8, 3), 4).layers]
        tf_keras.layers.Conv2D(1, 1)
        assert [layer.name for layer in BUILDERS[name]((8, 8, 3), 4).layers] == first
