"""Compiled: a function made into a program of TensorFlow's while the clock stands still."""

import os
from collections.abc import Callable, Sequence
from typing import Any

os.environ.setdefault("TF_USE_LEGACY_KERAS", "1")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import tensorflow as tf

from ltx import clock


class Compiled:
    """A function of tensors that is compiled when it first sees inputs of their shapes.

    XLA compiles when a program first runs, so it first runs for nothing: on inputs that make it
    `idle` where the call gives such, else on its own, which is for functions that only measure.
    Without XLA the graph is traced at least.
    """

    def __init__(self, function: Callable[..., Any], xla: bool) -> None:
        self._call = tf.function(function, jit_compile=xla or None, autograph=False)
        self._xla = xla
        self._made: set[tuple[object, ...]] = set()

    def __call__(self, *inputs: Any, idle: Sequence[Any] | None = None) -> Any:
        shapes = tuple(getattr(x, "shape", None) for x in tf.nest.flatten(inputs))
        if shapes not in self._made:
            with clock.stopped():
                self._make(inputs, idle)
            self._made.add(shapes)
        return self._call(*inputs)

    def _make(self, inputs: Sequence[Any], idle: Sequence[Any] | None) -> None:
        if idle is None and not self._xla:
            self._call.get_concrete_function(*inputs)
            return
        for result in tf.nest.flatten(self._call(*(inputs if idle is None else idle))):
            result.numpy()  # until it is done
