"""Transformers for texts and images, of layers that TF-MOT can wrap."""

import tensorflow as tf
import tf_keras

from ltx.backends.tf_keras.models.blocks import GLOROT_NORMAL, Shape, fresh, image_input, logits
from ltx.backends.tf_keras.models.layers import (
    Attention,
    MaskedMean,
    Patches,
    Positions,
    Projection,
)
from ltx.backends.tf_keras.models.sequences import check_whole, sequence
from ltx.core.errors import UsageError

layers = tf_keras.layers


def text_transformer(
    input_shape: tuple[int, ...],
    classes: int,
    vocabulary: int,
    width: int = 32,
    depth: int = 2,
    heads: int = 2,
    expansion: int = 2,
    dropout: float = 0.0,
    initializer: str = GLOROT_NORMAL,
) -> tf_keras.Model:
    """A transformer that classifies texts: 2 blocks of width 32; 19.4K weights for 50 tokens.

    Layers are normalised before each block; the output layer reads the mean over all tokens.

    Reference: Vaswani et al. 2017, https://arxiv.org/abs/1706.03762.
    """
    start = sequence("text_transformer", input_shape, vocabulary, width)
    check_heads("text_transformer", width, heads)
    check_whole("text_transformer", depth=depth, expansion=expansion)
    x = Positions(name="positions")(start.vectors)
    for number in range(1, depth + 1):
        x = block(
            x, heads, expansion, f"block_{number}", initializer, kept=start.kept, dropout=dropout
        )
    x = MaskedMean(name="mean")([normed(x, "norm"), start.kept])
    return tf_keras.Model(start.inputs, logits(x, classes, initializer), name="text_transformer")


def vit_tiny(
    input_shape: Shape,
    classes: int,
    patch: int = 4,
    width: int = 192,
    depth: int = 12,
    heads: int = 3,
    expansion: int = 4,
    dropout: float = 0.0,
    initializer: str = GLOROT_NORMAL,
) -> tf_keras.Model:
    """ViT-Ti, a vision transformer: 12 blocks of width 192, patches of 4; 5.4M on CIFAR-10.

    The output layer reads the mean over all patches instead of a class token.

    Reference: Dosovitskiy et al. 2020, https://arxiv.org/abs/2010.11929; Touvron et al. 2020,
    https://arxiv.org/abs/2012.12877, table 1 (sizes).
    """
    check_heads("vit_tiny", width, heads)
    check_whole("vit_tiny", depth=depth, expansion=expansion)
    image, x = patches("vit_tiny", input_shape, patch, width, initializer)
    x = Positions(name="positions")(x)
    for number in range(1, depth + 1):
        x = block(x, heads, expansion, f"block_{number}", initializer, dropout=dropout)
    x = layers.GlobalAveragePooling1D(name="mean")(normed(x, "norm"))
    return tf_keras.Model(image, logits(x, classes, initializer), name="vit_tiny")


def block(
    x: tf.Tensor,
    heads: int,
    expansion: int,
    name: str,
    initializer: str,
    *,
    kept: tf.Tensor | None = None,
    causal: bool = False,
    dropout: float = 0.0,
) -> tf.Tensor:
    """Attention and two dense layers, each normalised before and added to what it reads."""
    width = int(x.shape[-1])

    def projected(y: tf.Tensor, part: str) -> tf.Tensor:
        return Projection(width, kernel_initializer=fresh(initializer), name=f"{name}_{part}")(y)

    y = normed(x, f"{name}_norm1")
    given = [projected(y, part) for part in ("query", "key", "value")]
    given += [] if kept is None else [kept]
    y = projected(Attention(heads, causal, name=f"{name}_attention")(given), "output")
    x = _added(x, y, f"{name}_sum1", dropout)
    y = normed(x, f"{name}_norm2")
    y = mixed(y, expansion * width, f"{name}_dense", initializer)
    return _added(x, y, f"{name}_sum2", dropout)


def mixed(x: tf.Tensor, units: int, name: str, initializer: str) -> tf.Tensor:
    """Two dense layers along the last axis, GELU between them, with as many outputs as inputs."""
    width = int(x.shape[-1])
    x = layers.Dense(
        units, activation="gelu", kernel_initializer=fresh(initializer), name=f"{name}1"
    )(x)
    return layers.Dense(width, kernel_initializer=fresh(initializer), name=f"{name}2")(x)


def normed(x: tf.Tensor, name: str) -> tf.Tensor:
    """Layer normalisation."""
    # With an epsilon this small tf_keras does not use the BatchNorm kernel for it.
    return layers.LayerNormalization(epsilon=1e-5, name=name)(x)


def patches(
    model: str, shape: Shape, size: int, width: int, initializer: str
) -> tuple[tf.Tensor, tf.Tensor]:
    """The image input and its patches as vectors of this width."""
    check_whole(model, patch=size, width=width)
    image = image_input(shape)
    if shape[0] % size or shape[1] % size:
        raise UsageError(
            f"model {model!r}: expected a patch that divides images of {tuple(shape[:2])}, got"
            f" {size}"
        )
    x = Patches(size, name="patches")(image)
    return image, layers.Dense(width, kernel_initializer=fresh(initializer), name="patch_dense")(x)


def check_heads(model: str, width: int, heads: int) -> None:
    """Raise UsageError unless the width divides among the heads."""
    check_whole(model, width=width, heads=heads)
    if width % heads:
        raise UsageError(f"model {model!r}: expected heads that divide width {width}, got {heads}")


def _added(x: tf.Tensor, y: tf.Tensor, name: str, dropout: float) -> tf.Tensor:
    if dropout:
        y = layers.Dropout(dropout, name=f"{name}_dropout")(y)
    return layers.Add(name=name)([x, y])
