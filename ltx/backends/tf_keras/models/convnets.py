"""Convolutional and dense networks of the lottery-ticket papers."""

from collections.abc import Sequence

import tensorflow as tf
import tf_keras

from ltx.backends.tf_keras.models.blocks import (
    GLOROT_NORMAL,
    Shape,
    conv_norm,
    dense,
    fresh,
    halve,
    image_input,
    logits,
)

# ---- fully connected and plain convolutional --------------------------------------------------


def lenet_300_100(
    input_shape: Shape, classes: int, initializer: str = GLOROT_NORMAL
) -> tf_keras.Model:
    """LeNet-300-100: two hidden layers of 300 and 100 units; 266,200 weights on MNIST.

    Reference: Frankle & Carbin 2019, https://arxiv.org/abs/1803.03635, figure 2.
    """
    image = image_input(input_shape)
    x = tf_keras.layers.Flatten(name="flatten")(image)
    x = dense(x, 300, "dense_1", initializer)
    x = dense(x, 100, "dense_2", initializer)
    return tf_keras.Model(image, logits(x, classes, initializer), name="lenet_300_100")


def _plain(
    name: str, widths: Sequence[int], input_shape: Shape, classes: int, init: str
) -> tf.Tensor:
    image = x = image_input(input_shape)
    for pair, filters in enumerate(widths, start=1):
        for conv in (2 * pair - 1, 2 * pair):
            x = tf_keras.layers.Conv2D(
                filters,
                3,
                padding="same",
                activation="relu",
                kernel_initializer=fresh(init),
                name=f"conv_{conv}",
            )(x)
        x = halve(x, f"pool_{pair}")
    x = tf_keras.layers.Flatten(name="flatten")(x)
    x = dense(x, 256, "dense_1", init)
    x = dense(x, 256, "dense_2", init)
    return tf_keras.Model(image, logits(x, classes, init), name=name)


def conv_2(input_shape: Shape, classes: int, initializer: str = GLOROT_NORMAL) -> tf_keras.Model:
    """Conv-2: two 3x3 convolutions of 64, a pool, two dense layers of 256; 4.3M on CIFAR-10.

    A pool on a single pixel is omitted, in all of conv_2, conv_4 and conv_6.

    Reference: Frankle & Carbin 2019, https://arxiv.org/abs/1803.03635, figure 2.
    """
    return _plain("conv_2", (64,), input_shape, classes, initializer)


def conv_4(input_shape: Shape, classes: int, initializer: str = GLOROT_NORMAL) -> tf_keras.Model:
    """Conv-4: Conv-2 with a further pair of convolutions of 128; 2.4M weights on CIFAR-10.

    Reference: Frankle & Carbin 2019, https://arxiv.org/abs/1803.03635, figure 2.
    """
    return _plain("conv_4", (64, 128), input_shape, classes, initializer)


def conv_6(input_shape: Shape, classes: int, initializer: str = GLOROT_NORMAL) -> tf_keras.Model:
    """Conv-6: Conv-4 with a further pair of convolutions of 256; 2.26M weights on CIFAR-10.

    The paper's table gives 1.7M, which is not the sum of the layers in the same table.

    Reference: Frankle & Carbin 2019, https://arxiv.org/abs/1803.03635, figure 2.
    """
    return _plain("conv_6", (64, 128, 256), input_shape, classes, initializer)


# ---- convolutional with BatchNorm -------------------------------------------------------------


def convnet(input_shape: Shape, classes: int, initializer: str = GLOROT_NORMAL) -> tf_keras.Model:
    """A small convnet with BatchNorm: 3x3 convolutions of 16, 32, 64 maps; 24K weights on MNIST.

    The widths of resnet_20's stages, one layer each, the last two of stride 2, then global average
    pooling. From no paper: a network whose channels can be pruned by their scales in seconds.

    Reference: Ioffe & Szegedy 2015, https://arxiv.org/abs/1502.03167 (BatchNorm).
    """
    image = x = image_input(input_shape)
    for number, filters in enumerate((16, 32, 64), start=1):
        stride = 1 if number == 1 else 2
        x = conv_norm(x, filters, 3, f"conv_{number}", initializer, stride=stride)
    x = tf_keras.layers.GlobalAveragePooling2D(name="pool")(x)
    return tf_keras.Model(image, logits(x, classes, initializer), name="convnet")


def _vgg(
    depth: int, counts: Sequence[int], input_shape: Shape, classes: int, init: str
) -> tf_keras.Model:
    image = x = image_input(input_shape)
    for block, (filters, count) in enumerate(
        zip((64, 128, 256, 512, 512), counts, strict=True), start=1
    ):
        if block > 1:
            x = halve(x, f"block{block - 1}_pool")
        for number in range(1, count + 1):
            x = conv_norm(x, filters, 3, f"block{block}_conv{number}", init)
    x = tf_keras.layers.GlobalAveragePooling2D(name="pool")(x)
    return tf_keras.Model(image, logits(x, classes, init), name=f"vgg_{depth}")


def vgg_11(input_shape: Shape, classes: int, initializer: str = GLOROT_NORMAL) -> tf_keras.Model:
    """VGG-11 with BatchNorm, global average pooling and one dense head; 9.2M on CIFAR-10.

    A pool on a single pixel is omitted, in all of vgg_11, vgg_16 and vgg_19.

    Reference: Simonyan & Zisserman 2014, https://arxiv.org/abs/1409.1556.
    """
    return _vgg(11, (1, 1, 2, 2, 2), input_shape, classes, initializer)


def vgg_16(input_shape: Shape, classes: int, initializer: str = GLOROT_NORMAL) -> tf_keras.Model:
    """VGG-16 with BatchNorm, global average pooling and one dense head; 14.7M on CIFAR-10.

    Reference: Simonyan & Zisserman 2014, https://arxiv.org/abs/1409.1556.
    """
    return _vgg(16, (2, 2, 3, 3, 3), input_shape, classes, initializer)


def vgg_19(input_shape: Shape, classes: int, initializer: str = GLOROT_NORMAL) -> tf_keras.Model:
    """VGG-19 with BatchNorm, global average pooling and one dense head; 20.0M on CIFAR-10.

    Reference: Simonyan & Zisserman 2014, https://arxiv.org/abs/1409.1556.
    """
    return _vgg(19, (2, 2, 4, 4, 4), input_shape, classes, initializer)
