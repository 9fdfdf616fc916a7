"""ForwardPass: one traced inference call of a model, followed operation by operation."""

import contextlib
import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import tensorflow as tf
import tf_keras

SHAPES = {"Shape", "ShapeN", "Size", "Rank", "ZerosLike", "OnesLike"}
SAME = {"Identity", "IdentityN", "Cast", "Reshape", "Squeeze", "ExpandDims", "EnsureShape"}
SAME |= {"StopGradient", "PreventGradient", "CheckNumerics"}
SUMS = {"Add", "AddV2", "AddN", "Sub", "BiasAdd"}
CHOICES = {*SUMS, "ConcatV2", "Pack", "Maximum", "Minimum", "Select", "SelectV2"}
JOINS = {"ConcatV2", "Pack"}
PRODUCTS = {"MatMul", "BatchMatMulV2", "Einsum", "Conv2D", "Conv3D", "DepthwiseConv2dNative"}
ELEMENTWISE = {*SUMS, "Mul", "RealDiv", "Maximum", "Minimum", "Select", "SelectV2"}
ELEMENTWISE |= {"SquaredDifference", "Pow", "DivNoNan"}
SOFTMAXES = {"Softmax": "softmax", "LogSoftmax": "log_softmax"}
CALLS = {"PartitionedCall", "StatefulPartitionedCall"}
PYTHON = {"PyFunc", "PyFuncStateless", "EagerPyFunc", "NumpyFunction"}
GENERATING = {"RngReadAndSkip", "RngSkip", "StatefulUniform", "StatefulStandardNormalV2"}
UNSEEDED = {"RandomUniform", "RandomUniformInt", "RandomStandardNormal", "TruncatedNormal"}
UNSEEDED |= {"RandomGamma", "RandomPoissonV2", "RandomShuffle", "Multinomial"}
UNSEEDED |= {"ParameterizedTruncatedNormal"}


@dataclasses.dataclass(frozen=True)
class Value:
    """What is known of a tensor.

    `from_input` tells whether it depends on the model's input; if not, `variables` are those that
    it is computed from. If it does, `kernels` are the ones that were applied last. They are
    `unclear` behind a product of two layers, a loop over several layers or a Python function. It is
    `raw` if a part of it has passed no kernel.
    `ending` is "linear" for sums and products with weights, "softmax", "log_softmax", or
    "".
    """

    from_input: bool = False
    variables: frozenset[str] = frozenset()
    kernels: frozenset[str] = frozenset()
    unclear: bool = False
    ending: str = ""
    raw: bool = False


class ForwardPass:
    """The operations of `model(inputs, training=False)` for one example, without running them.

    `specs` are the inputs of one example; the model is called in the context `recording`.
    `variables` are those to follow by name; of them, `units` has the number of outputs of each
    kernel, a variable of rank 2 or more. `output` is what is known of the result, `first` are the
    kernels that were applied to the inputs themselves, `written` are
    the variables that the call assigns to and `unseeded` are the operations that draw random
    numbers from no generator. `has_functions` tells of functions that were compiled inside.
    """

    def __init__(
        self,
        model: tf_keras.Model,
        specs: Any,
        variables: Mapping[str, tf.Variable],
        units: Mapping[str, int],
        recording: Callable[[], contextlib.AbstractContextManager] = contextlib.nullcontext,
    ) -> None:
        self.specs, self._units = specs, units

        def infer(inputs: Any) -> Any:
            with recording():
                return model(inputs, training=False)

        self.function = tf.function(infer, autograph=False).get_concrete_function(specs)
        graph = self.function.graph
        (result,) = tf.nest.flatten(graph.structured_outputs) or (None,)
        self._classes = result.shape[-1] if result is not None and result.shape.rank else None
        self.written: dict[str, None] = {}
        self.first: set[str] = set()
        self.unseeded: list[str] = []
        self.has_functions = False
        handles = {
            id(part.handle): name
            for name, variable in variables.items()
            for part in getattr(variable, "values", (variable,))
        }
        captured = {id(inner): handles.get(id(outer)) for outer, inner in graph.captures}
        given = [
            Value(variables=frozenset([name] if (name := captured[id(tensor)]) else []))
            if id(tensor) in captured
            else Value(from_input=True, raw=True)
            for tensor in graph.inputs
        ]
        (self.output,) = self._visit(graph, given)

    def _visit(self, graph: Any, given: Sequence[Value]) -> list[Value]:
        """What is known of the outputs of a graph, from what is known of its inputs."""
        known = {id(t): value for t, value in zip(graph.inputs, given, strict=True)}
        for operation in graph.get_operations():
            inputs = [known.get(id(tensor), Value()) for tensor in operation.inputs]
            if operation.type == "Placeholder":
                continue
            outputs = self._outputs(operation, inputs)
            known |= {id(t): value for t, value in zip(operation.outputs, outputs, strict=True)}
        return [known.get(id(tensor), Value()) for tensor in graph.outputs]

    def _outputs(self, operation: Any, inputs: list[Value]) -> list[Value]:
        kind = operation.type
        if "Assign" in kind or kind.startswith("ResourceScatter") or kind in GENERATING:
            self.written |= dict.fromkeys(sorted(inputs[0].variables))
            if kind in GENERATING and not inputs[0].variables:
                self.unseeded.append(operation.name)  # a generator that is not followed
        if kind in UNSEEDED:
            self.unseeded.append(operation.name)
        if kind in CALLS:
            self.has_functions = True
            # A function whose gradient was traced before has further outputs, for that gradient.
            return self._visit(inner_graph(operation, "f"), inputs)[: len(operation.outputs)]
        for name in ("cond", "body"):
            if (inner := inner_graph(operation, name)) is not None:
                self._visit(inner, inputs)
        for name in ("then_branch", "else_branch"):
            if (inner := inner_graph(operation, name)) is not None:
                self._visit(inner, inputs[1:])
        value = Value() if kind in SHAPES else self._result(operation, inputs)
        untouched = not value.kernels or (kind in JOINS and any(v.raw for v in inputs))
        value = dataclasses.replace(value, raw=value.from_input and untouched)
        return [value] * len(operation.outputs)

    def _result(self, operation: Any, inputs: list[Value]) -> Value:
        kind, data = operation.type, [value for value in inputs if value.from_input]
        names = frozenset().union(*(v.variables for v in inputs if not v.from_input))
        if not data:
            return Value(variables=names)
        kernels = frozenset(name for name in names if name in self._units)
        if kernels and not _is_elementwise(operation, inputs):
            loop = "While" in kind or kind in ("If", "StatelessIf")
            # Inside a loop over several layers, only some of them read the input.
            if all(value.raw for value in data) and not (loop and kernels & self.first):
                self.first |= kernels
            if loop and len({_layer(name) for name in kernels}) > 1:
                return self._product([Value(True, kernels=frozenset([k])) for k in kernels], "")
            return Value(True, kernels=kernels, ending="linear" if kind in PRODUCTS else "")
        if kind in SOFTMAXES:
            ending = SOFTMAXES[kind]
        elif kind in SAME:
            ending = data[0].ending
        else:
            linear = kind in SUMS and all(value.ending == "linear" for value in data)
            ending = "linear" if linear else ""
        if kind in PYTHON:
            return dataclasses.replace(self._product(data, ending), unclear=True)
        if kind in CHOICES:
            return Value(
                True,
                kernels=frozenset().union(*(value.kernels for value in data)),
                unclear=any(value.unclear for value in data),
                ending=ending,
            )
        return self._product(data, ending)

    def _product(self, data: list[Value], ending: str) -> Value:
        """Of factors with different kernels, the one whose kernels have an output per class."""
        sides = {value.kernels for value in data if value.kernels}
        unclear = any(value.unclear for value in data)
        if len(sides) > 1:
            fitting = {
                frozenset(name for name in side if self._units[name] == self._classes)
                for side in sides
            } - {frozenset()}
            unclear |= len(fitting) != 1
            sides = fitting or sides
        return Value(True, kernels=frozenset().union(*sides), unclear=unclear, ending=ending)


def inner_graph(operation: Any, attribute: str) -> Any:
    """The graph of a function that the operation calls; None without one."""
    try:
        name = operation.get_attr(attribute).name
    except (ValueError, AttributeError):
        return None
    return operation.graph._get_function(name).graph


def _is_elementwise(operation: Any, inputs: list[Value]) -> bool:
    """Whether weights scale or shift single entries of the data, as in PReLU."""
    shape = operation.outputs[0].shape
    same = (t.shape == shape for t, v in zip(operation.inputs, inputs, strict=True) if v.from_input)
    return operation.type in ELEMENTWISE and all(same)


def _layer(name: str) -> str:
    return name.rpartition("/")[0]
