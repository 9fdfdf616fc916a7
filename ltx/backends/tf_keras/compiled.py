"""Compiled: a function made into a program of TensorFlow's while the clock stands still."""

from collections.abc import Callable, Sequence
from typing import Any

import tensorflow as tf

from ltx.core import clock


class Compiled:
    """A function of tensors that is compiled when it first sees inputs of their shapes.

    XLA compiles when a program first runs, so one that only measures first runs for nothing.
    Without XLA its graph is traced at least. One that does more has to be called by `after`.
    """

    def __init__(self, function: Callable[..., Any], xla: bool) -> None:
        self._call = tf.function(function, jit_compile=xla or None, autograph=False)
        self._xla = xla
        self._made: set[tuple[object, ...]] = set()

    def __call__(self, *inputs: Any) -> Any:
        if self._is_new(inputs):
            with clock.paused():
                if self._xla:
                    _wait(self._call(*inputs))
                else:
                    self._call.get_concrete_function(*inputs)
        return self._call(*inputs)

    def after(self, idle: Sequence[Any], inputs: Sequence[Any]) -> list[Any]:
        """What it returns for the inputs; before that, where it is compiled, for the `idle` ones.

        These are of the same shapes, and make it do nothing.
        """
        results = []
        if self._is_new(inputs):
            with clock.paused():
                results.append(_wait(self._call(*idle)))
        return [*results, self._call(*inputs)]

    def _is_new(self, inputs: Sequence[Any]) -> bool:
        shapes = tuple(getattr(x, "shape", None) for x in tf.nest.flatten(inputs))
        new = shapes not in self._made
        self._made.add(shapes)
        return new


def _wait(results: Any) -> Any:
    """The results, when they are there."""
    for result in tf.nest.flatten(results):
        result.numpy()
    return results
