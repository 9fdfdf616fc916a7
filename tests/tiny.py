"""Models small enough for tests, as a user would bring them: by dotted name."""

import tensorflow as tf
import tf_keras

layers = tf_keras.layers


def dense(input_shape, classes):
    return tf_keras.Sequential(
        [
            layers.Input(input_shape),
            layers.Flatten(name="flatten"),
            layers.Dense(16, "relu", name="hidden"),
            layers.Dense(classes, name="logits", dtype="float32"),
        ]
    )


def ends_in_softmax(input_shape, classes):
    flat = layers.Flatten(name="flatten")
    return tf_keras.Sequential([layers.Input(input_shape), flat, layers.Dense(classes, "softmax")])


def deep(input_shape, classes):
    """Ten layers, the last one float32 in every precision."""
    hidden = [layers.Dense(8, "relu", name=f"hidden_{n}") for n in range(9)]
    head = layers.Dense(classes, name="logits", dtype="float32")
    return tf_keras.Sequential([layers.Input(input_shape), layers.Flatten(), *hidden, head])


def single(input_shape, classes):
    """A model whose own code computes in float32 alone."""
    images = layers.Input(input_shape)
    x = layers.Dense(8, name="hidden")(layers.Flatten()(images))
    x = layers.Lambda(lambda y: y + tf.ones(8))(x)
    return tf_keras.Model(images, layers.Dense(classes, name="logits")(x))


def dropout(input_shape, classes):
    return tf_keras.Sequential(
        [
            layers.Input(input_shape),
            layers.Flatten(name="flatten"),
            layers.Dense(16, "relu", name="hidden"),
            layers.Dropout(0.5, name="dropout"),
            layers.Dense(classes, name="logits"),
        ]
    )


def convnet(input_shape, classes):
    """Convolutions, BatchNorm, max pooling, a residual add and a softmax at the end."""
    images = layers.Input(input_shape)
    x = layers.Conv2D(8, 3, padding="same", name="conv_1")(images)
    x = layers.BatchNormalization(name="norm_1")(x)
    x = layers.ReLU(name="relu_1")(x)
    y = layers.Conv2D(8, 3, padding="same", name="conv_2")(x)
    y = layers.BatchNormalization(name="norm_2")(y)
    x = layers.Add(name="add")([x, y])
    x = layers.MaxPooling2D(name="pool")(x)
    x = layers.Flatten(name="flatten")(x)
    x = layers.Dense(classes, name="logits")(x)
    return tf_keras.Model(images, layers.Softmax(name="softmax")(x))


def normed(input_shape, classes):
    """A chain of one convolution with BatchNorm, whose 16 maps are all the channels there are."""
    return tf_keras.Sequential(
        [
            layers.Input(input_shape),
            layers.Conv2D(16, 3, padding="same", name="conv"),
            layers.BatchNormalization(name="norm"),
            layers.ReLU(name="relu"),
            layers.GlobalAveragePooling2D(name="pool"),
            layers.Dense(classes, name="logits"),
        ]
    )


def normalized(input_shape, classes):
    """Normalization has bfloat16 variables where the precision is bfloat16."""
    return tf_keras.Sequential(
        [
            layers.Input(input_shape),
            layers.Normalization(name="scale"),
            layers.Flatten(name="flatten"),
            layers.Dense(16, "relu", name="hidden"),
            layers.Dense(classes, name="logits", dtype="float32"),
        ]
    )


def overflows_in_half(input_shape, classes):
    """Its activations are beyond the range of float16, which BatchNorm hides in float32."""
    return tf_keras.Sequential(
        [
            layers.Input(input_shape),
            layers.Flatten(name="flatten"),
            layers.Dense(16, name="hidden"),
            layers.Rescaling(2e4, name="scale"),
            layers.BatchNormalization(name="norm"),
            layers.ReLU(name="relu"),
            layers.Dense(classes, name="logits", dtype="float32"),
        ]
    )


def explodes_in_half(input_shape, classes):
    """Its outputs are finite and its gradients beyond float16, at every loss scale."""
    return tf_keras.Sequential(
        [
            layers.Input(input_shape),
            layers.Flatten(),
            layers.Dense(16, name="hidden", kernel_initializer="zeros"),
            layers.Rescaling(6e4),
            layers.Dense(16, name="between", kernel_initializer="identity"),
            layers.Rescaling(6e4),
            layers.Dense(classes, name="logits", dtype="float32"),
        ]
    )


def residual(input_shape, classes):
    """A residual net with BatchNorm that ends in logits, of two sets of channels."""
    images = layers.Input(input_shape)
    x = layers.Conv2D(8, 3, padding="same", use_bias=False, name="conv_1")(images)
    x = layers.ReLU(name="relu_1")(layers.BatchNormalization(name="norm_1")(x))
    y = layers.Conv2D(6, 3, padding="same", name="conv_2")(x)
    y = layers.ReLU(name="relu_2")(layers.BatchNormalization(name="norm_2")(y))
    y = layers.Conv2D(8, 1, name="conv_3")(y)
    x = layers.Flatten(name="flatten")(layers.Add(name="add")([x, y]))
    return tf_keras.Model(images, layers.Dense(classes, name="logits")(x))


def keras_3(input_shape, classes):
    import keras

    return keras.Sequential([keras.layers.Flatten(), keras.layers.Dense(classes)])


def tokens(input_shape, vocabulary, classes):
    """Texts of numbered tokens: the mean of their embeddings, for one class each."""
    ids = layers.Input(input_shape, dtype="int32")
    x = layers.Embedding(vocabulary, 8, name="embedding")(ids)
    x = layers.Dense(16, "tanh", name="hidden")(layers.GlobalAveragePooling1D(name="mean")(x))
    return tf_keras.Model(ids, layers.Dense(classes, name="logits")(x))


def two_inputs(input_shape, vocabulary, classes):
    """Numbers and tokens by name."""
    inputs = {
        "ids": layers.Input(input_shape["ids"], dtype="int32", name="ids"),
        "numbers": layers.Input(input_shape["numbers"], name="numbers"),
    }
    x = layers.Embedding(vocabulary["ids"], 4, name="embedding")(inputs["ids"])
    x = layers.Concatenate(name="both")([layers.Flatten(name="flat")(x), inputs["numbers"]])
    x = layers.Dense(16, "relu", name="hidden")(x)
    return tf_keras.Model(inputs, layers.Dense(classes, name="logits")(x))


def next_token(input_shape, vocabulary, classes):
    """Logits of the next token at each token, from that one and the one before it."""
    ids = layers.Input(input_shape, dtype="int32")
    x = layers.Embedding(vocabulary, 8, name="embedding")(ids)
    x = layers.Conv1D(16, 2, padding="causal", activation="tanh", name="conv")(x)
    return tf_keras.Model(ids, layers.Dense(classes, name="logits")(x))
