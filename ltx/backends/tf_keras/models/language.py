"""Language models: networks that predict each token of a text from those before it."""

import tf_keras

from ltx.backends.tf_keras.models.blocks import GLOROT_NORMAL, logits
from ltx.backends.tf_keras.models.layers import Positions
from ltx.backends.tf_keras.models.recurrent import states
from ltx.backends.tf_keras.models.sequences import check_whole, sequence
from ltx.backends.tf_keras.models.transformers import block, check_heads, normed
from ltx.core.errors import unknown

BODIES = ("gru", "lstm", "transformer")


def char_lm(
    input_shape: tuple[int, ...],
    classes: int,
    vocabulary: int,
    body: str = "gru",
    width: int = 64,
    depth: int = 1,
    heads: int = 2,
    embedding: int = 32,
    initializer: str = GLOROT_NORMAL,
) -> tf_keras.Model:
    """A language model, an output for each token: a GRU of 64; 24.9K weights for 63 tokens.

    `body` is "gru", "lstm" or "transformer", each of `depth` layers of this width. A transformer
    has a causal attention of `heads` heads and embeds tokens in its width.

    Reference: Karpathy 2015, https://karpathy.github.io/2015/05/21/rnn-effectiveness/.
    """
    if body not in BODIES:
        raise unknown("body of model 'char_lm'", body, BODIES)
    check_whole("char_lm", width=width, depth=depth)
    attends = body == "transformer"
    start = sequence("char_lm", input_shape, vocabulary, width if attends else embedding)
    x = start.vectors
    if attends:
        check_heads("char_lm", width, heads)
        x = Positions(name="positions")(x)
        for number in range(1, depth + 1):
            x = block(x, heads, 4, f"block_{number}", initializer, causal=True)
        x = normed(x, "norm")
    else:
        cell = tf_keras.layers.GRUCell if body == "gru" else tf_keras.layers.LSTMCell
        for number in range(1, depth + 1):
            # Padding is at the end and its outputs do not count, so that no state is masked.
            x = states(f"{body}_{number}", cell, x, None, width, True, initializer)
    return tf_keras.Model(start.inputs, logits(x, classes, initializer), name="char_lm")
