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
from ltx.backends.tf_keras.models.language import char_lm
from ltx.backends.tf_keras.models.mixers import mlp_mixer
from ltx.backends.tf_keras.models.mobilenets import mobilenet_v2
from ltx.backends.tf_keras.models.recurrent import gru, lstm
from ltx.backends.tf_keras.models.resnets import (
    resnet_18,
    resnet_20,
    resnet_32,
    resnet_50,
    resnet_56,
)
from ltx.backends.tf_keras.models.signals import conv1d
from ltx.backends.tf_keras.models.transformers import text_transformer, vit_tiny

Builder = Callable[..., tf_keras.Model]

BUILDERS: dict[str, Builder] = {
    function.__name__: function
    for function in (
        mlp,
        conv1d,
        gru,
        lstm,
        text_transformer,
        char_lm,
        lenet_300_100,
        conv_2,
        conv_4,
        conv_6,
        convnet,
        resnet_20,
        resnet_32,
        resnet_56,
        resnet_18,
        resnet_50,
        mobilenet_v2,
        vit_tiny,
        mlp_mixer,
        vgg_11,
        vgg_16,
        vgg_19,
    )
}
