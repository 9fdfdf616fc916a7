"""Kinds: the layers of tf_keras, grouped by what they do with channels."""

from collections.abc import Callable

import tensorflow as tf
import tf_keras

layers, activations = tf_keras.layers, tf_keras.activations

DENSE = (layers.Dense,)
CONVOLUTIONS = (layers.Conv1D, layers.Conv2D, layers.Conv3D)
TRANSPOSED = (layers.Conv1DTranspose, layers.Conv2DTranspose, layers.Conv3DTranspose)
DEPTHWISE = (layers.DepthwiseConv1D, layers.DepthwiseConv2D)
SEPARABLE = (layers.SeparableConv1D, layers.SeparableConv2D)
NORMS = (layers.BatchNormalization,)
POOLS = (
    *(layers.MaxPooling1D, layers.MaxPooling2D, layers.MaxPooling3D),
    *(layers.AveragePooling1D, layers.AveragePooling2D, layers.AveragePooling3D),
    *(layers.GlobalMaxPooling1D, layers.GlobalMaxPooling2D, layers.GlobalMaxPooling3D),
    *(layers.GlobalAveragePooling1D, layers.GlobalAveragePooling2D),
    layers.GlobalAveragePooling3D,
)
PADDINGS = (layers.ZeroPadding1D, layers.ZeroPadding2D, layers.ZeroPadding3D)
RESIZINGS = (
    *(layers.Cropping1D, layers.Cropping2D, layers.Cropping3D),
    *(layers.UpSampling1D, layers.UpSampling2D, layers.UpSampling3D),
)
NOISES = (
    *(layers.Dropout, layers.SpatialDropout1D, layers.SpatialDropout2D, layers.SpatialDropout3D),
    *(layers.GaussianNoise, layers.GaussianDropout, layers.AlphaDropout),
    layers.ActivityRegularization,
)
RECTIFIERS = (layers.ReLU, layers.LeakyReLU, layers.ELU, layers.ThresholdedReLU)
PASSING = (*POOLS, *PADDINGS, *RESIZINGS, *NOISES, *RECTIFIERS, layers.Activation)
MERGES = (
    *(layers.Add, layers.Subtract, layers.Multiply),
    *(layers.Average, layers.Maximum, layers.Minimum),
)
ELEMENTWISE: tuple[Callable, ...] = (
    *(activations.linear, activations.relu, activations.elu, activations.selu, activations.gelu),
    *(activations.tanh, activations.sigmoid, activations.hard_sigmoid, activations.exponential),
    *(activations.softplus, activations.softsign, activations.swish, activations.mish),
    *(tf.nn.relu, tf.nn.relu6, tf.nn.elu, tf.nn.selu, tf.nn.gelu, tf.nn.tanh, tf.nn.sigmoid),
    *(tf.nn.softplus, tf.nn.softsign, tf.nn.swish, tf.nn.leaky_relu),
)
