"""Models by the way in which their outputs are made, all around a dense body of 8 units."""

import tensorflow as tf
import tf_keras

L = tf_keras.layers


def _body(input_shape):
    images = tf_keras.Input(input_shape)
    return images, L.Dense(8, "relu", name="body")(L.Flatten()(images))


def logits(input_shape, classes):
    images, x = _body(input_shape)
    return tf_keras.Model(images, L.Dense(classes, name="head")(x))


def ending(make):
    """A builder of a model whose outputs are `make(classes)(x)` of the body."""

    def build(input_shape, classes):
        images, x = _body(input_shape)
        return tf_keras.Model(images, make(classes)(x))

    return build


def _then(operation):
    return lambda classes: lambda x: operation(L.Dense(classes, name="head")(x))


def _by_hand(x):
    x = tf.exp(x - tf.reduce_max(x, -1, keepdims=True))
    return x / tf.reduce_sum(x, -1, keepdims=True)


class InCall(tf_keras.Model):
    def __init__(self, classes, compiled=False):
        super().__init__()
        self.head, self.flat = L.Dense(classes, name="head"), L.Flatten()
        self.body = L.Dense(8, "relu", name="body")
        self.finish = tf.function(tf.nn.softmax) if compiled else tf.nn.softmax

    def call(self, x):
        return self.finish(self.head(self.body(self.flat(x))))


def _nested(classes):
    x = tf_keras.Input((8,))
    return tf_keras.Model(x, L.Dense(classes, "softmax", name="head")(x), name="inner")


def _mean_of_two(classes):
    heads = [L.Dense(classes, "softmax", name=name) for name in ("head", "other")]
    return lambda x: L.Average()([head(x) for head in heads])


def _dense(activation):
    return lambda classes: L.Dense(classes, activation, name="head")


SOFTMAX = {
    "name": ending(_dense("softmax")),
    "function": ending(_dense(tf.nn.softmax)),
    "own_function": ending(_dense(_by_hand)),
    "activation": ending(_then(L.Activation("softmax"))),
    "activation_function": ending(_then(L.Activation(tf.nn.softmax))),
    "layer": ending(_then(L.Softmax())),
    "operation": ending(_then(tf.nn.softmax)),
    "lambda": ending(_then(L.Lambda(_by_hand))),
    "by_hand": ending(_then(_by_hand)),
    "cast": ending(_then(lambda x: tf.cast(tf.reshape(tf.nn.softmax(x), (-1, 3)), tf.float32))),
    "nested": ending(_nested),
    "mean_of_two": ending(_mean_of_two),
    "call": lambda input_shape, classes: InCall(classes),
    "compiled_call": lambda input_shape, classes: InCall(classes, compiled=True),
}

_UNIFORM = {
    "kernel_initializer": "zeros",
    "bias_initializer": tf_keras.initializers.Constant(1 / 3),
}
LOGITS = {
    "dense": logits,
    "sigmoid": ending(_dense("sigmoid")),
    "like_softmax": ending(lambda classes: L.Dense(classes, **_UNIFORM)),
    "rectified_like_softmax": ending(lambda classes: L.Dense(classes, "relu", **_UNIFORM)),
    "over_examples": ending(_then(lambda x: tf.nn.softmax(x, axis=0))),
    "log_softmax": ending(_then(tf.nn.log_softmax)),
}
LOG_SOFTMAX = {
    "operation": LOGITS["log_softmax"],
    "name": ending(_dense("log_softmax")),
    "function": ending(_dense(tf.nn.log_softmax)),
    "activation": ending(_then(L.Activation("log_softmax"))),
    "lambda": ending(_then(L.Lambda(tf.nn.log_softmax))),
    "logarithm": ending(_then(lambda x: tf.math.log(tf.nn.softmax(x)))),
    "by_hand": ending(_then(lambda x: x - tf.reduce_logsumexp(x, -1, keepdims=True))),
}


class Gated(tf_keras.Model):
    """Logits, though the layer made last is a softmax inside."""

    def __init__(self, classes):
        super().__init__()
        self.flat, self.body = L.Flatten(), L.Dense(8, "relu", name="body")
        self.head = L.Dense(classes, name="head")
        self.gate = L.Dense(8, "softmax", name="gate")

    def call(self, x):
        x = self.body(self.flat(x))
        return self.head(x * self.gate(x))


def gated(input_shape, classes):
    return Gated(classes)


def by_function(input_shape, classes):
    return SOFTMAX["function"](input_shape, classes)


def by_operation(input_shape, classes):
    return SOFTMAX["operation"](input_shape, classes)


def log_softmax(input_shape, classes):
    return LOG_SOFTMAX["by_hand"](input_shape, classes)


def in_call(input_shape, classes):
    return InCall(classes)


class HeadFirst(tf_keras.Model):
    """The output layer is made before the body."""

    def __init__(self, classes):
        super().__init__()
        self.head, self.flat = L.Dense(classes, name="head"), L.Flatten()
        self.body = L.Dense(8, "relu", name="body")

    def call(self, x):
        return self.head(self.body(self.flat(x)))


def head_first(input_shape, classes):
    return HeadFirst(classes)


class SameNames(HeadFirst):
    """Two layers that share a name."""

    def __init__(self, classes):
        super().__init__(classes)
        self.head, self.body = L.Dense(classes, name="same"), L.Dense(8, name="same")


class Custom(L.Layer):
    """A layer whose kernel TF-MOT cannot wrap."""

    def build(self, shape):
        self.kernel = self.add_weight("kernel", (shape[-1], self.classes))

    def call(self, x):
        return x @ self.kernel


def _custom(classes):
    layer = Custom(name="head")
    layer.classes = classes
    return layer


def _two(merge, first="head", second="other", width=None):
    def make(classes):
        heads = L.Dense(classes, name=first), L.Dense(width or classes, name=second)
        return lambda x: merge(*(head(x) for head in heads))

    return ending(make)


def _experts(classes):
    parts = [L.Dense(classes, name=f"expert_{n}") for n in (1, 2)]
    gate = L.Dense(2, "softmax", name="gate")
    return lambda x: parts[0](x) * gate(x)[:, :1] + parts[1](x) * gate(x)[:, 1:]


class Looped(L.Layer):
    """Calls a layer three times in a loop that TensorFlow runs."""

    def build(self, shape):
        self.inner = L.Dense(shape[-1], name="looped")
        self.inner.build(shape)

    def call(self, x):
        return tf.while_loop(lambda i, y: i < 3, lambda i, y: (i + 1, self.inner(y)), (0, x))[1]


def _loop(classes):
    return lambda x: L.Dense(classes, name="head")(Looped(name="loop")(x))


def _convolution(input_shape, classes):
    images = tf_keras.Input(input_shape)
    x = L.Conv2D(4, 3, name="body")(images)
    x = L.PReLU(name="last")(L.BatchNormalization()(L.Conv2D(classes, 1, name="head")(x)))
    return tf_keras.Model(images, L.Softmax()(L.GlobalAveragePooling2D()(x)))


def _recurrent(input_shape, classes):
    images = tf_keras.Input(input_shape)
    x = L.Dense(5, name="body")(L.Reshape((4, -1))(images))
    return tf_keras.Model(images, L.LSTM(classes, name="head")(x))


HEADS = {
    "last": (logits, {"head"}),
    "first": (head_first, {"head"}),
    "gate_last": (gated, {"head"}),
    "same_names": (lambda shape, classes: SameNames(classes), {"same"}),
    "custom": (ending(_custom), {"head"}),
    "sum": (_two(lambda a, b: a + b), {"head", "other"}),
    "layer_sum": (_two(lambda a, b: L.Add()([a, b])), {"head", "other"}),
    "maximum": (_two(tf.maximum), {"head", "other"}),
    "parts": (_two(lambda a, b: tf.concat([a[:, :2], b[:, 2:]], 1)), {"head", "other"}),
    "value_and_advantage": (
        _two(lambda a, b: a - tf.reduce_mean(a) + b, width=1),
        {"head", "other"},
    ),
    "scaled_by_a_layer": (_two(lambda a, b: a * b, width=1), {"head"}),
    "divided_by_a_layer": (_two(lambda a, b: a / (1 + tf.exp(b)), width=1), {"head"}),
    "experts": (ending(_experts), {"expert_1", "expert_2"}),
    "behind_a_loop": (ending(_loop), {"head"}),
    "convolution": (_convolution, {"head"}),
    "recurrent": (_recurrent, {"head"}),
    "nested": (SOFTMAX["nested"], {"head"}),
    "compiled_call": (SOFTMAX["compiled_call"], {"head"}),
}
product = _two(lambda a, b: a * b)


def _in_python(x):
    return tf.ensure_shape(tf.numpy_function(lambda y: y, [x], x.dtype), x.shape)


UNCLEAR = {
    "product": product,
    "python": ending(
        _then(lambda x: tf.ensure_shape(tf.py_function(lambda y: y, [x], x.dtype), x.shape))
    ),
}


def of_two(input_shape, classes):
    return product(input_shape, classes)


def always_dropping(input_shape, classes):
    images, x = _body(input_shape)
    x = L.Dropout(0.5)(x, training=True)
    return tf_keras.Model(images, L.Dense(classes, name="head")(x))


def always_normalising(input_shape, classes):
    images, x = _body(input_shape)
    x = L.BatchNormalization(momentum=0.5)(x, training=True)
    return tf_keras.Model(images, L.Dense(classes, name="head")(L.BatchNormalization()(x)))


class Counting(L.Layer):
    """Adds how often it was called, in training or not."""

    def build(self, shape):
        self.count = self.add_weight("count", (), initializer="zeros", trainable=False)

    def call(self, x):
        return x + self.count.assign_add(1.0)


def counting(input_shape, classes):
    images, x = _body(input_shape)
    return tf_keras.Model(images, L.Dense(classes, name="head")(Counting()(x)))


def unseeded(input_shape, classes):
    images, x = _body(input_shape)
    noise = L.Lambda(lambda y: y + tf.random.normal(tf.shape(y)))
    return tf_keras.Model(images, L.Dense(classes, name="head")(noise(x)))


class NoisyTraining(L.Layer):
    """Draws in training only: from a generator of its own, or from none that is found."""

    def __init__(self, kind):
        super().__init__()
        self.kind, self.held = kind, {}
        if kind == "own":
            self.generator = tf.random.Generator.from_seed(1)
        self.held["generator"] = tf.random.Generator.from_seed(1)
        self.compiled = tf.function(self.normal)

    def normal(self, x):
        return x + tf.random.normal(tf.shape(x))

    def call(self, x, training=False):
        if not training:
            return x
        if self.kind == "dropout":
            return tf.nn.dropout(x, 0.5)
        if self.kind == "function":
            return self.compiled(x)
        if self.kind == "condition":
            return tf.cond(tf.reduce_sum(x) > 0, lambda: self.normal(x), lambda: x)
        if self.kind in ("own", "hidden"):
            source = self.generator if self.kind == "own" else self.held["generator"]
            return x + source.normal(tf.shape(x))
        return tf.random.normal(tf.shape(x), seed=7) + x


def noisy_training(input_shape, classes, kind):
    images, x = _body(input_shape)
    x = NoisyTraining(kind)(x)
    return tf_keras.Model(images, L.Dense(classes, name="head")(x))


def augmenting(input_shape, classes):
    """The layers of Keras that change images or units at random, in training only."""
    images = tf_keras.Input(input_shape)
    x = L.RandomCrop(6, 6)(L.RandomBrightness(0.1)(L.RandomContrast(0.2)(images)))
    x = L.Flatten()(L.SpatialDropout2D(0.2)(L.RandomFlip(seed=3)(x)))
    x = L.GaussianDropout(0.2)(L.GaussianNoise(0.5, seed=5)(x))
    return tf_keras.Model(images, L.Dense(classes, name="head")(L.AlphaDropout(0.2)(x)))


def embedded(input_shape, classes):
    """Pixels as tokens."""
    images = tf_keras.Input(input_shape)
    tokens = tf.cast(tf.clip_by_value(L.Flatten()(images) + 3, 0, 7), tf.int32)
    x = L.Flatten()(L.Embedding(8, 2, name="embedding")(tokens))
    return tf_keras.Model(images, L.Dense(classes, name="head")(x))
