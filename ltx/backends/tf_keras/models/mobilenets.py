"""MobileNets."""

import tensorflow as tf
import tf_keras

from ltx.backends.tf_keras.models.blocks import GLOROT_NORMAL, Shape, fresh, image_input, logits
from ltx.core.validation import check_number

layers = tf_keras.layers

# Expansion, channels, number of blocks and stride of the first, of each stage.
_STAGES = (
    (1, 16, 1, 1),
    (6, 24, 2, 2),
    (6, 32, 3, 2),
    (6, 64, 4, 2),
    (6, 96, 3, 1),
    (6, 160, 3, 2),
    (6, 320, 1, 1),
)
_SMALL = 64  # pixels; images with a smaller side keep their size in the stem and the second stage


def mobilenet_v2(
    input_shape: Shape, classes: int, width: float = 1.0, initializer: str = GLOROT_NORMAL
) -> tf_keras.Model:
    """MobileNetV2: inverted residuals of depthwise convolutions; 2.2M weights on CIFAR-10.

    `width` multiplies the channels of all layers, rounded to multiples of 8; the last convolution
    is not made narrower than 1280. Images with a side under 64 pixels are not made smaller by the
    first convolution and the second stage.

    Reference: Sandler et al. 2018, https://arxiv.org/abs/1801.04381, table 2.
    """
    check_number("model 'mobilenet_v2': width", width, above=0)
    image = image_input(input_shape)
    small = min(input_shape[:2]) < _SMALL
    x = _conv(image, _channels(32, width), 3, "conv", initializer, stride=1 if small else 2)
    for stage, (expansion, channels, count, stride) in enumerate(_STAGES, start=1):
        for number in range(1, count + 1):
            step = stride if number == 1 and not (small and stage == 2) else 1
            name = f"stage{stage}_block{number}"
            x = _block(x, expansion, _channels(channels, width), step, name, initializer)
    x = _conv(x, _channels(1280, max(1.0, width)), 1, "last_conv", initializer)
    x = layers.GlobalAveragePooling2D(name="pool")(x)
    return tf_keras.Model(image, logits(x, classes, initializer), name="mobilenet_v2")


def _block(
    x: tf.Tensor, expansion: int, channels: int, stride: int, name: str, init: str
) -> tf.Tensor:
    before, y = int(x.shape[-1]), x
    if expansion > 1:
        y = _conv(y, expansion * before, 1, f"{name}_expand", init)
    y = layers.DepthwiseConv2D(
        3,
        stride,
        padding="same",
        use_bias=False,
        depthwise_initializer=fresh(init),
        name=f"{name}_depthwise",
    )(y)
    y = _normed(y, f"{name}_depthwise")
    y = _conv(y, channels, 1, f"{name}_project", init, relu=False)
    return layers.Add(name=f"{name}_add")([x, y]) if stride == 1 and channels == before else y


def _conv(
    x: tf.Tensor,
    filters: int,
    size: int,
    name: str,
    init: str,
    *,
    stride: int = 1,
    relu: bool = True,
) -> tf.Tensor:
    x = layers.Conv2D(
        filters,
        size,
        stride,
        padding="same",
        use_bias=False,
        kernel_initializer=fresh(init),
        name=name,
    )(x)
    return _normed(x, name, relu)


def _normed(x: tf.Tensor, name: str, relu: bool = True) -> tf.Tensor:
    """BatchNorm and, if `relu`, ReLU with values up to 6."""
    x = layers.BatchNormalization(momentum=0.9, epsilon=1e-5, name=f"{name}_norm")(x)
    return layers.ReLU(6.0, name=f"{name}_relu")(x) if relu else x


def _channels(count: int, width: float) -> int:
    """The nearest multiple of 8, at most a tenth below the product."""
    wanted = count * width
    nearest = max(8, int(wanted + 4) // 8 * 8)
    return nearest + 8 if nearest < 0.9 * wanted else nearest
