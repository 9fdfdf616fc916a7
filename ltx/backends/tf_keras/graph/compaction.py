"""Compaction: a ticket's network without its dead channels, as a smaller tf_keras model."""

import dataclasses
from collections.abc import Mapping
from typing import Any

import numpy as np
import tensorflow as tf
import tf_keras

from ltx.backends.tf_keras.graph import constant_folding
from ltx.backends.tf_keras.graph.channel_graph import ChannelGroup, channel_groups
from ltx.backends.tf_keras.graph.layer_types import CONVOLUTIONS, DENSE, SEPARABLE, TRANSPOSED
from ltx.backends.tf_keras.graph.traversal import check_graph, is_graph, is_plain, walk
from ltx.backends.tf_keras.graph.variables import named_variables
from ltx.core.errors import UsageError
from ltx.core.prunable import Axis
from ltx.core.state import State
from ltx.core.ticket import Ticket

DEAD_INPUTS = 0.25  # from this share of dead inputs a gather is faster, in an XLA loop


def compact(model: tf_keras.Model, ticket: Ticket, state: State | None = None) -> tf_keras.Model:
    """A new model with the ticket's weights that computes the same, without its dead channels.

    `model` has the ticket's architecture and is built, functional or Sequential; it is not
    changed. A channel is dead if no surviving weight reads it, or if none writes it and its value
    in inference is zero or can be folded exactly into the biases of all its readers. At least one
    channel of every set stays. Input pixels are dropped if a dense layer reads them and a quarter
    or more are dead. Pruned weights in live channels become ordinary zeros, which further
    training changes unless it masks them.

    `state` replaces the ticket's, for example by the trained one.
    Raises UsageError for another kind of model, or for a ticket of another architecture.
    """
    check_graph(model, "compact")
    state = ticket.state if state is None else state
    masks = _fitting(model, ticket, state)
    arrays = {entry.name: entry.variable.numpy() for entry in named_variables(model)}
    arrays |= {**state.statistics, **ticket.mask.apply(state.weights)}
    groups = channel_groups(model, masks)
    dead = _dead(model, groups, masks, arrays)
    for name, keep in masks.items():
        arrays[name] = np.where(keep, arrays[name], arrays[name].dtype.type(0))
    smaller = _without(groups, dead, arrays)
    picked = _needed_inputs(model, masks)
    for name, places in picked.items():
        smaller[name] = smaller[name][places]
    return _Builder(model, smaller, picked).build()


def _fitting(model: tf_keras.Model, ticket: Ticket, state: State) -> dict[str, np.ndarray]:
    """The ticket's masks; UsageError unless they and the state fit this model."""
    shapes = {entry.name: entry.shape for entry in named_variables(model)}
    given = {**state.weights, **state.statistics}
    for kind, arrays in (("mask", ticket.mask), ("state", given)):
        for name, array in arrays.items():
            if shapes.get(name) != array.shape:
                raise UsageError(
                    f"compact: the {kind} of ticket {ticket.id} has {name} of shape {array.shape},"
                    f" model {model.name!r} has {shapes.get(name, 'no such variable')}; build the"
                    " model that the ticket was found in"
                )
    if missing := sorted(shapes.keys() - given.keys()):
        raise UsageError(
            f"compact: the state of ticket {ticket.id} has no {missing[0]}, model {model.name!r}"
            " does; build the model that the ticket was found in"
        )
    return dict(ticket.mask)


def _dead(
    model: tf_keras.Model,
    groups: tuple[ChannelGroup, ...],
    masks: dict[str, np.ndarray],
    arrays: dict[str, np.ndarray],
) -> list[np.ndarray]:
    """Which channels of each set are dead, bool [size].

    Removes them from `masks` and adds their constant values to the biases of their readers, until
    no more channels die: a dead channel may have been the only reader or writer of others.
    """
    dead = [np.zeros(group.channels.size, np.bool_) for group in groups]
    while True:
        inputs = constant_folding.constant_inputs(model, masks, arrays)
        before = sum(int(gone.sum()) for gone in dead)
        for number, group in enumerate(groups):
            new = ~dead[number]
            for axis in group.channels.readers:
                new &= _not_needed(axis, masks[axis.name], inputs[axis.name])
            for axis in group.channels.readers:
                _fold(axis, new, masks[axis.name], inputs[axis.name], arrays)
            masks.update(group.channels.drop(masks, new))
            dead[number] |= new
        if sum(int(gone.sum()) for gone in dead) == before:
            return dead


def _not_needed(
    axis: Axis, mask: np.ndarray, inputs: list[constant_folding.ConstantInput]
) -> np.ndarray:
    """Which input channels this kernel does not need, bool [size]."""
    dead = ~_along(axis, _live(axis, mask))
    unneeded = np.ones(axis.size, np.bool_)
    for read in inputs:
        values = _along(axis, read.values)
        free = dead | (values == 0)
        if read.bias is not None and len(inputs) == 1:  # one bias cannot take two calls' constants
            free |= ~np.isnan(values)
        unneeded &= free.all(axis=1)
    return unneeded


def _fold(
    axis: Axis,
    dead: np.ndarray,
    mask: np.ndarray,
    inputs: list[constant_folding.ConstantInput],
    arrays: dict[str, np.ndarray],
) -> None:
    """Add the constant contribution of dead channels to the reader's bias."""
    read = inputs[0]
    if read.bias is None:
        return
    values = np.where(axis.places(dead), np.nan_to_num(read.values), 0)
    if values.any():
        kernel = np.where(mask, arrays[axis.name], 0).astype(np.float64)
        taken = np.tensordot(values, np.moveaxis(kernel, axis.axis, 0), 1)
        bias = arrays[read.bias]
        arrays[read.bias] = (bias + taken.reshape(-1, len(bias)).sum(axis=0)).astype(bias.dtype)


def _along(axis: Axis, values: np.ndarray) -> np.ndarray:
    """Values along the axis, as [size, positions]."""
    return dataclasses.replace(axis, axis=0).split(values)


def _live(axis: Axis, mask: np.ndarray) -> np.ndarray:
    others = tuple(number for number in range(mask.ndim) if number != axis.axis)
    return np.asarray(mask.any(axis=others))


def _without(
    groups: tuple[ChannelGroup, ...], dead: list[np.ndarray], arrays: Mapping[str, np.ndarray]
) -> dict[str, np.ndarray]:
    """All variables without the entries of dead channels."""
    keep: dict[tuple[str, int], np.ndarray] = {}
    for group, gone in zip(groups, dead, strict=True):
        dropped = gone.copy()
        dropped[0] &= not gone.all()  # a layer needs at least one channel
        for axis in (*group.channels.writers, *group.channels.readers, *group.along):
            kept = keep.setdefault(
                (axis.name, axis.axis), np.ones(arrays[axis.name].shape[axis.axis], np.bool_)
            )
            kept &= ~axis.places(dropped)
    smaller = dict(arrays)
    for (name, number), kept in keep.items():
        smaller[name] = np.compress(kept, smaller[name], number)
    return smaller


def _needed_inputs(model: tf_keras.Model, masks: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """The input positions that each dense kernel on the model's (flattened) input needs.

    Only for kernels with so many dead inputs that a gather costs less than multiplying by zeros.
    """
    names = {entry.variable.ref(): entry.name for entry in named_variables(model)}
    needed: dict[str, np.ndarray] = {}

    def visit(node: Any, values: list[bool]) -> list[bool]:
        layer = node.layer
        reads = type(layer) in DENSE and values[0] and len(node.keras_inputs[0].shape) == 2
        if reads and len(layer.inbound_nodes) == 1 and names[layer.kernel.ref()] in masks:
            live = np.asarray(masks[names[layer.kernel.ref()]].any(axis=1))
            live[0] |= not live.any()  # a layer needs at least one input
            if live.mean() <= 1 - DEAD_INPUTS:
                needed[names[layer.kernel.ref()]] = np.flatnonzero(live)
        passes = isinstance(layer, tf_keras.layers.Flatten) and values[0]
        return [passes for _ in tf.nest.flatten(node.outputs)]

    walk(model, [True for _ in model.inputs], visit)
    return needed


class _Builder:
    """Rebuilds a model with smaller layers."""

    def __init__(
        self,
        model: tf_keras.Model,
        arrays: Mapping[str, np.ndarray],
        picked: Mapping[str, np.ndarray],
    ) -> None:
        self._model, self._arrays, self._picked = model, arrays, picked
        self._names = {entry.variable.ref(): entry.name for entry in named_variables(model)}
        self._layers: dict[int, tf_keras.layers.Layer] = {}

    def build(self) -> tf_keras.Model:
        inputs = [
            tf_keras.Input(t.shape[1:], t.shape[0], t.node.layer.name, t.dtype)
            for t in self._model.inputs
        ]
        return self._rebuilt(self._model, inputs)

    def _rebuilt(self, model: tf_keras.Model, inputs: list[tf.Tensor]) -> tf_keras.Model:
        outputs = walk(model, inputs, self._step)
        return tf_keras.Model(
            tf.nest.pack_sequence_as(model._nested_inputs, inputs),
            tf.nest.pack_sequence_as(model._nested_outputs, outputs),
            name=model.name,
        )

    def _step(self, node: Any, tensors: list[tf.Tensor]) -> list[tf.Tensor]:
        layer = node.layer
        if type(layer) in DENSE:
            places = self._picked.get(self._names[layer.kernel.ref()])
            if places is not None:
                # Not a layer of ltx, so that the model loads without ltx.
                tensors = [tf.gather(tensors[0], places.tolist(), axis=1)]
        if id(layer) not in self._layers:
            self._layers[id(layer)] = self._new(node, tensors)
        new = self._layers[id(layer)]
        held: dict[str, list[tf.Tensor]] = {}
        for old, tensor in zip(node.keras_inputs, tensors, strict=True):
            held.setdefault(str(id(old)), []).append(tensor)
        args, kwargs = node.map_arguments(held)
        outputs = tf.nest.flatten(new(*args, **kwargs))
        if not (is_graph(layer) and is_plain(node)):
            for old, variable in zip(layer.weights, new.weights, strict=True):
                variable.assign(self._arrays[self._names[old.ref()]])
        return outputs

    def _new(self, node: Any, tensors: list[tf.Tensor]) -> tf_keras.layers.Layer:
        layer = node.layer
        if is_graph(layer) and is_plain(node):
            inputs = [
                tf_keras.Input(t.shape[1:], t.shape[0], inner.node.layer.name, t.dtype)
                for t, inner in zip(tensors, layer.inputs, strict=True)
            ]
            return self._rebuilt(layer, inputs)
        try:
            config = layer.get_config()
        except NotImplementedError as error:
            raise UsageError(
                f"compact: {layer.name} is a {type(layer).__name__} without a get_config, expected"
                " layers that can be rebuilt; give it one"
            ) from error
        return type(layer).from_config({**config, **self._size(layer), **_shape(node, tensors)})

    def _size(self, layer: tf_keras.layers.Layer) -> dict[str, int]:
        """The layer's setting for its number of output channels."""
        kind = type(layer)
        if kind in DENSE:
            return {"units": self._length(layer.kernel, -1)}
        if kind in CONVOLUTIONS:
            return {"filters": self._length(layer.kernel, -1)}
        if kind in TRANSPOSED:
            return {"filters": self._length(layer.kernel, -2)}
        if kind in SEPARABLE:
            return {"filters": self._length(layer.pointwise_kernel, -1)}
        return {}

    def _length(self, kernel: tf.Variable, axis: int) -> int:
        return self._arrays[self._names[kernel.ref()]].shape[axis]


def _shape(node: Any, tensors: list[tf.Tensor]) -> dict[str, list[int]]:
    """The target shape of a Reshape of fewer channels."""
    if not isinstance(node.layer, tf_keras.layers.Reshape):
        return {}
    before, now = node.keras_inputs[0].shape[-1], tensors[0].shape[-1]
    shape = node.outputs.shape[1:].as_list()
    return {} if before == now else {"target_shape": [*shape[:-1], shape[-1] // before * now]}
