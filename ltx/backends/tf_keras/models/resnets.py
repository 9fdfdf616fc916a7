"""The ResNets of the lottery-ticket papers."""

from collections.abc import Callable, Sequence

import tensorflow as tf
import tf_keras

from ltx.backends.tf_keras.models.blocks import GLOROT_NORMAL, Shape, conv_norm, image_input, logits
from ltx.core.errors import unknown


def _basic_block(x: tf.Tensor, filters: int, stride: int, name: str, init: str) -> tf.Tensor:
    y = conv_norm(x, filters, 3, f"{name}_conv1", init, stride=stride)
    y = conv_norm(y, filters, 3, f"{name}_conv2", init, relu=False)
    return _join(x, y, stride, name, init)


def _bottleneck(x: tf.Tensor, filters: int, stride: int, name: str, init: str) -> tf.Tensor:
    y = conv_norm(x, filters, 1, f"{name}_conv1", init)
    y = conv_norm(y, filters, 3, f"{name}_conv2", init, stride=stride)
    y = conv_norm(y, 4 * filters, 1, f"{name}_conv3", init, relu=False)
    return _join(x, y, stride, name, init)


def _join(x: tf.Tensor, y: tf.Tensor, stride: int, name: str, init: str) -> tf.Tensor:
    if stride > 1 or x.shape[-1] != y.shape[-1]:
        x = conv_norm(x, y.shape[-1], 1, f"{name}_shortcut", init, stride=stride, relu=False)
    x = tf_keras.layers.Add(name=f"{name}_add")([x, y])
    return tf_keras.layers.ReLU(name=f"{name}_relu")(x)


def _stages(
    x: tf.Tensor,
    block: Callable[..., tf.Tensor],
    widths: Sequence[int],
    depths: Sequence[int],
    init: str,
) -> tf.Tensor:
    for stage, (filters, depth) in enumerate(zip(widths, depths, strict=True), start=1):
        for number in range(1, depth + 1):
            stride = 2 if stage > 1 and number == 1 else 1
            x = block(x, filters, stride, f"stage{stage}_block{number}", init)
    return tf_keras.layers.GlobalAveragePooling2D(name="pool")(x)


def _stem(name: str, image: tf.Tensor, stem: str, init: str) -> tf.Tensor:
    if stem not in ("auto", "cifar", "imagenet"):
        raise unknown(f"stem of model {name!r}", stem, ("auto", "cifar", "imagenet"))
    if stem == "cifar" or (stem == "auto" and min(image.shape[1:3]) < 64):
        return conv_norm(image, 64, 3, "conv", init)
    x = conv_norm(image, 64, 7, "conv", init, stride=2)
    return tf_keras.layers.MaxPool2D(3, 2, padding="same", name="stem_pool")(x)


def _cifar_resnet(depth: int, input_shape: Shape, classes: int, init: str) -> tf_keras.Model:
    image = image_input(input_shape)
    x = conv_norm(image, 16, 3, "conv", init)
    x = _stages(x, _basic_block, (16, 32, 64), [(depth - 2) // 6] * 3, init)
    return tf_keras.Model(image, logits(x, classes, init), name=f"resnet_{depth}")


def resnet_20(input_shape: Shape, classes: int, initializer: str = GLOROT_NORMAL) -> tf_keras.Model:
    """ResNet-20 for small images: three stages of 16, 32, 64; 274K parameters on CIFAR-10.

    Shortcuts that change shape are 1x1 projections, here and in resnet_32 and resnet_56, as in
    the lottery-ticket papers and open_lth: 274K is the count with them.

    Reference: He et al. 2015, https://arxiv.org/abs/1512.03385, section 4.2.
    """
    return _cifar_resnet(20, input_shape, classes, initializer)


def resnet_32(input_shape: Shape, classes: int, initializer: str = GLOROT_NORMAL) -> tf_keras.Model:
    """ResNet-32 for small images: three stages of 16, 32, 64; 0.47M parameters on CIFAR-10.

    Reference: He et al. 2015, https://arxiv.org/abs/1512.03385, section 4.2.
    """
    return _cifar_resnet(32, input_shape, classes, initializer)


def resnet_56(input_shape: Shape, classes: int, initializer: str = GLOROT_NORMAL) -> tf_keras.Model:
    """ResNet-56 for small images: three stages of 16, 32, 64; 0.86M parameters on CIFAR-10.

    Reference: He et al. 2015, https://arxiv.org/abs/1512.03385, section 4.2.
    """
    return _cifar_resnet(56, input_shape, classes, initializer)


def resnet_18(
    input_shape: Shape, classes: int, initializer: str = GLOROT_NORMAL, stem: str = "auto"
) -> tf_keras.Model:
    """ResNet-18 with basic blocks; 11.2M parameters on CIFAR-10.

    `stem` is "imagenet" (7x7 stride 2, then a 3x3 pool of stride 2), "cifar" (3x3 stride 1, as the
    lottery-ticket papers have it) or "auto": cifar when a side is under 64 pixels. Papers that say
    ResNet-18 and have 274K parameters mean resnet_20.

    Reference: He et al. 2015, https://arxiv.org/abs/1512.03385, table 1.
    """
    image = image_input(input_shape)
    x = _stem("resnet_18", image, stem, initializer)
    x = _stages(x, _basic_block, (64, 128, 256, 512), (2, 2, 2, 2), initializer)
    return tf_keras.Model(image, logits(x, classes, initializer), name="resnet_18")


def resnet_50(
    input_shape: Shape, classes: int, initializer: str = GLOROT_NORMAL, stem: str = "auto"
) -> tf_keras.Model:
    """ResNet-50 with bottleneck blocks; 25.6M parameters on ImageNet.

    The stride sits in the 3x3 convolution ("v1.5"). `stem` is "imagenet" (7x7 stride 2, then a
    3x3 pool of stride 2), "cifar" (3x3 stride 1) or "auto": cifar when a side is under 64 pixels.

    Reference: He et al. 2015, https://arxiv.org/abs/1512.03385, table 1.
    """
    image = image_input(input_shape)
    x = _stem("resnet_50", image, stem, initializer)
    x = _stages(x, _bottleneck, (64, 128, 256, 512), (3, 4, 6, 3), initializer)
    return tf_keras.Model(image, logits(x, classes, initializer), name="resnet_50")
