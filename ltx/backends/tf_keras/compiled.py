"""Compiled: a function compiled by TensorFlow while the training clock is paused."""

from collections.abc import Callable, Sequence
from typing import Any

import tensorflow as tf

from ltx.core import clock


class Compiled:
    """A function of tensors, compiled at its first call with inputs of new shapes.

    XLA compiles when a program runs, so the first call of a function without side effects runs it
    twice. Without XLA the graph is only traced. A function with side effects must be called by
    `warm_up_then_call`.
    """

    def __init__(self, function: Callable[..., Any], xla: bool) -> None:
        self._call = tf.function(function, jit_compile=xla or None, autograph=False)
        self._xla = xla
        self._compiled_shapes: set[tuple[object, ...]] = set()

    def __call__(self, *inputs: Any) -> Any:
        if self._is_new(inputs):
            with clock.paused():
                if self._xla:
                    _wait(self._call(*inputs))
                else:
                    self._call.get_concrete_function(*inputs)
        return self._call(*inputs)

    def warm_up_then_call(self, idle: Sequence[Any], inputs: Sequence[Any]) -> list[Any]:
        """The result for `inputs`, preceded by that for `idle` if this call compiles the function.

        `idle` are inputs of the same shapes with which the function has no effect.
        """
        results = []
        if self._is_new(inputs):
            with clock.paused():
                results.append(_wait(self._call(*idle)))
        return [*results, self._call(*inputs)]

    def _is_new(self, inputs: Sequence[Any]) -> bool:
        shapes = tuple(getattr(x, "shape", None) for x in tf.nest.flatten(inputs))
        new = shapes not in self._compiled_shapes
        self._compiled_shapes.add(shapes)
        return new


def _wait(results: Any) -> Any:
    """The results, once they are computed."""
    for result in tf.nest.flatten(results):
        result.numpy()
    return results
