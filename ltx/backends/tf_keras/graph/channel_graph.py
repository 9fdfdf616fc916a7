"""Wiring: how channels run through a built model, read off its graph of layers."""

import dataclasses
import functools
import math
from collections.abc import Collection, Sequence
from typing import Any, NamedTuple

import tensorflow as tf
import tf_keras

from ltx.backends.tf_keras.graph import layer_types
from ltx.backends.tf_keras.graph.traversal import check_graph, is_graph, is_plain, walk
from ltx.backends.tf_keras.graph.variables import named_variables
from ltx.core.prunable import Axis, Channels

layers, activations = tf_keras.layers, tf_keras.activations

ROLES = ("writer", "reader", "scale", "rider")
PINNED = 0  # the set of all channels that stay, whatever is pruned


class ChannelFlow(NamedTuple):
    """What runs along a tensor's last axis: `outer` times the sets in `parts`, as (set, size)."""

    parts: tuple[tuple[int, int], ...]
    outer: int = 1

    @property
    def total(self) -> int:
        return sum(size for _, size in self.parts)

    @property
    def length(self) -> int:
        return self.outer * self.total


class ChannelRole(NamedTuple):
    """The channels along one axis of a variable, and what the variable does with them."""

    role: str
    flow: ChannelFlow


@dataclasses.dataclass(frozen=True)
class ChannelGroup:
    """A set of channels, and where they lie in the variables that are no kernels."""

    channels: Channels
    along: tuple[Axis, ...]


def channels(model: tf_keras.Model, prunable: Collection[str]) -> tuple[Channels, ...]:
    """The sets of channels that can be dropped whole, in the order of `prunable`.

    `prunable` are the names of the kernels that masks cover; channels that any other kernel makes
    or takes are left out, and so are those that reach the model's inputs or outputs or pass
    through a layer of which this module knows nothing. Raises UsageError unless the model is
    functional or Sequential, and built.
    """
    return tuple(wire.channels for wire in channel_groups(model, prunable))


def channel_groups(model: tf_keras.Model, prunable: Collection[str]) -> tuple[ChannelGroup, ...]:
    """The sets of `channels`, each with its places in biases, scales and statistics."""
    check_graph(model, "channels")
    return _ChannelTracer(model, prunable).wires()


class _ChannelTracer:
    """Sends flows of channels through the graph; the sets they join are a union-find."""

    def __init__(self, model: tf_keras.Model, prunable: Collection[str]) -> None:
        self._model = model
        self._order = {name: number for number, name in enumerate(prunable)}
        self._names = {entry.variable.ref(): entry.name for entry in named_variables(model)}
        self._learned = {self._names[v.ref()] for v in model.trainable_variables}
        self._parents = [PINNED]
        self._places: dict[tuple[str, int], ChannelRole] = {}
        self._foreign: set[str] = set()

    def wires(self) -> tuple[ChannelGroup, ...]:
        ends = walk(self._model, [_opaque(t) for t in self._model.inputs], self._step)
        for flow in ends:
            self._pin(flow)
        for (name, _), place in self._places.items():
            kernel = place.role in ("writer", "reader")
            if name in self._foreign or (kernel and name not in self._order):
                self._pin(place.flow)
        return self._collected()

    def _collected(self) -> tuple[ChannelGroup, ...]:
        found: dict[int, dict[str, list[Axis]]] = {}
        for (name, axis), (role, flow) in self._places.items():
            start = 0
            for part, size in flow.parts:
                root = self._find(part)
                if root != PINNED:
                    place = Axis(name, axis, size, start, flow.total, flow.outer)
                    found.setdefault(root, {role: [] for role in ROLES})[role].append(place)
                start += size
        complete = [roles for roles in found.values() if roles["writer"] and roles["reader"]]
        made = [self._wire(roles) for roles in complete]
        return tuple(sorted(made, key=lambda wire: self._order[wire.channels.name]))

    def _wire(self, roles: dict[str, list[Axis]]) -> ChannelGroup:
        def names(role: str) -> tuple[str, ...]:
            # A variable that other channels share is not theirs to name.
            whole = [a for a in roles[role] if a.total == a.size and a.outer == 1]
            return tuple(axis.name for axis in whole)

        writers = sorted(roles["writer"], key=lambda axis: self._order[axis.name])
        readers = sorted(roles["reader"], key=lambda axis: self._order[axis.name])
        size = writers[0].size
        sets = Channels(size, tuple(writers), tuple(readers), names("scale"), names("rider"))
        return ChannelGroup(sets, tuple(roles["scale"] + roles["rider"]))

    # Sets

    def _new(self, size: int) -> ChannelFlow:
        self._parents.append(len(self._parents))
        return ChannelFlow(((self._parents[-1], size),))

    def _find(self, part: int) -> int:
        while self._parents[part] != part:
            self._parents[part] = part = self._parents[self._parents[part]]
        return part

    def _pin(self, flow: ChannelFlow) -> None:
        for part, _ in flow.parts:
            self._parents[self._find(part)] = PINNED

    def _tie(self, one: ChannelFlow, other: ChannelFlow) -> ChannelFlow:
        """The flow of two that must live and die together; pinned where their parts differ."""
        if one.outer == other.outer and [s for _, s in one.parts] == [s for _, s in other.parts]:
            for (a, _), (b, _) in zip(one.parts, other.parts, strict=True):
                low, high = sorted((self._find(a), self._find(b)))
                self._parents[high] = low
        else:
            self._pin(one)
            self._pin(other)
        return one

    def _place(self, role: str, variable: tf.Variable | None, axis: int, flow: ChannelFlow) -> None:
        if variable is None:
            return
        name = self._names[variable.ref()]
        if role == "scale" and name not in self._learned:
            role = "rider"
        known = self._places.get((name, axis))
        if known is None:
            self._places[name, axis] = ChannelRole(role, flow)
        else:
            self._tie(known.flow, flow)

    # Layers

    def _step(self, node: Any, flows: list[ChannelFlow]) -> list[ChannelFlow]:
        layer, outputs = node.layer, tf.nest.flatten(node.outputs)
        if is_plain(node):
            if is_graph(layer) and len(layer.inputs) == len(flows):
                return walk(layer, flows, self._step)
            flow = self._through(layer, flows, node.keras_inputs, outputs[0])
            if flow is not None and flow.length == outputs[0].shape[-1]:
                if getattr(layer, "activation", activations.linear) not in layer_types.ELEMENTWISE:
                    self._pin(flow)  # a softmax mixes what the layer makes, not what it takes
                return [flow]
        for flow in flows:
            self._pin(flow)
        # Its kernels may be those of a layer that is known.
        self._foreign |= {self._names.get(v.ref(), "") for v in layer.variables}
        return [_opaque(tensor) for tensor in outputs]

    def _through(
        self,
        layer: tf_keras.layers.Layer,
        flows: Sequence[ChannelFlow],
        inputs: Sequence[tf.Tensor],
        output: tf.Tensor,
    ) -> ChannelFlow | None:
        """What comes out of a layer, or None where that is not known."""
        kind, flow, rank = type(layer), flows[0], len(inputs[0].shape)
        if kind is layers.Concatenate and _is_last(layer, rank):
            return self._concatenated(flows)
        if kind in layer_types.MERGES or kind is layers.Concatenate:
            return functools.reduce(self._tie, flows)
        if kind in (layers.Flatten, layers.Reshape):
            return _reshaped(layer, flow, inputs[0].shape, output.shape)
        if not _is_last(layer, rank):
            return None
        return flow if kind in layer_types.PASSING else self._weighted(layer, flow)

    def _weighted(self, layer: tf_keras.layers.Layer, flow: ChannelFlow) -> ChannelFlow | None:
        kind = type(layer)
        if kind in layer_types.NORMS and not getattr(layer, "renorm", False):
            self._place("scale", layer.gamma, 0, flow)
            for variable in (layer.beta, layer.moving_mean, layer.moving_variance):
                self._place("rider", variable, 0, flow)
            return flow
        if kind in (*layer_types.DEPTHWISE, *layer_types.SEPARABLE) and layer.depth_multiplier == 1:
            rank = len(layer.depthwise_kernel.shape)
            self._place("writer", layer.depthwise_kernel, rank - 2, flow)
            if kind in layer_types.SEPARABLE:
                flow = self._mixed(layer.pointwise_kernel, rank - 2, rank - 1, flow)
        elif (
            kind in (*layer_types.DENSE, *layer_types.CONVOLUTIONS)
            and getattr(layer, "groups", 1) == 1
        ):
            rank = len(layer.kernel.shape)
            flow = self._mixed(layer.kernel, rank - 2, rank - 1, flow)
        elif kind in layer_types.TRANSPOSED:
            rank = len(layer.kernel.shape)
            flow = self._mixed(layer.kernel, rank - 1, rank - 2, flow)
        else:
            return None
        self._place("rider", layer.bias, 0, flow)
        return flow

    def _mixed(self, kernel: tf.Variable, takes: int, makes: int, flow: ChannelFlow) -> ChannelFlow:
        """The channels that a kernel makes of those that it takes."""
        self._place("reader", kernel, takes, flow)
        known = self._places.get((self._names[kernel.ref()], makes))
        if known is not None:
            return known.flow
        made = self._new(int(kernel.shape[makes]))
        self._place("writer", kernel, makes, made)
        return made

    def _concatenated(self, flows: Sequence[ChannelFlow]) -> ChannelFlow:
        parts: list[tuple[int, int]] = []
        for flow in flows:
            if flow.outer == 1:
                parts += flow.parts
            else:
                self._pin(flow)
                parts.append((PINNED, flow.length))
        return ChannelFlow(tuple(parts))


def _reshaped(
    layer: tf_keras.layers.Layer, flow: ChannelFlow, before: tf.TensorShape, after: tf.TensorShape
) -> ChannelFlow | None:
    """Every position's channels one after the other, or as they were where the last axis stays."""
    positions = before[1:-1].as_list()
    if None in positions or getattr(layer, "data_format", None) == "channels_first":
        return None
    if after[-1] == before[-1]:
        return flow
    if len(after) > 2:
        return None
    return flow._replace(outer=flow.outer * math.prod(positions))


def _opaque(tensor: tf.Tensor) -> ChannelFlow:
    shape = tensor.shape
    return ChannelFlow(((PINNED, (shape[-1] if shape.rank else None) or 0),))


def _is_last(layer: tf_keras.layers.Layer, rank: int) -> bool:
    """Whether the layer takes the last axis for that of channels."""
    if getattr(layer, "data_format", None) == "channels_first":
        return False
    axis = getattr(layer, "axis", -1)
    axes = list(axis) if isinstance(axis, list | tuple) else [axis]
    return axes in ([-1], [rank - 1])
