"""ArrayOps: the few array functions that a loss is written in, and NumPy's versions of them."""

from typing import Any, Protocol

import numpy as np

Array = Any  # of numpy, TensorFlow or another library


class ArrayOps(Protocol):
    """Functions of one array library; `+`, `*`, `-x`, `<` and indexing are used as they are.

    Floating arrays keep their dtype: float32 in training, float64 where a whole split is measured.
    """

    def log_softmax(self, x: Array) -> Array:
        """Log-probabilities of logits along the last axis."""

    def softplus(self, x: Array) -> Array:
        """log(1 + exp(x)), without overflow."""

    def log(self, x: Array) -> Array: ...

    def exp(self, x: Array) -> Array: ...

    def abs(self, x: Array) -> Array: ...

    def square(self, x: Array) -> Array: ...

    def maximum(self, x: Array, y: Array | float) -> Array: ...

    def minimum(self, x: Array, y: Array | float) -> Array: ...

    def where(self, condition: Array, x: Array, y: Array | float) -> Array: ...

    def sum(self, x: Array, axis: int | tuple[int, ...]) -> Array: ...

    def mean(self, x: Array, axis: int | tuple[int, ...]) -> Array: ...

    def cast(self, x: Array, like: Array) -> Array:
        """`x`, of any dtype, in the floating dtype of `like`."""

    def one_hot(self, labels: Array, depth: int, on: float, off: float, like: Array) -> Array:
        """[..., depth], `on` at each label and `off` elsewhere, in the dtype of `like`."""

    def argmax(self, x: Array) -> Array:
        """The index of the largest value along the last axis, int32; the first of equals."""

    def arange(self, count: int) -> Array:
        """0 to count - 1, int32."""

    def equal(self, x: Array, y: Array) -> Array: ...

    def clip(self, x: Array, low: float, high: float) -> Array: ...


class NumPyOps:
    """ArrayOps of numpy."""

    log, exp, abs, square = np.log, np.exp, np.abs, np.square
    maximum, minimum, equal = np.maximum, np.minimum, np.equal
    where = staticmethod(np.where)

    @staticmethod
    def log_softmax(x: np.ndarray) -> np.ndarray:
        shifted = x - x.max(axis=-1, keepdims=True)
        result: np.ndarray = shifted - np.log(np.exp(shifted).sum(axis=-1, keepdims=True))
        return result

    @staticmethod
    def softplus(x: np.ndarray) -> np.ndarray:
        result: np.ndarray = np.logaddexp(0, x).astype(x.dtype)
        return result

    @staticmethod
    def sum(x: np.ndarray, axis: int | tuple[int, ...]) -> np.ndarray:
        return np.asarray(x.sum(axis=axis))

    @staticmethod
    def mean(x: np.ndarray, axis: int | tuple[int, ...]) -> np.ndarray:
        return np.asarray(x.mean(axis=axis))

    @staticmethod
    def cast(x: np.ndarray, like: np.ndarray) -> np.ndarray:
        return x.astype(like.dtype)

    @staticmethod
    def one_hot(
        labels: np.ndarray, depth: int, on: float, off: float, like: np.ndarray
    ) -> np.ndarray:
        chosen = labels[..., None] == np.arange(depth)
        return np.where(chosen, on, off).astype(like.dtype)

    @staticmethod
    def argmax(x: np.ndarray) -> np.ndarray:
        return x.argmax(axis=-1).astype(np.int32)

    @staticmethod
    def arange(count: int) -> np.ndarray:
        return np.arange(count, dtype=np.int32)

    @staticmethod
    def clip(x: np.ndarray, low: float, high: float) -> np.ndarray:
        return np.clip(x, low, high)


NUMPY: ArrayOps = NumPyOps()  # type: ignore[assignment]
