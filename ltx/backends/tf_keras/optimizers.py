"""Optimizers: the tf_keras optimizer of a recipe, and its slots by name."""

import tensorflow as tf
import tf_keras

from ltx.core.recipe import Recipe


def make(
    recipe: Recipe, variables: dict[str, tf.Variable], decayed: set[str], precision: str
) -> tf_keras.optimizers.Optimizer:
    """A built optimizer for these variables; in float16 with loss scaling."""
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
    unwrap(optimizer).build(list(variables.values()))
    return optimizer


def unwrap(optimizer: tf_keras.optimizers.Optimizer) -> tf_keras.optimizers.Optimizer:
    """The optimizer inside a loss-scaling one; any other optimizer as it is."""
    return getattr(optimizer, "inner_optimizer", optimizer)


def slots(
    optimizer: tf_keras.optimizers.Optimizer, variables: dict[str, tf.Variable]
) -> dict[str, tf.Variable]:
    """Every variable of the optimizer's state but the learning rate.

    Named `slot:weight`, or `slot:` for one that belongs to no weight. Among them is the
    optimizer's own step count, which Adam's bias correction uses: a new optimizer counts from 0
    at any step of training.
    """
    inner = unwrap(optimizer)
    named: dict[str, tf.Variable] = {}
    for attribute in ("momentums", "_momentums", "_velocities"):
        for name, slot in zip(variables, getattr(inner, attribute, ()), strict=False):
            named[f"{attribute.strip('_')}:{name}"] = slot
    named["iterations:"] = inner.iterations
    if inner is not optimizer:
        named["loss_scale:"] = optimizer._loss_scale.current_loss_scale
        named["good_steps:"] = optimizer.dynamic_counter
    return named
