"""Channel graph: which channels of a built model belong together, read from its layer graph."""

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
PINNED = 0  # the set of all channels that cannot be pruned


class ChannelFlow(NamedTuple):
    """The channels along a tensor's last axis: `parts`, as (set, size), repeated `outer` times."""

    parts: tuple[tuple[int, int], ...]
    outer: int = 1

    @property
    def total(self) -> int:
        return sum(size for _, size in self.parts)

    @property
    def length(self) -> int:
        return self.outer * self.total


class ChannelRole(NamedTuple):
    """The channels along one axis of a variable, and the role of the variable for them."""

    role: str
    flow: ChannelFlow


@dataclasses.dataclass(frozen=True)
class ChannelGroup:
    """A set of channels, and their positions in variables that are not kernels."""

    channels: Channels
    along: tuple[Axis, ...]


def channels(model: tf_keras.Model, prunable: Collection[str]) -> tuple[Channels, ...]:
    """The sets of channels that can be pruned whole, in the order of `prunable`.

    `prunable` are the names of the kernels that masks cover. Left out are channels that another
    kernel writes or reads, that reach the model's inputs or outputs, or that pass through a layer
    of an unknown type. Raises UsageError unless the model is functional or Sequential, and built.
    """
    return tuple(group.channels for group in channel_groups(model, prunable))


def channel_groups(model: tf_keras.Model, prunable: Collection[str]) -> tuple[ChannelGroup, ...]:
    """The sets of `channels`, each with its positions in biases, scales and statistics."""
    check_graph(model, "channels")
    return _ChannelTracer(model, prunable).groups()


class _ChannelTracer:
    """Propagates channels through the graph; the sets of channels are kept by union-find."""

    def __init__(self, model: tf_keras.Model, prunable: Collection[str]) -> None:
        self._model = model
        self._order = {name: number for number, name in enumerate(prunable)}
        self._names = {entry.variable.ref(): entry.name for entry in named_variables(model)}
        self._learned = {self._names[v.ref()] for v in model.trainable_variables}
        self._parents = [PINNED]
        self._roles: dict[tuple[str, int], ChannelRole] = {}
        self._foreign: set[str] = set()

    def groups(self) -> tuple[ChannelGroup, ...]:
        ends = walk(self._model, [_opaque(t) for t in self._model.inputs], self._step)
        for flow in ends:
            self._pin(flow)
        for (name, _), role in self._roles.items():
            kernel = role.role in ("writer", "reader")
            if name in self._foreign or (kernel and name not in self._order):
                self._pin(role.flow)
        return self._collected()

    def _collected(self) -> tuple[ChannelGroup, ...]:
        by_set: dict[int, dict[str, list[Axis]]] = {}
        for (name, axis), (role, flow) in self._roles.items():
            start = 0
            for part, size in flow.parts:
                root = self._find(part)
                if root != PINNED:
                    position = Axis(name, axis, size, start, flow.total, flow.outer)
                    by_set.setdefault(root, {role: [] for role in ROLES})[role].append(position)
                start += size
        complete = [roles for roles in by_set.values() if roles["writer"] and roles["reader"]]
        groups = [self._group(roles) for roles in complete]
        return tuple(sorted(groups, key=lambda group: self._order[group.channels.name]))

    def _group(self, roles: dict[str, list[Axis]]) -> ChannelGroup:
        def names(role: str) -> tuple[str, ...]:
            # A variable that holds other channels as well is left out.
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
        """Join two flows that must be pruned together; both are pinned if their parts differ."""
        if one.outer == other.outer and [s for _, s in one.parts] == [s for _, s in other.parts]:
            for (a, _), (b, _) in zip(one.parts, other.parts, strict=True):
                low, high = sorted((self._find(a), self._find(b)))
                self._parents[high] = low
        else:
            self._pin(one)
            self._pin(other)
        return one

    def _assign(
        self, role: str, variable: tf.Variable | None, axis: int, flow: ChannelFlow
    ) -> None:
        if variable is None:
            return
        name = self._names[variable.ref()]
        if role == "scale" and name not in self._learned:
            role = "rider"
        known = self._roles.get((name, axis))
        if known is None:
            self._roles[name, axis] = ChannelRole(role, flow)
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
                    self._pin(flow)  # a softmax mixes the outputs of the layer, not its inputs
                return [flow]
        for flow in flows:
            self._pin(flow)
        # Its kernels may be shared with a layer of a known type.
        self._foreign |= {self._names.get(v.ref(), "") for v in layer.variables}
        return [_opaque(tensor) for tensor in outputs]

    def _through(
        self,
        layer: tf_keras.layers.Layer,
        flows: Sequence[ChannelFlow],
        inputs: Sequence[tf.Tensor],
        output: tf.Tensor,
    ) -> ChannelFlow | None:
        """The channels of a layer's output, or None if that is not known."""
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
            self._assign("scale", layer.gamma, 0, flow)
            for variable in (layer.beta, layer.moving_mean, layer.moving_variance):
                self._assign("rider", variable, 0, flow)
            return flow
        if kind in (*layer_types.DEPTHWISE, *layer_types.SEPARABLE) and layer.depth_multiplier == 1:
            rank = len(layer.depthwise_kernel.shape)
            self._assign("writer", layer.depthwise_kernel, rank - 2, flow)
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
        self._assign("rider", layer.bias, 0, flow)
        return flow

    def _mixed(
        self, kernel: tf.Variable, inputs: int, outputs: int, flow: ChannelFlow
    ) -> ChannelFlow:
        """The output channels of a kernel, of which `flow` are the input channels."""
        self._assign("reader", kernel, inputs, flow)
        known = self._roles.get((self._names[kernel.ref()], outputs))
        if known is not None:
            return known.flow
        written = self._new(int(kernel.shape[outputs]))
        self._assign("writer", kernel, outputs, written)
        return written

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
    """The channels of all positions in sequence, or unchanged where the last axis is kept."""
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
    """Whether the layer's channels are along the last axis."""
    if getattr(layer, "data_format", None) == "channels_first":
        return False
    axis = getattr(layer, "axis", -1)
    axes = list(axis) if isinstance(axis, list | tuple) else [axis]
    return axes in ([-1], [rank - 1])
