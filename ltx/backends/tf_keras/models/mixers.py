"""MLP-Mixers."""

import tf_keras

from ltx.backends.tf_keras.models.blocks import GLOROT_NORMAL, Shape, logits
from ltx.backends.tf_keras.models.sequences import check_whole
from ltx.backends.tf_keras.models.transformers import mixed, normed, patches

layers = tf_keras.layers


def mlp_mixer(
    input_shape: Shape,
    classes: int,
    patch: int = 4,
    width: int = 128,
    depth: int = 8,
    token_units: int = 64,
    channel_units: int = 512,
    initializer: str = GLOROT_NORMAL,
) -> tf_keras.Model:
    """An MLP-Mixer: 8 blocks of width 128, patches of 4x4; 1.1M weights on CIFAR-10.

    A quarter of the paper's Mixer-S in every size, for small images.

    Reference: Tolstikhin et al. 2021, https://arxiv.org/abs/2105.01601, table 1.
    """
    check_whole("mlp_mixer", depth=depth, token_units=token_units, channel_units=channel_units)
    image, x = patches("mlp_mixer", input_shape, patch, width, initializer)
    for number in range(1, depth + 1):
        name = f"block_{number}"
        y = layers.Permute((2, 1), name=f"{name}_across")(normed(x, f"{name}_norm1"))
        y = mixed(y, token_units, f"{name}_tokens", initializer)
        x = layers.Add(name=f"{name}_sum1")([x, layers.Permute((2, 1), name=f"{name}_back")(y)])
        y = mixed(normed(x, f"{name}_norm2"), channel_units, f"{name}_channels", initializer)
        x = layers.Add(name=f"{name}_sum2")([x, y])
    x = layers.GlobalAveragePooling1D(name="mean")(normed(x, "norm"))
    return tf_keras.Model(image, logits(x, classes, initializer), name="mlp_mixer")
