"""The variables of a model, each with a unique name that depends on the model alone."""

from typing import NamedTuple

import tensorflow as tf
import tf_keras

from ltx.backends.tf_keras.graph.layer_types import is_repeating, repeats

# A layer whose rates are all 0 draws no random numbers.
RATES = ("rate", "dropout", "recurrent_dropout", "stddev")


class NamedVariable(NamedTuple):
    """A variable, its unique name, the innermost layer that owns it, and that layer's repeats.

    `repeater` is the outermost layer that repeats the owner, such as an RNN; None without one.
    `attends` tells of a layer inside a MultiHeadAttention.
    """

    name: str
    variable: tf.Variable
    layer: tf_keras.layers.Layer
    times: int
    repeater: tf_keras.layers.Layer | None = None
    attends: bool = False

    @property
    def shape(self) -> tuple[int, ...]:
        return tuple(self.variable.shape)


def named_variables(model: tf_keras.Model) -> list[NamedVariable]:
    """Every variable of the model's state, in model order, without those of metrics."""
    found: dict[object, NamedVariable] = {}
    used: set[str] = set()
    metrics = {
        variable.ref()
        for module in model.submodules
        if isinstance(module, tf_keras.metrics.Metric)
        for variable in module.variables
    }

    def visit(
        layer: tf_keras.layers.Layer,
        path: str,
        times: int,
        repeater: tf_keras.layers.Layer | None = None,
        attends: bool = False,
    ) -> None:
        inner = times * repeats(layer)
        within = repeater or (layer if is_repeating(layer) else None)
        inside = attends or isinstance(layer, tf_keras.layers.MultiHeadAttention)
        for child in children(layer):
            visit(child, f"{path}{child.name}/", inner, within, inside)
        for variable in layer.variables:
            if variable.ref() in found or variable.ref() in metrics:
                continue
            name = _unique(path + variable.name.split(":")[0].split("/")[-1], used)
            found[variable.ref()] = NamedVariable(name, variable, layer, times, repeater, attends)

    visit(model, "", 1)
    return [found[v.ref()] for v in model.variables if v.ref() in found]


def generators(model: tf_keras.Model) -> list[tf.random.Generator]:
    """The random generators of layers with noise, such as Dropout with a rate above 0."""
    found: dict[int, tf.random.Generator] = {}
    for layer in model._flatten_layers():
        rates = [getattr(layer, name) for name in RATES if hasattr(layer, name)]
        if rates and not any(rates):
            continue
        for value in vars(layer).values():
            if hasattr(value, "_maybe_init"):
                # Otherwise it is created in the first traced call, too late to be seeded.
                value._maybe_init()
            generator = getattr(value, "_generator", value)
            if isinstance(generator, tf.random.Generator):
                found[id(generator)] = generator
    return list(found.values())


def is_norm(layer: tf_keras.layers.Layer) -> bool:
    """Whether the layer keeps moving statistics as BatchNorm does."""
    return hasattr(layer, "moving_mean") and hasattr(layer, "moving_variance")


def children(layer: tf_keras.layers.Layer) -> list[tf_keras.layers.Layer]:
    """The layers directly inside this one, in creation order."""
    # Private, but the only walk in creation order: tf.Module.submodules sorts by attribute name.
    return list(layer._flatten_layers(recursive=False, include_self=False))


def _unique(name: str, used: set[str]) -> str:
    candidate, number = name, 1
    while candidate in used:
        candidate, number = f"{name}_{number}", number + 1
    used.add(candidate)
    return candidate
