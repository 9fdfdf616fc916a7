"""Blocks: layers with weights of their own, with stable names and dtypes."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ltx import UsageError
from ltx.backends.tf_keras.models import blocks

import tf_keras  # isort: skip


@pytest.mark.parametrize("shape", [(8, 8), (0, 8, 1), (8, 8, 1, 1)])
def test_an_image_has_height_width_and_channels(shape):
    with pytest.raises(UsageError, match="height, width, channels"):
        blocks.image_input(shape)


def test_an_unknown_initializer_shows_the_close_ones():
    with pytest.raises(UsageError, match="did you mean glorot_normal"):
        blocks.fresh("glorot_norml")
    with pytest.raises(
        UsageError, match=r"expected the name of a tf_keras initializer, .* HeNormal"
    ):
        blocks.fresh(tf_keras.initializers.HeNormal())


def test_two_layers_of_one_initializer_differ():
    x = blocks.image_input((4, 4, 2))
    y = blocks.conv_norm(x, 2, 3, "one", blocks.GLOROT_NORMAL)
    y = blocks.conv_norm(y, 2, 3, "two", blocks.GLOROT_NORMAL)
    one, two = (v for v in tf_keras.Model(x, y).trainable_variables if len(v.shape) == 4)
    assert not np.array_equal(one.numpy(), two.numpy())


def test_logits_are_float32_in_half_precision():
    before = tf_keras.mixed_precision.global_policy()
    tf_keras.mixed_precision.set_global_policy("mixed_bfloat16")
    try:
        x = blocks.dense(tf_keras.layers.Flatten()(blocks.image_input((2, 2, 1))), 3, "d", "zeros")
        assert x.dtype == "bfloat16"
        assert blocks.logits(x, 2, blocks.GLOROT_NORMAL).dtype == "float32"
    finally:
        tf_keras.mixed_precision.set_global_policy(before)


@given(height=st.integers(1, 9), width=st.integers(1, 9))
def test_a_pool_leaves_at_least_a_pixel(height, width):
    x = blocks.image_input((height, width, 1))
    halved = tuple(blocks.halve(x, "pool").shape[1:3])
    assert halved == ((height, width) if min(height, width) == 1 else (height // 2, width // 2))
