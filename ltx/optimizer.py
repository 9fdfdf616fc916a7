"""Optimizer: the tf_keras optimizer of a recipe, and its slots by name."""

import os

os.environ.setdefault("TF_USE_LEGACY_KERAS", "1")

import tensorflow as tf
import tf_keras

from ltx.recipe import Recipe

Optimizer = tf_keras.optimizers.Optimizer


def make(
    recipe: Recipe, variables: dict[str, tf.Variable], decayed: set[str], precision: str
) -> Optimizer:
    """A built optimizer for these variables; with float16 it scales the loss."""
    rate = recipe.learning_rate
    kinds = {
        "sgd": lambda: tf_keras.optimizers.SGD(rate, jit_compile=False),
        "momentum": lambda: tf_keras.optimizers.SGD(rate, recipe.momentum, jit_compile=False),
        "nesterov": lambda: tf_keras.optimizers.SGD(
            rate, recipe.momentum, nesterov=True, jit_compile=False
        ),
        "adam": lambda: tf_keras.optimizers.Adam(rate, jit_compile=False),
        "adamw": lambda: tf_keras.optimizers.AdamW(
            rate, weight_decay=recipe.weight_decay, jit_compile=False
        ),
    }
    optimizer = kinds[recipe.optimizer]()
    if recipe.optimizer == "adamw":
        optimizer.exclude_from_weight_decay([v for n, v in variables.items() if n not in decayed])
    if precision == "float16":
        optimizer = tf_keras.mixed_precision.LossScaleOptimizer(optimizer)
    plain(optimizer).build(list(variables.values()))
    return optimizer


def plain(optimizer: Optimizer) -> Optimizer:
    """The optimizer inside the one that scales the loss, if there is one."""
    return getattr(optimizer, "inner_optimizer", optimizer)


def slots(optimizer: Optimizer, variables: dict[str, tf.Variable]) -> dict[str, tf.Variable]:
    """Every variable that the optimizer carries from step to step, but the step and the rate.

    Named `slot:weight`, or `slot:` where it belongs to no weight.
    """
    inner = plain(optimizer)
    named: dict[str, tf.Variable] = {}
    for attribute in ("momentums", "_momentums", "_velocities"):
        for name, slot in zip(variables, getattr(inner, attribute, ()), strict=False):
            named[f"{attribute.strip('_')}:{name}"] = slot
    known = {slot.ref() for slot in named.values()}
    known |= {inner.iterations.ref(), inner._learning_rate.ref()}
    for variable in optimizer.variables if inner is optimizer else optimizer.variables():
        if variable.ref() not in known:
            named[f"{variable.name.split(':')[0].rpartition('/')[2]}:"] = variable
    return named
