"""Random numbers: the operations of a traced graph that draw them from no seed that is set."""

from collections.abc import Callable, Iterable
from typing import Any

import tensorflow as tf

from ltx.backends.tf_keras.graph.forward_pass import GENERATING, UNSEEDED, inner_graph

FUNCTIONS = ("f", "cond", "body", "then_branch", "else_branch")


def unseeded(graph: Any, generators: Iterable[tf.random.Generator]) -> list[str]:
    """The names of operations in this graph that draw random numbers from other generators.

    Those of the functions that it calls are included. An operation with a seed of its own counts
    too: it goes on from draw to draw by a state that cannot be set.
    """
    states = [generator.state for generator in generators]
    handles = {id(part.handle) for state in states for part in getattr(state, "values", (state,))}
    return list(_unseeded(graph, lambda tensor: id(_captured(tensor)) in handles))


def _unseeded(graph: Any, is_known: Callable[[tf.Tensor], bool]) -> Iterable[str]:
    for operation in graph.get_operations():
        kind = operation.type
        if kind in UNSEEDED or (kind in GENERATING and not is_known(operation.inputs[0])):
            yield operation.name
        for name in FUNCTIONS:
            if (inner := inner_graph(operation, name)) is not None:
                given = list(operation.inputs)
                if name in ("then_branch", "else_branch"):  # the first input is the condition
                    given = given[1:]
                outer = {id(t): g for t, g in zip(inner.inputs, given, strict=False)}
                yield from _unseeded(inner, _through(outer, is_known))


def _through(
    outer: dict[int, tf.Tensor], is_known: Callable[[tf.Tensor], bool]
) -> Callable[[tf.Tensor], bool]:
    """`is_known` of the tensors that a function is given, for its inputs."""
    return lambda tensor: id(tensor) in outer and is_known(outer[id(tensor)])


def _captured(tensor: Any) -> Any:
    """What a graph that is being traced, inside others or not, has captured as this tensor."""
    while (graph := getattr(tensor, "graph", None)) is not None:
        outer = next((o for o, i in getattr(graph, "captures", ()) if i is tensor), None)
        if outer is None:
            break
        tensor = outer
    return tensor
