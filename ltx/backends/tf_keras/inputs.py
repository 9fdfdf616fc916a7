"""Inputs: tensors and their descriptions for a model that is traced, probed or measured."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow as tf
import tf_keras

from ltx.data.dataset import InputSpec, Specs
from ltx.data.split import mapped


def example_specs(model: tf_keras.Model, specs: Specs | None = None) -> Any:
    """The inputs of a built model for one example, those of `specs` or else the model's own."""

    def one(shape: Sequence[int | None], dtype: tf.DType) -> tf.TensorSpec:
        return tf.TensorSpec([1, *shape], dtype)

    symbolic = getattr(model, "inputs", None)
    if isinstance(specs, Mapping):
        return {name: one(spec.shape, tf.as_dtype(spec.fed)) for name, spec in specs.items()}
    if symbolic:
        own = [
            one(list(tensor.shape)[1:] if specs is None else specs.shape, tensor.dtype)
            for tensor in symbolic
        ]
        return own[0] if len(own) == 1 else own
    if specs is not None:
        return one(specs.shape, tf.as_dtype(specs.fed))
    shape = model._build_input_shape
    if isinstance(shape, list) and shape and not isinstance(shape[0], (int, type(None))):
        return [one(list(part)[1:], tf.float32) for part in shape]
    return one(list(shape)[1:], tf.float32)


def random_inputs(
    tensor_specs: Any, specs: Specs | None, scale: float, rng: np.random.Generator
) -> Any:
    """Normal numbers of this scale, or tokens of a vocabulary, in the shapes of `example_specs`."""

    def one(tensor: tf.TensorSpec, spec: InputSpec | None) -> tf.Tensor:
        shape = [n or 1 for n in tensor.shape]
        if spec is not None and spec.tokens:
            return tf.constant(rng.integers(spec.tokens, size=shape), tensor.dtype)
        return tf.cast(scale * rng.standard_normal(shape), tensor.dtype)

    if isinstance(specs, Mapping):
        return {name: one(tensor_specs[name], spec) for name, spec in specs.items()}
    return tf.nest.map_structure(lambda tensor: one(tensor, specs), tensor_specs)


def flow_inputs(specs: Specs) -> Any:
    """Ones for numbers; for tokens an example of each, so that every embedding is read alike."""
    flat = list(specs.values()) if isinstance(specs, Mapping) else [specs]
    count = max([1, *(spec.tokens for spec in flat)])

    def one(spec: InputSpec) -> tf.Tensor:
        if not spec.tokens:
            return tf.ones((count, *spec.shape))
        tokens = np.arange(count, dtype=np.int32) % spec.tokens
        return tf.constant(
            np.broadcast_to(tokens.reshape(-1, *[1] * len(spec.shape)), (count, *spec.shape))
        )

    return mapped(one, specs)


def flow_batches(specs: Specs, size: int = 256) -> Iterator[Any]:
    """The examples of `flow_inputs`, at most `size` at a time: a vocabulary may be large."""
    whole = flow_inputs(specs)
    count = int(tf.nest.flatten(whole)[0].shape[0])
    for start in range(0, count, size):
        yield tf.nest.map_structure(lambda x, n=start: x[n : n + size], whole)


def zeros(specs: Specs) -> Any:
    """One example of zeros, as a model is called with to create its variables."""
    return mapped(lambda spec: tf.zeros((1, *spec.shape), spec.fed), specs)
