"""Layer kinds: a model around every kind of layer, and what is true of its weights."""

import tensorflow as tf
import tf_keras

L = tf_keras.layers
IMAGE, SEQUENCE = (8, 8, 4), (6, 5)


class Scaled(L.Layer):
    """A custom layer that TF-MOT knows nothing about."""

    def build(self, shape):
        self.kernel = self.add_weight("kernel", (shape[-1], 3))
        self.scale = self.add_weight("scale", (3,))

    def call(self, x):
        return x @ self.kernel * self.scale


class Prunable(Scaled):
    """The same, telling TF-MOT what may be pruned."""

    def get_prunable_weights(self):
        return [self.kernel, self.scale]


class Filtered(L.Layer):
    """A custom convolution that TF-MOT knows nothing about."""

    def build(self, shape):
        self.filters = self.add_weight("filters", (3, 3, shape[-1], 2))

    def call(self, x):
        return tf.nn.conv2d(x, self.filters, 1, "SAME")


class Block(L.Layer):
    """A composite layer: its sublayers are pruned, though it cannot be wrapped itself."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.inner = [L.Dense(4, name="a"), L.Dense(4, name="b")]

    def call(self, x):
        return self.inner[1](self.inner[0](x))


class Subclassed(tf_keras.Model):
    def __init__(self):
        super().__init__()
        self.convs = [L.Conv2D(3, 3, 2, padding="same", name="c"), L.DepthwiseConv2D(3, name="d")]
        self.norm = L.BatchNormalization(name="norm")
        self.total = tf_keras.metrics.Mean()
        self.shift = tf.Variable(tf.zeros((2,)), name="shift")
        self.head = L.Dense(2, name="head")

    def call(self, x, training=None):
        for conv in self.convs:
            x = conv(x)
        return self.head(tf.reduce_mean(self.norm(x, training=training), (1, 2))) + self.shift


def around(layer, shape, calls=lambda layer, x: layer(x)):
    """A functional model: the layer, flattened, and a dense head of two classes."""
    x = tf_keras.Input(shape)
    y = calls(layer, x)
    y = L.Dense(2, name="logits")(L.Flatten()(y))
    return tf_keras.Model(x, y)


def tokens(layer):
    x = tf_keras.Input((6,), dtype="int32")
    return tf_keras.Model(x, L.Dense(2, name="logits")(L.Flatten()(layer(x))))


def lstm():
    return L.LSTM(3, return_sequences=True, name="x")


def times():
    return L.TimeDistributed(L.Conv1D(2, 3, padding="same"), name="x")


# kind of layer: model, the weights it adds to the prunable ones with their uses, kind
KINDS = {
    "dense": (lambda: around(L.Dense(3, name="x"), (5,)), {"x/kernel": 1}, "dense"),
    "dense on a sequence": (
        lambda: around(L.Dense(3, name="x"), SEQUENCE),
        {"x/kernel": 6},
        "dense",
    ),
    "conv1d": (lambda: around(L.Conv1D(3, 3, name="x"), SEQUENCE), {"x/kernel": 4}, "conv"),
    "conv2d": (lambda: around(L.Conv2D(3, 3, name="x"), IMAGE), {"x/kernel": 36}, "conv"),
    "grouped": (
        lambda: around(L.Conv2D(4, 3, groups=2, name="x"), IMAGE),
        {"x/kernel": 36},
        "conv",
    ),
    "transpose": (
        lambda: around(L.Conv2DTranspose(3, 3, 2, name="x"), IMAGE),
        {"x/kernel": 64},
        "conv",
    ),
    "depthwise": (
        lambda: around(L.DepthwiseConv2D(3, name="x"), IMAGE),
        {"x/depthwise_kernel": 36},
        "conv",
    ),
    "separable": (
        lambda: around(L.SeparableConv2D(3, 3, 2, name="x"), IMAGE),
        {"x/depthwise_kernel": 9, "x/pointwise_kernel": 9},
        "conv",
    ),
    "einsum": (
        lambda: around(
            L.EinsumDense("abc,cde->abde", (6, 2, 3), bias_axes="de", name="x"), SEQUENCE
        ),
        {"x/kernel": 6},
        "dense",
    ),
    "attention": (
        lambda: around(L.MultiHeadAttention(2, 3, name="x"), SEQUENCE, lambda f, x: f(x, x)),
        {f"x/{part}/kernel": 6 for part in ("query", "key", "value", "attention_output")},
        "attention",
    ),
    "lstm": (
        lambda: around(lstm(), SEQUENCE),
        {"x/lstm_cell/kernel": 6, "x/lstm_cell/recurrent_kernel": 6},
        "recurrent",
    ),
    "bidirectional": (
        lambda: around(L.Bidirectional(L.GRU(3), name="x"), SEQUENCE),
        {
            f"x/{way}_gru/gru_cell/{kernel}": 6
            for way in ("forward", "backward")
            for kernel in ("kernel", "recurrent_kernel")
        },
        "recurrent",
    ),
    "embedding": (lambda: tokens(L.Embedding(9, 3, name="x")), {"x/embeddings": 0}, "embedding"),
    "time distributed": (
        lambda: around(times(), (3, *SEQUENCE)),
        {"x/conv1d/kernel": 18},
        "conv",
    ),
    "batch norm": (lambda: around(L.BatchNormalization(name="x"), IMAGE), {}, "dense"),
    "group norm": (lambda: around(L.GroupNormalization(2, name="x"), IMAGE), {}, "dense"),
    "frozen": (lambda: around(L.Dense(3, trainable=False, name="x"), (5,)), {}, "dense"),
    "custom, prunable": (lambda: around(Prunable(name="x"), (5,)), {"x/kernel": 1}, "dense"),
    "composite": (
        lambda: around(Block(name="x"), (5,)),
        {"x/a/kernel": 1, "x/b/kernel": 1},
        "dense",
    ),
    "nested model": (
        lambda: around(
            tf_keras.Sequential([L.Conv2D(2, 3, name="c", input_shape=IMAGE)], name="x"), IMAGE
        ),
        {"x/c/kernel": 36},
        "conv",
    ),
    "shared": (
        lambda: around(L.Dense(5, name="x"), (5,), lambda f, x: f(f(x))),
        {"x/kernel": 1},
        "dense",
    ),
}
