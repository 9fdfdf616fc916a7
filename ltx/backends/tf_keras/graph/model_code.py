"""The hash of the code of a model: of the operations that it traces to, and what they consist of.

The configuration of a model says which layers it has and not what their `call` does. The hash
covers types, attributes and wiring of all operations and the values of constants, and no names and
weights.
"""

import graphlib
import hashlib
import json
from collections.abc import Iterable, Mapping
from typing import Any

import tensorflow as tf
import tf_keras
from tensorflow.python.ops import script_ops

from ltx.core import environment

# Attributes that name something, or say how to run an operation and not what it computes.
_IGNORED = {"config_proto", "container", "executor_type", "shared_name", "token"}


def architecture(model: tf_keras.Model, weights: Mapping[str, tf.Variable]) -> str:
    """The hash of a model's configuration and weight shapes."""
    try:
        config = json.dumps(model.get_config(), sort_keys=True, default=str)
    except NotImplementedError:  # a subclassed model need not have one
        config = ""
    shapes = {name: tuple(variable.shape) for name, variable in weights.items()}
    return hashlib.sha256(f"{config}{shapes}".encode()).hexdigest()[:16]


def model_code(model: tf_keras.Model, inference: Any, variables: Mapping[str, tf.Variable]) -> str:
    """The hash of what a built model computes, for inference and in training.

    `inference` is the traced function of an inference call. Of training the gradients are covered,
    as a custom one is code of its own, and the constraints of the weights. `variables` are all of
    the model by name.
    """
    training = tf.function(lambda given: _learn(model, given), autograph=False)
    specs = inference.structured_input_signature[0]
    graphs = inference.graph, training.get_concrete_function(*specs).graph
    return _hash(_graph(graph, variables) for graph in graphs)


def _learn(model: tf_keras.Model, given: Any) -> None:
    """A forward and backward pass in training mode on each replica."""

    # Of this graph alone, in which operations have seeds from it that the process would else give.
    tf.random.set_seed(0)

    def step(inputs: Any) -> None:
        with tf.GradientTape() as tape:
            outputs = tf.nest.flatten(model(inputs, training=True))
            losses = [tf.cast(part, tf.float32) for part in [*outputs, *model.losses]]
        tape.gradient(losses, model.trainable_variables)
        for variable in model.trainable_variables:
            if variable.constraint is not None:
                variable.constraint(variable)

    model.distribute_strategy.run(step, args=(given,))


def _graph(graph: Any, variables: Mapping[str, tf.Variable]) -> str:
    """The hash of a graph, and of all functions that it calls."""
    definition = graph.as_graph_def()
    handles = {
        id(part.handle): name
        for name, variable in variables.items()
        for part in getattr(variable, "values", (variable,))
    }
    captured = {inner.op.name: _outside(outer, handles) for outer, inner in graph.captures}
    given = [tensor.op.name for tensor in graph.inputs if tensor.op.name not in captured]
    known = captured | {name: f"input {number}" for number, name in enumerate(given)}
    functions = _Functions(definition.library.function)
    hashes = _nodes(definition.node, known, functions)
    ends = [_tensor(tensor.name, hashes) for tensor in graph.outputs]
    return _hash([*sorted(hashes.values()), "outputs", *ends])


def _outside(tensor: Any, handles: Mapping[int, str]) -> str:
    """What stands for a tensor that a graph takes from outside: a variable, or a constant."""
    if name := handles.get(id(tensor)):
        return f"variable {name}"
    if tensor.dtype in (tf.resource, tf.variant) or not hasattr(tensor, "numpy"):
        return f"{tensor.dtype.name} {tensor.shape}"
    content = repr(tensor) if tensor.dtype == tf.string else tensor.numpy().tobytes()
    return _hash(["constant", tensor.dtype.name, str(tensor.shape), content])


class _Functions:
    """The hashes of a graph's functions by their names, which differ from trace to trace."""

    def __init__(self, library: Iterable[Any]) -> None:
        self._library = {one.signature.name: one for one in library}
        self._hashes: dict[str, str] = {}

    def hash(self, name: str) -> str:
        if name not in self._hashes:
            self._hashes[name] = self._hash(name)
        return self._hashes[name]

    def _hash(self, name: str) -> str:
        one = self._library.get(name)
        if one is None:
            return _hash(["unknown function"])
        arguments = [argument.name for argument in one.signature.input_arg]
        known = {name: f"input {number}" for number, name in enumerate(arguments)}
        hashes = _nodes(one.node_def, known, self)
        ends = [_tensor(one.ret[end.name], hashes) for end in one.signature.output_arg]
        return _hash([*sorted(hashes.values()), "outputs", *ends])


def _nodes(nodes: Iterable[Any], known: Mapping[str, str], functions: _Functions) -> dict[str, str]:
    """The hash of each node by its name; it covers all nodes that lead to this one."""
    named = {node.name: node for node in nodes}
    graph = {name: [_node(end) for end in node.input] for name, node in named.items()}
    hashes = {name: _hash([text]) for name, text in known.items()}
    for name in graphlib.TopologicalSorter(graph).static_order():
        if name in hashes or name not in named:
            continue
        node = named[name]
        ends = [_tensor(end, hashes) for end in node.input if end[0] != "^"]
        after = sorted(_tensor(end[1:], hashes) for end in node.input if end[0] == "^")
        hashes[name] = _hash([node.op, *_attributes(node, functions), "inputs", *ends, "^", *after])
    return hashes


def _node(end: str) -> str:
    return end.removeprefix("^").partition(":")[0]


def _tensor(end: str, hashes: Mapping[str, str]) -> str:
    """What stands for one output of a node: `name`, `name:1`, or `name:output:1` in functions."""
    name, _, output = end.partition(":")
    return f"{hashes.get(name, 'missing')}:{output or 0}"


def _attributes(node: Any, functions: _Functions) -> Iterable[str | bytes]:
    for name in sorted(node.attr):
        if name.startswith("_") or name in _IGNORED:
            continue
        value = node.attr[name]
        yield name
        if value.HasField("func"):
            yield functions.hash(value.func.name)
        elif value.HasField("list") and value.list.func:
            yield from (functions.hash(one.name) for one in value.list.func)
        else:
            yield value.SerializeToString(deterministic=True)
    if "token" in node.attr:  # of a Python function that runs within the graph
        called = script_ops._py_funcs.get(node.attr["token"].s.decode())
        yield environment.function_hash(getattr(called, "_func", called))


def _hash(parts: Iterable[str | bytes]) -> str:
    total = hashlib.sha256()
    for part in parts:
        content = part.encode() if isinstance(part, str) else part
        total.update(f"{len(content)}:".encode() + content)
    return total.hexdigest()[:32]
