"""Builder: every tf_keras model that ltx trains is built here, by name or dotted path."""

import contextlib
import hashlib
import inspect
import random
import types
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import tensorflow as tf
import tf_keras

from ltx.backends.tf_keras.inputs import zeros
from ltx.backends.tf_keras.models.blocks import Shape
from ltx.backends.tf_keras.models.catalogue import BUILDERS, Builder
from ltx.core import trust
from ltx.core.errors import UsageError, unknown
from ltx.core.validation import warn_once
from ltx.data.dataset import InputSpec, Specs
from ltx.data.split import mapped

PRECISIONS = {
    "float32": "float32",
    "bfloat16": "mixed_bfloat16",
    "float16": "mixed_float16",
    "float64": "float64",
}


def names() -> dict[str, str]:
    """Every model with a name, and one sentence about it."""
    return {name: _sentence(builder) for name, builder in BUILDERS.items()}


def build(
    name: str,
    input_shape: Shape,
    classes: int,
    args: Mapping[str, object] = types.MappingProxyType({}),
    seed: int = 0,
    precision: str = "float32",
) -> tf_keras.Model:
    """A built, uncompiled tf_keras model, from a known name or a dotted path to any function.

    The function gets those of `input_shape`, `classes` (or `num_classes`) that its signature
    names, and all of `args`. Same seed, same initial bytes. Python's and numpy's global random
    states and the global precision policy are left as they were; TensorFlow's seed is not.
    In float64 every layer computes in it, also one that was given another float type.

    Raises UsageError for an unknown name, a dotted path of a package that is not trusted, an
    invalid argument or a result that is no such model.
    """
    if classes < 1:
        raise UsageError(f"model {name!r} needs at least 1 class, got {classes}.")
    return build_for(name, InputSpec(tuple(input_shape)), (classes,), args, seed, precision)


def build_for(
    name: str,
    inputs: Specs,
    outputs: tuple[int, ...],
    args: Mapping[str, object] = types.MappingProxyType({}),
    seed: int = 0,
    precision: str = "float32",
) -> tf_keras.Model:
    """`build` for any inputs and outputs; `classes` is then the last side of an example's outputs.

    Of tokens, the function also gets their number as `vocabulary`. For several inputs `input_shape`
    and `vocabulary` are mappings by name.
    """
    if precision not in PRECISIONS:
        raise unknown("precision", precision, PRECISIONS)
    function = resolve(name)
    arguments = _arguments(name, function, inputs, outputs, args)
    forced = _every_layer_in_float64() if precision == "float64" else contextlib.nullcontext()
    with _isolated(seed, PRECISIONS[precision]), forced:
        model = function(**arguments)
        _check_kind(name, model)
        _build_for(name, model, inputs)
    _check_shapes(name, model, inputs, outputs)
    return model


@contextlib.contextmanager
def _isolated(seed: int, policy: str) -> Iterator[None]:
    python_state, numpy_state = random.getstate(), np.random.get_state()
    previous = tf_keras.mixed_precision.global_policy()
    derived = int.from_bytes(hashlib.sha256(f"ltx model {seed}".encode()).digest()[:4], "big")
    try:
        # Dropout must keep its random state in a variable, which the training loop sets per step.
        tf_keras.backend.experimental.enable_tf_random_generator()
        # Not clear_session, which would also drop the graph that other models still use.
        tf_keras.backend.reset_uids()
        tf_keras.utils.set_random_seed(derived)
        tf_keras.mixed_precision.set_global_policy(policy)
        yield
    finally:
        tf_keras.mixed_precision.set_global_policy(previous)
        np.random.set_state(numpy_state)
        random.setstate(python_state)


@contextlib.contextmanager
def _every_layer_in_float64() -> Iterator[None]:
    """Give layers that are made in this context the policy float64 in place of another float's."""
    # Private, but the only place that sees every layer of every style of model before it is built.
    original = tf_keras.layers.Layer._set_dtype_policy

    def set_policy(layer: tf_keras.layers.Layer, dtype: object) -> None:
        original(layer, dtype)
        compute = layer._dtype_policy.compute_dtype
        if compute is not None and tf.as_dtype(compute).is_floating:
            original(layer, "float64")

    tf_keras.layers.Layer._set_dtype_policy = set_policy
    try:
        yield
    finally:
        tf_keras.layers.Layer._set_dtype_policy = original


def has_own_code(name: str) -> bool:
    """Whether a model is of the user's code; that of ltx and tf_keras is known by its version."""
    module = getattr(resolve(name), "__module__", None) or name
    return module.partition(".")[0] not in ("ltx", "tf_keras")


def resolve(name: str) -> Builder:
    """The function that builds the model of this name or dotted path; UsageError without one."""
    if name in BUILDERS:
        return BUILDERS[name]
    if not trust.is_path(name):
        remedy = "Or give the dotted path of a function: package.module.function."
        raise unknown("model", name, BUILDERS, remedy)
    return trust.imported("model", name)


def _arguments(
    name: str,
    function: Builder,
    inputs: Specs,
    outputs: tuple[int, ...],
    args: Mapping[str, object],
) -> dict[str, object]:
    signature = inspect.signature(function)
    task = {"input_shape": mapped(lambda spec: spec.shape, inputs)}
    task |= dict.fromkeys(("classes", "num_classes"), outputs[-1])
    flat = inputs.values() if isinstance(inputs, Mapping) else [inputs]
    if any(spec.tokens for spec in flat):
        task["vocabulary"] = mapped(lambda spec: spec.tokens, inputs)
        if name in BUILDERS and "vocabulary" not in signature.parameters:
            warn_once(
                f"model {name!r} has no embedding and takes the numbers of tokens as quantities;"
                " whole-number inputs are tokens: store a table of numbers as floats"
            )
    elif _is_required(signature, "vocabulary"):
        raise UsageError(
            f"model {name!r} reads tokens; the task's inputs are numbers of shape"
            f" {task['input_shape']}: choose another model or data set"
        )
    kinds = {parameter.kind for parameter in signature.parameters.values()}
    for argument in args:
        if argument in task:
            raise UsageError(
                f"model {name!r}: argument {argument!r} follows from the data set; "
                "leave it out of the model's arguments."
            )
        if argument not in signature.parameters and inspect.Parameter.VAR_KEYWORD not in kinds:
            takes = [key for key in signature.parameters if key not in task]
            raise unknown(f"argument of model {name!r}", argument, takes)
    wanted = {key: value for key, value in task.items() if key in signature.parameters}
    arguments = {**wanted, **args}
    try:
        signature.bind(**arguments)
    except TypeError as error:
        raise UsageError(
            f"model {name!r} cannot be called with {', '.join(arguments) or 'nothing'}: "
            f"{_one_line(error)}; give what is missing in the model's arguments."
        ) from error
    return arguments


def _check_kind(name: str, model: object) -> None:
    if isinstance(model, tf_keras.Model):
        return
    # By module name: importing Keras 3 for an isinstance check would take seconds.
    if any(parent.__module__.split(".")[0] == "keras" for parent in type(model).__mro__):
        raise UsageError(
            f"model {name!r} returned a Keras 3 {type(model).__name__}; build it with tf_keras "
            "(import tf_keras instead of keras), because TF-MOT masks tf_keras layers only."
        )
    raise UsageError(
        f"model {name!r} returned a {type(model).__name__}; expected an uncompiled tf_keras model."
    )


def _is_required(signature: inspect.Signature, name: str) -> bool:
    parameter = signature.parameters.get(name)
    return parameter is not None and parameter.default is inspect.Parameter.empty


def _build_for(name: str, model: tf_keras.Model, inputs: Specs) -> None:
    if model.built:
        return
    try:
        if isinstance(inputs, Mapping) or inputs.tokens:
            model(zeros(inputs))
        else:
            model.build((None, *inputs.shape))
    except (ValueError, TypeError, KeyError, NotImplementedError, tf.errors.OpError) as error:
        shapes = mapped(lambda spec: spec.shape, inputs)
        raise UsageError(
            f"model {name!r} cannot be built for inputs of shape {shapes}: {_one_line(error)}"
        ) from error


def _check_shapes(
    name: str, model: tf_keras.Model, inputs: Specs, outputs: tuple[int, ...]
) -> None:
    expected_input = mapped(lambda spec: (None, *spec.shape), inputs)
    # Subclassed models have no symbolic input; Keras can only compute what comes out.
    symbolic = bool(getattr(model, "inputs", None))
    if symbolic and not _accepts(model.input_shape, expected_input):
        raise UsageError(
            f"model {name!r} takes inputs of shape {model.input_shape}; the task's are "
            f"{expected_input}: build it from the input_shape argument."
        )
    output = model.output_shape if symbolic else _output_shape(model, inputs, expected_input)
    if isinstance(output, tf.TensorShape):
        output = tuple(output.as_list())
    if output != (None, *outputs):
        what = "one logit for each class" if len(outputs) == 1 else "the targets' outputs"
        raise UsageError(
            f"model {name!r} has outputs of shape {output}; expected {(None, *outputs)}, {what}"
            " of the task."
        )


def _output_shape(model: tf_keras.Model, inputs: Specs, shape: Any) -> Any:
    if isinstance(inputs, Mapping) or inputs.tokens:
        return (None, *model(zeros(inputs)).shape[1:])
    return model.compute_output_shape(shape)


def _accepts(accepted: object, shape: Any) -> bool:
    if isinstance(shape, Mapping):
        return (
            isinstance(accepted, Mapping)
            and accepted.keys() == shape.keys()
            and all(_accepts(accepted[name], shape[name]) for name in shape)
        )
    if not isinstance(accepted, tuple) or len(accepted) != len(shape):
        return False
    return all(a is None or a == b for a, b in zip(accepted, shape, strict=True))


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())


def _sentence(builder: Builder) -> str:
    return " ".join((inspect.getdoc(builder) or "").split("\n\n")[0].split())
