"""Builder: every tf_keras model that ltx trains is built here, by name or dotted path."""

import contextlib
import hashlib
import importlib
import inspect
import random
import types
from collections.abc import Iterator, Mapping

import numpy as np
import tensorflow as tf
import tf_keras

from ltx.backends import trust
from ltx.backends.tf_keras.models.blocks import Shape
from ltx.backends.tf_keras.models.convnets import BUILDERS, Builder
from ltx.core.errors import UsageError, unknown

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
    if precision not in PRECISIONS:
        raise unknown("precision", precision, PRECISIONS)
    if classes < 1:
        raise UsageError(f"model {name!r} needs at least 1 class, got {classes}.")
    function = resolve(name)
    arguments = _arguments(name, function, input_shape, classes, args)
    forced = _every_layer_in_float64() if precision == "float64" else contextlib.nullcontext()
    with _isolated(seed, PRECISIONS[precision]), forced:
        model = function(**arguments)
        _check_kind(name, model)
        _build_for(name, model, input_shape)
    _check_shapes(name, model, input_shape, classes)
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
    module_name, separator, attribute = name.rpartition(":" if ":" in name else ".")
    if not separator:
        remedy = "Or give the dotted path of a function: package.module.function."
        raise unknown("model", name, BUILDERS, remedy)
    trust.require(name)
    try:
        module = importlib.import_module(module_name)
    except Exception as error:
        raise UsageError(
            f"model {name!r}: module {module_name!r} cannot be imported "
            f"({type(error).__name__}: {_one_line(error)}); install it or put its folder on "
            "PYTHONPATH."
        ) from error
    if not hasattr(module, attribute):
        public = [key for key, value in vars(module).items() if key[0] != "_" and callable(value)]
        raise unknown(f"function of module {module_name!r}", attribute, public)
    function = getattr(module, attribute)
    if not callable(function):
        raise UsageError(
            f"model {name!r} is of type {type(function).__name__}; expected a function that "
            "returns a tf_keras model."
        )
    # What an instance does was decided by the package that made it.
    if isinstance(function, type) or inspect.isroutine(function):
        trust.require(name, getattr(function, "__module__", None) or "")
    return function


def _arguments(
    name: str, function: Builder, input_shape: Shape, classes: int, args: Mapping[str, object]
) -> dict[str, object]:
    signature = inspect.signature(function)
    task = {"input_shape": tuple(input_shape), "classes": classes, "num_classes": classes}
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


def _build_for(name: str, model: tf_keras.Model, input_shape: Shape) -> None:
    if model.built:
        return
    try:
        model.build((None, *input_shape))
    except (ValueError, TypeError, NotImplementedError, tf.errors.OpError) as error:
        raise UsageError(
            f"model {name!r} cannot be built for inputs of shape {tuple(input_shape)}: "
            f"{_one_line(error)}"
        ) from error


def _check_shapes(name: str, model: tf_keras.Model, input_shape: Shape, classes: int) -> None:
    expected_input = (None, *input_shape)
    # Subclassed models have no symbolic input; Keras can only compute what comes out.
    symbolic = bool(getattr(model, "inputs", None))
    if symbolic and not _accepts(model.input_shape, expected_input):
        raise UsageError(
            f"model {name!r} takes inputs of shape {model.input_shape}; the task's are "
            f"{expected_input}: build it from the input_shape argument."
        )
    output = model.output_shape if symbolic else model.compute_output_shape(expected_input)
    if isinstance(output, tf.TensorShape):
        output = tuple(output.as_list())
    if output != (None, classes):
        raise UsageError(
            f"model {name!r} has outputs of shape {output}; expected {(None, classes)}, one logit "
            "for each class of the task."
        )


def _accepts(accepted: object, shape: tuple[int | None, ...]) -> bool:
    if not isinstance(accepted, tuple) or len(accepted) != len(shape):
        return False
    return all(a is None or a == b for a, b in zip(accepted, shape, strict=True))


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())


def _sentence(builder: Builder) -> str:
    return " ".join((inspect.getdoc(builder) or "").split("\n\n")[0].split())
