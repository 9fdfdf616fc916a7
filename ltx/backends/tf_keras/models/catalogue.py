"""Catalogue: every builder of a model that has a name."""

from collections.abc import Callable

import tf_keras

from ltx.backends.tf_keras.models.convnets import (
    conv_2,
    conv_4,
    conv_6,
    convnet,
    lenet_300_100,
    vgg_11,
    vgg_16,
    vgg_19,
)
from ltx.backends.tf_keras.models.dense import mlp
from ltx.backends.tf_keras.models.resnets import resnet_20, resnet_32, resnet_50, resnet_56

Builder = Callable[..., tf_keras.Model]

BUILDERS: dict[str, Builder] = {
    function.__name__: function
    for function in (
        mlp,
        lenet_300_100,
        conv_2,
        conv_4,
        conv_6,
        convnet,
        resnet_20,
        resnet_32,
        resnet_56,
        resnet_50,
        vgg_11,
        vgg_16,
        vgg_19,
    )
}
