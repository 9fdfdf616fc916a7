"""Recurrent networks for signals and texts, of RNN(cell) layers, which XLA compiles well."""

from collections.abc import Callable

import tensorflow as tf
import tf_keras

from ltx.backends.tf_keras.models.blocks import GLOROT_NORMAL, fresh, logits
from ltx.backends.tf_keras.models.layers import Reversed
from ltx.backends.tf_keras.models.sequences import (
    READS,
    Sequence,
    check_whole,
    joined,
    sequence,
)
from ltx.core.errors import unknown

Cell = Callable[..., tf_keras.layers.Layer]


def gru(
    input_shape: tuple[int, ...],
    classes: int,
    vocabulary: int = 0,
    units: int = 64,
    layers: int = 1,
    bidirectional: bool = False,
    embedding: int = 16,
    read: str = "last",
    initializer: str = GLOROT_NORMAL,
) -> tf_keras.Model:
    """A gated recurrent network for signals or texts: 64 units; 16.9K weights for 50 tokens.

    `read` is what the output layer sees: the "last" state, "all" states one after the other, or
    their "max" or "mean". Padding of texts is skipped.

    Reference: Cho et al. 2014, https://arxiv.org/abs/1406.1078.
    """
    start = sequence("gru", input_shape, vocabulary, embedding)
    cell = tf_keras.layers.GRUCell
    return _recurrent("gru", cell, start, classes, units, layers, bidirectional, read, initializer)


def lstm(
    input_shape: tuple[int, ...],
    classes: int,
    vocabulary: int = 0,
    units: int = 64,
    layers: int = 1,
    bidirectional: bool = False,
    embedding: int = 16,
    read: str = "last",
    initializer: str = GLOROT_NORMAL,
) -> tf_keras.Model:
    """A long short-term memory for signals or texts: 64 units; 21.9K weights for 50 tokens.

    `read` is what the output layer sees: the "last" state, "all" states one after the other, or
    their "max" or "mean". Padding of texts is skipped.

    Reference: Hochreiter & Schmidhuber 1997, https://doi.org/10.1162/neco.1997.9.8.1735.
    """
    start = sequence("lstm", input_shape, vocabulary, embedding)
    cell = tf_keras.layers.LSTMCell
    return _recurrent("lstm", cell, start, classes, units, layers, bidirectional, read, initializer)


def _recurrent(
    name: str,
    cell: Cell,
    start: Sequence,
    classes: int,
    units: int,
    layers: int,
    bidirectional: bool,
    how: str,
    initializer: str,
) -> tf_keras.Model:
    if how not in ("last", *READS):
        raise unknown(f"read of model {name!r}", how, ("last", *READS))
    check_whole(name, units=units, layers=layers)
    x = start.vectors
    for number in range(1, layers + 1):
        whole = number < layers or how != "last"
        x = states(
            f"{name}_{number}", cell, x, start.kept, units, whole, initializer, bidirectional
        )
    if how != "last":
        x = joined(name, x, start.kept, how)
    return tf_keras.Model(start.inputs, logits(x, classes, initializer), name=name)


def states(
    name: str,
    cell: Cell,
    x: tf.Tensor,
    kept: tf.Tensor | None,
    units: int,
    whole: bool,
    initializer: str,
    bidirectional: bool = False,
) -> tf.Tensor:
    """The states of a recurrent layer, all of them if `whole`; of both directions side by side."""
    steps = None if kept is None else kept > 0

    def layer(own: str, backwards: bool) -> tf_keras.layers.RNN:
        inner = cell(units, kernel_initializer=fresh(initializer), name="cell")
        return tf_keras.layers.RNN(inner, return_sequences=whole, go_backwards=backwards, name=own)

    ahead = layer(name, False)(x, mask=steps)
    if not bidirectional:
        return ahead
    behind = layer(f"{name}_back", True)(x, mask=steps)
    if whole:
        behind = Reversed(name=f"{name}_reversed")(behind)
    return tf_keras.layers.Concatenate(name=f"{name}_both")([ahead, behind])
