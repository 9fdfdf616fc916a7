"""Architectures: the builders of the lottery-ticket papers' networks, by name."""

import os
from collections.abc import Callable, Sequence

from ltx.errors import UsageError, unknown

# tf.keras must mean tf_keras in user code too, and TensorFlow reads this when it is imported.
os.environ.setdefault("TF_USE_LEGACY_KERAS", "1")

import tensorflow as tf
import tf_keras

Shape = tuple[int, int, int]
Builder = Callable[..., tf_keras.Model]

GLOROT_NORMAL = "glorot_normal"


# ---- parts ----------------------------------------------------------------------------------


def _image(input_shape: Shape) -> tf.Tensor:
    if len(input_shape) != 3 or min(input_shape) < 1:
        raise UsageError(
            f"expected an input shape (height, width, channels) of at least (1, 1, 1), got "
            f"{tuple(input_shape)}."
        )
    return tf_keras.Input(input_shape, name="image")


def _fresh(initializer: str) -> tf_keras.initializers.Initializer:
    # One instance for each layer: an unseeded instance used twice would repeat its values.
    if not isinstance(initializer, str):
        raise UsageError(
            f"expected the name of a tf_keras initializer, like {GLOROT_NORMAL!r}, got a "
            f"{type(initializer).__name__}."
        )
    try:
        return tf_keras.initializers.get(initializer)
    except ValueError as error:
        known = ("glorot_normal", "glorot_uniform", "he_normal", "he_uniform", "lecun_normal")
        raise unknown("initializer", initializer, known) from error


def _dense(x: tf.Tensor, units: int, name: str, initializer: str) -> tf.Tensor:
    layer = tf_keras.layers.Dense(
        units, activation="relu", kernel_initializer=_fresh(initializer), name=name
    )
    return layer(x)


def _logits(x: tf.Tensor, classes: int, initializer: str) -> tf.Tensor:
    # float32 whatever the policy: a half-precision cross-entropy loses small probabilities.
    layer = tf_keras.layers.Dense(
        classes, kernel_initializer=_fresh(initializer), dtype="float32", name="logits"
    )
    return layer(x)


def _conv_norm(
    x: tf.Tensor,
    filters: int,
    size: int,
    name: str,
    initializer: str,
    *,
    stride: int = 1,
    relu: bool = True,
) -> tf.Tensor:
    x = tf_keras.layers.Conv2D(
        filters,
        size,
        stride,
        padding="same",
        use_bias=False,
        kernel_initializer=_fresh(initializer),
        name=name,
    )(x)
    x = tf_keras.layers.BatchNormalization(momentum=0.9, epsilon=1e-5, name=f"{name}_norm")(x)
    return tf_keras.layers.ReLU(name=f"{name}_relu")(x) if relu else x


def _halve(x: tf.Tensor, name: str) -> tf.Tensor:
    return tf_keras.layers.MaxPool2D(name=name)(x) if min(x.shape[1:3]) > 1 else x


# ---- fully connected and plain convolutional --------------------------------------------------


def lenet_300_100(
    input_shape: Shape, classes: int, initializer: str = GLOROT_NORMAL
) -> tf_keras.Model:
    """LeNet-300-100: two hidden layers of 300 and 100 units; 266,200 weights on MNIST.

    Reference: Frankle & Carbin 2019, https://arxiv.org/abs/1803.03635, figure 2.
    """
    image = _image(input_shape)
    x = tf_keras.layers.Flatten(name="flatten")(image)
    x = _dense(x, 300, "dense_1", initializer)
    x = _dense(x, 100, "dense_2", initializer)
    return tf_keras.Model(image, _logits(x, classes, initializer), name="lenet_300_100")


def _plain(
    name: str, widths: Sequence[int], input_shape: Shape, classes: int, init: str
) -> tf.Tensor:
    image = x = _image(input_shape)
    for pair, filters in enumerate(widths, start=1):
        for conv in (2 * pair - 1, 2 * pair):
            x = tf_keras.layers.Conv2D(
                filters,
                3,
                padding="same",
                activation="relu",
                kernel_initializer=_fresh(init),
                name=f"conv_{conv}",
            )(x)
        x = _halve(x, f"pool_{pair}")
    x = tf_keras.layers.Flatten(name="flatten")(x)
    x = _dense(x, 256, "dense_1", init)
    x = _dense(x, 256, "dense_2", init)
    return tf_keras.Model(image, _logits(x, classes, init), name=name)


def conv_2(input_shape: Shape, classes: int, initializer: str = GLOROT_NORMAL) -> tf_keras.Model:
    """Conv-2: two 3x3 convolutions of 64, a pool, two dense layers of 256; 4.3M on CIFAR-10.

    A pool that would find a single pixel is left out, in all of conv_2, conv_4 and conv_6.

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

    The paper's table says 1.7M, which the layers in the same table do not add up to.

    Reference: Frankle & Carbin 2019, https://arxiv.org/abs/1803.03635, figure 2.
    """
    return _plain("conv_6", (64, 128, 256), input_shape, classes, initializer)


# ---- residual ---------------------------------------------------------------------------------


def _basic_block(x: tf.Tensor, filters: int, stride: int, name: str, init: str) -> tf.Tensor:
    y = _conv_norm(x, filters, 3, f"{name}_conv1", init, stride=stride)
    y = _conv_norm(y, filters, 3, f"{name}_conv2", init, relu=False)
    return _join(x, y, stride, name, init)


def _bottleneck(x: tf.Tensor, filters: int, stride: int, name: str, init: str) -> tf.Tensor:
    y = _conv_norm(x, filters, 1, f"{name}_conv1", init)
    y = _conv_norm(y, filters, 3, f"{name}_conv2", init, stride=stride)
    y = _conv_norm(y, 4 * filters, 1, f"{name}_conv3", init, relu=False)
    return _join(x, y, stride, name, init)


def _join(x: tf.Tensor, y: tf.Tensor, stride: int, name: str, init: str) -> tf.Tensor:
    if stride > 1 or x.shape[-1] != y.shape[-1]:
        x = _conv_norm(x, y.shape[-1], 1, f"{name}_shortcut", init, stride=stride, relu=False)
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


def _cifar_resnet(depth: int, input_shape: Shape, classes: int, init: str) -> tf_keras.Model:
    image = _image(input_shape)
    x = _conv_norm(image, 16, 3, "conv", init)
    x = _stages(x, _basic_block, (16, 32, 64), [(depth - 2) // 6] * 3, init)
    return tf_keras.Model(image, _logits(x, classes, init), name=f"resnet_{depth}")


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


def resnet_50(
    input_shape: Shape, classes: int, initializer: str = GLOROT_NORMAL, stem: str = "auto"
) -> tf_keras.Model:
    """ResNet-50 with bottleneck blocks; 25.6M parameters on ImageNet.

    The stride sits in the 3x3 convolution ("v1.5"). `stem` is "imagenet" (7x7 stride 2, then a
    3x3 pool of stride 2), "cifar" (3x3 stride 1) or "auto": cifar when a side is under 64 pixels.

    Reference: He et al. 2015, https://arxiv.org/abs/1512.03385, table 1.
    """
    if stem not in ("auto", "cifar", "imagenet"):
        raise unknown("stem of model 'resnet_50'", stem, ("auto", "cifar", "imagenet"))
    image = _image(input_shape)
    if stem == "cifar" or (stem == "auto" and min(input_shape[:2]) < 64):
        x = _conv_norm(image, 64, 3, "conv", initializer)
    else:
        x = _conv_norm(image, 64, 7, "conv", initializer, stride=2)
        x = tf_keras.layers.MaxPool2D(3, 2, padding="same", name="stem_pool")(x)
    x = _stages(x, _bottleneck, (64, 128, 256, 512), (3, 4, 6, 3), initializer)
    return tf_keras.Model(image, _logits(x, classes, initializer), name="resnet_50")


# ---- VGG --------------------------------------------------------------------------------------


def _vgg(
    depth: int, counts: Sequence[int], input_shape: Shape, classes: int, init: str
) -> tf_keras.Model:
    image = x = _image(input_shape)
    for block, (filters, count) in enumerate(
        zip((64, 128, 256, 512, 512), counts, strict=True), start=1
    ):
        if block > 1:
            x = _halve(x, f"block{block - 1}_pool")
        for number in range(1, count + 1):
            x = _conv_norm(x, filters, 3, f"block{block}_conv{number}", init)
    x = tf_keras.layers.GlobalAveragePooling2D(name="pool")(x)
    return tf_keras.Model(image, _logits(x, classes, init), name=f"vgg_{depth}")


def vgg_11(input_shape: Shape, classes: int, initializer: str = GLOROT_NORMAL) -> tf_keras.Model:
    """VGG-11 with BatchNorm, global average pooling and one dense head; 9.2M on CIFAR-10.

    A pool that would find a single pixel is left out, in all of vgg_11, vgg_16 and vgg_19.

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


BUILDERS: dict[str, Builder] = {
    function.__name__: function
    for function in (
        lenet_300_100,
        conv_2,
        conv_4,
        conv_6,
        resnet_20,
        resnet_32,
        resnet_56,
        resnet_50,
        vgg_11,
        vgg_16,
        vgg_19,
    )
}
