"""Traversal: the graph of layer calls of a built model, and values propagated through it."""

from collections.abc import Callable, Iterable, Iterator
from typing import Any, TypeVar

import tensorflow as tf
import tf_keras

from ltx.core.errors import UsageError

_T = TypeVar("_T")


def is_graph(layer: tf_keras.layers.Layer) -> bool:
    """Whether the layer is a model that keeps the graph of its layers."""
    return isinstance(layer, tf_keras.Model) and bool(layer._is_graph_network)


def graph_layers(layer: tf_keras.layers.Layer) -> Iterator[tf_keras.layers.Layer]:
    """All layers in the graph of a model and in those of the models that it holds."""
    if is_graph(layer):
        for inner in layer.layers:
            yield inner
            yield from graph_layers(inner)


def check_graph(model: object, caller: str) -> None:
    """Raise UsageError unless this is a built functional or Sequential model."""
    if not isinstance(model, tf_keras.Model) or not is_graph(model):
        built = getattr(model, "built", None)
        raise UsageError(
            f"{caller}: expected a built functional or Sequential tf_keras model, whose graph says"
            f" how its layers are wired, got a {type(model).__name__} (built: {built}); build it"
            " from tf_keras.Input"
        )


def walk(
    model: tf_keras.Model, values: Iterable[_T], step: Callable[[Any, list[_T]], list[_T]]
) -> list[_T]:
    """Propagate one value for each input tensor to the model's outputs.

    `step` takes a node of Keras' graph, which is one call of one layer, and the values of its
    inputs, and returns those of its outputs.
    """
    held = {id(tensor): value for tensor, value in zip(model.inputs, values, strict=True)}
    for depth in sorted(model._nodes_by_depth, reverse=True):
        for node in model._nodes_by_depth[depth]:
            if not node.is_input:
                results = step(node, [held[id(tensor)] for tensor in node.keras_inputs])
                outputs = tf.nest.flatten(node.outputs)
                held.update((id(t), v) for t, v in zip(outputs, results, strict=True))
    return [held[id(tensor)] for tensor in model.outputs]


def is_plain(node: Any) -> bool:
    """Whether a layer is called on its input tensors only, in order."""
    given = tf.nest.flatten(node.call_args)
    nested = any(isinstance(argument, dict) for argument in node.call_args)
    return not nested and len(given) == len(node.keras_inputs)
