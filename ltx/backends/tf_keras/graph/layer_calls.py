"""LayerCalls: with which inputs each layer is called in one pass through a model."""

import contextlib
import functools
import math
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import tensorflow as tf
import tf_keras

from ltx.backends.tf_keras.graph import layer_types
from ltx.backends.tf_keras.graph.variables import NamedVariable

Shape = tuple[int, ...]


class LayerCalls:
    """The input shapes of every call of some layers, recorded while a model is traced or run.

    Calls inside an RNN or TimeDistributed layer are not recorded: such a layer repeats its
    sublayers once for each step of its own input. `is_complete` is False if a traced call happens
    in a loop, a branch or a compiled function, or with sizes known only at run time.
    """

    def __init__(self, layers: Iterable[tf_keras.layers.Layer]) -> None:
        self._layers = {id(layer): layer for layer in layers}
        self._shapes: dict[int, list[Shape]] = {}
        self._in_repeat = False
        self.is_complete = True

    def shapes(self, layer: tf_keras.layers.Layer) -> list[Shape]:
        """The shape of the first input at each call, with the batch axis; () if unknown."""
        return self._shapes.get(id(layer), [])

    def uses(self, entry: NamedVariable) -> int:
        """How often one example uses each entry of a kernel; 0 if no call of its layer is known."""
        if entry.repeater is None:
            return layer_types.uses(entry.layer, entry.shape, self.shapes(entry.layer))
        once = layer_types.weight(entry.name, entry.layer, entry.shape, entry.times, False).uses
        built = layer_types.repeats(entry.repeater)
        steps = (math.prod(shape[:2]) for shape in self.shapes(entry.repeater))
        return once // max(1, built) * sum(steps)

    @contextlib.contextmanager
    def recording(self) -> Iterator[None]:
        """Record the calls made inside, in place of those recorded before."""
        self._shapes, self.is_complete = {}, True
        graph = None if tf.executing_eagerly() else tf.compat.v1.get_default_graph()
        before = {key: vars(layer).get("call") for key, layer in self._layers.items()}
        try:
            for layer in self._layers.values():
                vars(layer)["call"] = self._recorded(layer, layer.call, graph)
            yield
        finally:
            for key, layer in self._layers.items():
                if before[key] is None:
                    del vars(layer)["call"]
                else:
                    vars(layer)["call"] = before[key]

    def _recorded(
        self, layer: tf_keras.layers.Layer, call: Callable[..., Any], graph: Any
    ) -> Callable[..., Any]:
        @functools.wraps(call)
        def recorded(*args: Any, **kwargs: Any) -> Any:
            if self._in_repeat:
                return call(*args, **kwargs)
            self._add(layer, (*args, *kwargs.values()), graph)
            self._in_repeat = layer_types.is_repeating(layer)
            try:
                return call(*args, **kwargs)
            finally:
                self._in_repeat = False

        return recorded

    def _add(self, layer: tf_keras.layers.Layer, given: tuple[Any, ...], graph: Any) -> None:
        tensors = [t for t in tf.nest.flatten(given) if tf.is_tensor(t)]
        shape = tensors[0].shape.as_list() if tensors and tensors[0].shape.rank is not None else []
        here = None if tf.executing_eagerly() else tf.compat.v1.get_default_graph()
        self.is_complete &= here is graph and None not in shape
        self._shapes.setdefault(id(layer), []).append(tuple(size or 1 for size in shape))
