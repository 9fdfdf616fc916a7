"""Wirings: small networks of every kind of wiring, and the channels that each has."""

import numpy as np
import tiny

from ltx import Mask, State, Ticket
from ltx.backends.tf_keras.graph import channel_graph
from ltx.backends.tf_keras.masking import MaskedModel

import tf_keras  # isort: skip

L = tf_keras.layers
IMAGE = (8, 8, 3)


class Doubled(L.Layer):
    """A layer of which nobody knows what it does with channels."""

    def call(self, x):
        return 2 * x


def conv(x, filters, name, size=3, **how):
    return L.Conv2D(filters, size, name=name, **{"padding": "same", **how})(x)


def norm(x, name):
    # Not the initial ones and zeros, with which much would go unnoticed.
    return L.BatchNormalization(
        name=name,
        gamma_initializer=tf_keras.initializers.RandomUniform(0.5, 1.5),
        beta_initializer="random_normal",
        moving_mean_initializer="random_normal",
    )(x)


def ended(image, x, name="logits"):
    return tf_keras.Model(image, L.Dense(3, name=name)(L.Flatten()(x)))


def plain():
    image = L.Input(IMAGE)
    x = L.MaxPooling2D()(conv(image, 4, "a", activation="relu"))
    x = L.Dense(6, "tanh", name="b")(L.Flatten()(x))
    return ended(image, L.Dropout(0.5)(x))


def sequential():
    return tf_keras.Sequential(
        [
            L.Conv2D(4, 3, name="a", input_shape=IMAGE),
            L.ReLU(),
            L.ZeroPadding2D(),
            L.Conv2D(5, 3, 2, name="b"),
            L.GlobalAveragePooling2D(),
            L.Dense(3, name="logits"),
        ]
    )


def residual():
    image = L.Input(IMAGE)
    x = L.ReLU()(norm(conv(image, 4, "a", use_bias=False), "a_norm"))
    y = L.ReLU()(norm(conv(x, 5, "b"), "b_norm"))
    y = norm(conv(y, 4, "c"), "c_norm")
    return ended(image, L.GlobalMaxPooling2D()(L.ReLU()(L.Add()([x, y]))))


def concatenated():
    image = L.Input(IMAGE)
    x, y = conv(image, 4, "a", activation="relu"), conv(image, 2, "b", activation="elu")
    z = norm(L.Concatenate(name="joined")([x, y, image]), "norm")
    return ended(image, L.AveragePooling2D()(conv(z, 3, "c", activation="relu")))


def dense_block():
    image = L.Input(IMAGE)
    x = conv(image, 4, "a", activation="relu")
    y = conv(norm(x, "x_norm"), 3, "b")
    z = conv(norm(L.Concatenate()([x, y]), "xy_norm"), 2, "c")
    return ended(image, L.Concatenate()([x, y, z]))


def depthwise():
    image = L.Input(IMAGE)
    x = conv(image, 4, "a", activation="relu")
    x = norm(L.DepthwiseConv2D(3, padding="same", name="b")(x), "b_norm")
    x = conv(L.ReLU(6.0)(x), 5, "c", size=1, activation="relu")
    return ended(image, L.SeparableConv2D(2, 3, name="d")(x))


def transposed():
    image = L.Input(IMAGE)
    x = conv(image, 4, "a", strides=2, activation="relu")
    x = L.Conv2DTranspose(5, 3, 2, padding="same", activation="relu", name="b")(x)
    return ended(image, L.UpSampling2D()(L.Cropping2D()(x)))


def gated():
    image = L.Input(IMAGE)
    x = conv(image, 4, "a", activation="relu")
    s = L.Reshape((1, 1, 4))(L.GlobalAveragePooling2D()(x))
    # Not relu: of two units both may be off, and then dropping one would go unnoticed.
    s = conv(conv(s, 2, "b", activation="tanh"), 4, "c", activation="sigmoid")
    return ended(image, L.Multiply()([x, s]))


def shared():
    image = L.Input(IMAGE)
    twice = L.Conv2D(4, 3, padding="same", activation="relu", name="twice")
    a, b = conv(image, 5, "a"), conv(image, 5, "b")
    return ended(image, L.Concatenate()([twice(a), twice(b)]))


def nested():
    image = L.Input(IMAGE)
    block = tf_keras.Sequential(
        [
            L.Conv2D(5, 3, padding="same", input_shape=(8, 8, 4), name="a"),
            L.ReLU(),
            L.Conv2D(4, 3, padding="same", name="b"),
        ],
        name="block",
    )
    x = conv(image, 4, "a")
    return ended(image, L.Add()([x, block(x)]))


def sequence():
    words = L.Input((6, 5))
    x = L.Conv1D(4, 3, padding="causal", activation="relu", name="a")(words)
    x = L.SeparableConv1D(3, 3, name="b")(L.MaxPooling1D()(x))
    return ended(words, x)


def volume():
    image = L.Input((4, 4, 4, 2))
    x = L.MaxPooling3D()(L.Conv3D(3, 3, padding="same", activation="relu", name="a")(image))
    return ended(image, L.Conv3DTranspose(2, 2, name="b")(x))


def unknown():
    image = L.Input(IMAGE)
    x = Doubled()(conv(image, 4, "a"))
    x = L.LayerNormalization()(conv(x, 5, "b"))
    x = conv(conv(x, 2, "c"), 4, "d", groups=2)
    x = conv(conv(x, 3, "e") + 1.0, 6, "f", activation="softmax")
    x = conv(x, 3, "g", trainable=False)
    x = L.DepthwiseConv2D(3, depth_multiplier=2, name="h")(conv(x, 4, "i"))
    return ended(image, conv(conv(x, 2, "j"), 2, "k", activation="relu"))


def softmax():
    image = L.Input(IMAGE)
    x = conv(image, 4, "a", activation="relu")
    x = L.GlobalAveragePooling2D()(conv(x, 5, "b", activation="softmax"))
    return tf_keras.Model(image, L.Dense(3, "softmax", name="logits")(L.Dense(6, name="c")(x)))


def straight_out():
    image = L.Input(IMAGE)
    x = L.Flatten()(conv(image, 1, "a"))
    y = L.Dense(64, name="b")(x)
    return tf_keras.Model(image, L.Add()([x, y]))


# network: its channels, as (size, writers, readers, other variables with an entry for each)
STATISTICS = ("beta", "gamma", "moving_mean", "moving_variance")


def _norm(name):
    return {f"{name}/{variable}" for variable in STATISTICS}


NETWORKS = {
    plain: [(4, "a", "b", {"a/bias"}), (6, "b", "logits", {"b/bias"})],
    sequential: [(4, "a", "b", {"a/bias"}), (5, "b", "logits", {"b/bias"})],
    residual: [
        (4, "a c", "b logits", {"c/bias"} | _norm("a_norm") | _norm("c_norm")),
        (5, "b", "c", {"b/bias"} | _norm("b_norm")),
    ],
    concatenated: [
        (4, "a", "c", {"a/bias"}),
        (2, "b", "c", {"b/bias"}),
        (3, "c", "logits", {"c/bias"}),
    ],
    dense_block: [
        (4, "a", "b c logits", {"a/bias"} | _norm("x_norm")),
        (3, "b", "c logits", {"b/bias"}),
        (2, "c", "logits", {"c/bias"}),
    ],
    depthwise: [
        (4, "a b", "c", {"a/bias", "b/bias"} | _norm("b_norm")),
        (5, "c d", "d", {"c/bias"}),
        (2, "d", "logits", {"d/bias"}),
    ],
    transposed: [(4, "a", "b", {"a/bias"}), (5, "b", "logits", {"b/bias"})],
    gated: [
        (4, "a c", "b logits", {"a/bias", "c/bias"}),
        (2, "b", "c", {"b/bias"}),
    ],
    shared: [
        (5, "a b", "twice", {"a/bias", "b/bias"}),
        (4, "twice", "logits logits", {"twice/bias"}),
    ],
    nested: [
        (4, "a block/b", "block/a logits", {"a/bias", "block/b/bias"}),
        (5, "block/a", "block/b", {"block/a/bias"}),
    ],
    sequence: [(4, "a b", "b", {"a/bias"}), (3, "b", "logits", {"b/bias"})],
    volume: [(3, "a", "b", {"a/bias"}), (2, "b", "logits", {"b/bias"})],
    unknown: [(2, "j", "k", {"j/bias"}), (2, "k", "logits", {"k/bias"})],
    softmax: [(4, "a", "b", {"a/bias"}), (6, "c", "logits", {"c/bias"})],
    straight_out: [],
}


def halved(input_shape, classes):
    """The residual net of `tiny`, without every other channel of every set."""
    from ltx.backends.tf_keras.graph.compaction import compact

    model = tiny.residual(input_shape, classes)
    return compact(model, ticket_of(model, lambda size: np.arange(size) % 2 == 1))


def ticket_of(model, dead=None, density=None, seed=0):
    """A ticket of the model's present weights: `dead(size)` says which channels of a set go."""
    masked, rng = MaskedModel(model), np.random.default_rng(seed)
    mask = masked.get_masks()
    for channels in channel_graph.channels(model, mask) if dead else ():
        mask = channels.drop(mask, dead(channels.size))
    if density is not None:
        mask = {name: keep & (rng.random(keep.shape) < density) for name, keep in mask.items()}
    weights, statistics = (
        {name: variable.numpy() for name, variable in group.items()}
        for group in (masked.weights, masked.statistics)
    )
    return Ticket(Mask(mask), State(weights, statistics), 0, "task", 0)
