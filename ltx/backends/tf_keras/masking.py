"""MaskedModel: a tf_keras model whose prunable weights are masked by TF-MOT's wrappers."""

import contextlib
import dataclasses
import functools
import math
from collections.abc import Mapping, Sequence

import numpy as np
import tensorflow as tf
import tf_keras

from ltx.backends.tf_keras import tfmot
from ltx.backends.tf_keras.graph import layer_types
from ltx.backends.tf_keras.graph.traversal import graph_layers, is_graph
from ltx.backends.tf_keras.graph.variables import children, generators, is_norm, named_variables
from ltx.backends.tf_keras.inspection import Inspection
from ltx.core.errors import UsageError
from ltx.core.prunable import Weight
from ltx.data.dataset import Specs
from ltx.pruning.schedules import PolynomialDecay


class MaskedModel:
    """A built, uncompiled tf_keras model of any style, seen as named variables and masks.

    `inputs` describes its inputs, None for the model's own; `head` names kernels of the output
    layer where the model does not tell. `model` is the bare model; it shares its variables with the
    wrappers. Calling it applies no mask, `apply` does. `weights` are the trainable variables,
    `statistics` the others that belong to the model's state, `generators` the random states of its
    Dropout-like layers. `norms` are the BatchNorm layers that train, `moments` their moving
    statistics and `scales` the names of their trainable scales. `masks` (float32, 1 keeps) are in
    model order. `unprunable` are the sizes of the weights of rank 2 or more in layers that TF-MOT
    cannot wrap and that do not say what of them may be pruned. `has_convolution` covers custom
    layers and frozen ones too.
    """

    def __init__(
        self,
        model: tf_keras.Model,
        inputs: Specs | None = None,
        head: Sequence[str] = (),
    ) -> None:
        if not isinstance(model, tf_keras.Model) or not model.built:
            raise UsageError(
                f"MaskedModel expects a built tf_keras model, got {type(model).__name__} "
                f"(built: {getattr(model, 'built', None)}); call its build(input_shape) first."
            )
        self.model = model
        self._strategy = model.distribute_strategy
        entries = named_variables(model)
        by_ref = {entry.variable.ref(): entry for entry in entries}
        trainable = [by_ref[v.ref()] for v in model.trainable_variables]
        learned = {entry.variable.ref() for entry in trainable}
        self.weights: dict[str, tf.Variable] = {e.name: e.variable for e in trainable}
        self.statistics: dict[str, tf.Variable] = {
            e.name: e.variable for e in entries if e.variable.ref() not in learned
        }
        owners = [(e.layer, e.shape) for e in entries]
        self.has_convolution: bool = layer_types.has_convolution(model, owners)
        self.generators: list[tf.random.Generator] = generators(model)
        self.inspection = Inspection(model, entries, self.generators, inputs, head)
        normed = [e for e in entries if is_norm(e.layer) and e.layer.trainable]
        self.norms = list({id(e.layer): e.layer for e in normed}.values())
        self.moments: dict[str, tf.Variable] = {
            e.name: e.variable
            for e in normed
            if e.variable is e.layer.moving_mean or e.variable is e.layer.moving_variance
        }
        self.scales = tuple(e.name for e in normed if e.variable is getattr(e.layer, "gamma", None))
        self._wrappers: dict[int, tf_keras.layers.Layer] = {}
        masks: dict[object, tf.Variable] = {}
        wrapped: set[object] = set()
        with self._scope():
            self._wrap(model, learned, masks, wrapped)
        self._trainable = trainable
        self._pruned = [entry for entry in trainable if entry.variable.ref() in masks]
        self.masks: dict[str, tf.Variable] = {e.name: masks[e.variable.ref()] for e in self._pruned}
        self.unprunable: dict[str, int] = {
            e.name: math.prod(e.shape)
            for e in trainable
            if len(e.shape) > 1
            and e.variable.ref() not in wrapped
            and not hasattr(e.layer, "get_prunable_weights")
        }

    @functools.cached_property
    def prunable(self) -> tuple[Weight, ...]:
        """The weights that have masks; UsageError where the output layer is unclear."""
        outputs = {id(layer) for layer in self.inspection.output_layers}
        return tuple(
            dataclasses.replace(
                layer_types.weight(e.name, e.layer, e.shape, e.times, id(e.layer) in outputs),
                kind=layer_types.kind(e.layer, e.shape, e.repeater, e.attends),
                uses=self.inspection.uses(e),
            )
            for e in self._pruned
        )

    @functools.cached_property
    def head(self) -> tuple[str, ...]:
        """The names of all trainable variables of the output layers."""
        outputs = {id(layer) for layer in self.inspection.output_layers}
        return tuple(entry.name for entry in self._trainable if id(entry.layer) in outputs)

    @functools.cached_property
    def stem(self) -> tuple[str, ...]:
        """The names of all trainable variables of the layers that read the inputs."""
        readers = {id(layer) for layer in self.inspection.input_layers}
        return tuple(entry.name for entry in self._trainable if id(entry.layer) in readers)

    def _wrap(
        self,
        layer: tf_keras.layers.Layer,
        learned: set[object],
        masks: dict[object, tf.Variable],
        wrapped: set[object],
    ) -> None:
        if id(layer) in self._wrappers:
            return
        new = {
            weight.ref()
            for weight in tfmot.prunable_weights(layer)
            if len(weight.shape) > 1 and weight.ref() in learned
        }
        if not new:
            for child in children(layer):
                self._wrap(child, learned, masks, wrapped)
            return
        wrapper = tfmot.wrap(layer)
        self._wrappers[id(layer)] = wrapper
        masks |= {w.ref(): mask for w, mask, _ in wrapper.pruning_vars if w.ref() in new}
        wrapped |= {variable.ref() for variable in layer.trainable_variables}

    def coverage(self) -> str:
        """One sentence on which share of the parameters can be pruned, and what cannot."""
        total = sum(math.prod(variable.shape) for variable in self.weights.values())
        prunable = sum(weight.size for weight in self.prunable)
        text = f"{_share(prunable, total)} of {total:,} trainable parameters can be pruned"
        if not self.unprunable:
            return f"{text}; every weight of rank 2 or more is among them or in a wrapped layer."
        left = [f"{name} ({_share(size, total)})" for name, size in self.unprunable.items()]
        return (
            f"{text}; TF-MOT cannot wrap the layers of {', '.join(left)}: give them a "
            "get_prunable_weights method."
        )

    def set_masks(self, masks: Mapping[str, np.ndarray]) -> None:
        """Set every mask; the weights are not changed before `apply`.

        Raises UsageError unless names and shapes are exactly those of `prunable` and all
        entries are 0 or 1.
        """
        missing, extra = self.masks.keys() - masks.keys(), masks.keys() - self.masks.keys()
        if missing or extra:
            raise UsageError(
                f"masks do not fit model {self.model.name!r}: "
                f"missing {', '.join(sorted(missing)) or 'none'}; "
                f"not prunable here {', '.join(sorted(extra)) or 'none'}."
            )
        arrays = {name: np.asarray(masks[name]) for name in self.masks}
        for name, array in arrays.items():
            expected = tuple(self.masks[name].shape)
            if array.shape != expected:
                raise UsageError(f"mask of {name!r}: expected shape {expected}, got {array.shape}.")
            if array.dtype != bool and not np.isin(array, (0, 1)).all():
                raise UsageError(f"mask of {name!r}: expected only 0 and 1, got other values.")
        with self._scope():
            for name, array in arrays.items():
                self.masks[name].assign(array.astype(self.masks[name].dtype.as_numpy_dtype))

    def get_masks(self) -> dict[str, np.ndarray]:
        """The masks as bool arrays, True where the weight survives."""
        return {name: mask.numpy() != 0 for name, mask in self.masks.items()}

    def apply(self) -> None:
        """Multiply every weight by its mask, eagerly or inside any tf.function."""
        with self._scope():
            for wrapper in self._wrappers.values():
                wrapper.pruning_obj.weight_mask_op()

    def scheduled(self, schedule: PolynomialDecay, step: int) -> dict[str, np.ndarray]:
        """The masks that TF-MOT computes from the current weights after `step` steps.

        Temporary wrappers follow the schedule; `masks` are not changed.
        """
        masks: dict[object, tf.Variable] = {}
        with self._scope():
            for wrapper in self._wrappers.values():
                masks |= tfmot.scheduled_masks(wrapper.layer, schedule, step)
        return {name: masks[self.weights[name].ref()].numpy() != 0 for name in self.masks}

    def wrapped(self) -> tf_keras.Model:
        """A functional or Sequential model of the same variables that applies masks when called.

        Train it with `tfmot.step_callback`. TF-MOT's wrapper drops Keras' sequence masks
        (mask_zero) and activity regularizers. Raises UsageError where clone_model cannot put
        the wrappers in place.
        """
        reached = {id(layer) for layer in graph_layers(self.model)}
        lost = [w.layer.name for key, w in self._wrappers.items() if key not in reached]
        if lost or not is_graph(self.model):
            raise UsageError(
                f"model {self.model.name!r} cannot be cloned around TF-MOT's wrappers: expected "
                "a functional or Sequential model with its prunable layers in the graph, got "
                f"{type(self.model).__name__} with inner layers {', '.join(lost) or 'none'}; "
                "use apply() after each update instead."
            )
        with self._scope():
            for wrapper in self._wrappers.values():
                wrapper.pruning_step.assign(0)
            return self._clone(self.model)

    def _clone(self, model: tf_keras.Model) -> tf_keras.Model:
        clone = tf_keras.models.clone_model(model, clone_function=self._cloned_layer)
        if not clone.built:
            clone.build(model.input_shape)
        return clone

    def _cloned_layer(self, layer: tf_keras.layers.Layer) -> tf_keras.layers.Layer:
        if id(layer) in self._wrappers:
            return self._wrappers[id(layer)]
        if any(id(inner) in self._wrappers for inner in graph_layers(layer)):
            return self._clone(layer)
        return layer

    def _scope(self) -> contextlib.AbstractContextManager[object]:
        # Entering a scope from inside its own replica context is an error.
        if tf.distribute.get_strategy() is self._strategy:
            return contextlib.nullcontext()
        return self._strategy.scope()


def _share(part: int, total: int) -> str:
    return f"{part / max(total, 1):.1%}"
