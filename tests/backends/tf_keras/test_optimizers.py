"""Optimizers: every variable that changes in training is a named slot."""

import pytest
import tensorflow as tf

from ltx.backends.tf_keras import optimizers
from ltx.core.recipe import OPTIMIZERS, Recipe


@pytest.mark.parametrize("precision", ["float32", "float16"])
@pytest.mark.parametrize("kind", OPTIMIZERS)
def test_whatever_a_step_changes_is_a_weight_a_slot_or_the_rate(kind, precision):
    weights = {"a/kernel": tf.Variable([[1.0, 2.0]]), "a/bias": tf.Variable([3.0])}
    recipe = Recipe(optimizer=kind, weight_decay=0.1)
    made = optimizers.make(recipe, weights, {"a/kernel"}, precision)
    slots = optimizers.slots(made, weights)
    inner = optimizers.unwrap(made)
    held = [*made._loss_scale._weights.values()] if precision == "float16" else []
    everything = [*inner.variables, *held]
    before = [v.numpy() for v in everything]
    gradients = [tf.ones_like(w) for w in weights.values()]
    made.apply_gradients(zip(gradients, weights.values(), strict=True))
    changed = [v for v, old in zip(everything, before, strict=True) if (v.numpy() != old).any()]
    named = {slot.ref() for slot in slots.values()}
    assert changed
    assert {v.ref() for v in changed} <= named
    assert all(name.partition(":")[2] in {*weights, ""} for name in slots)


def test_only_adamw_decays_by_itself_and_only_the_weights_it_is_told():
    weights = {"a/kernel": tf.Variable([1.0]), "a/bias": tf.Variable([1.0])}
    recipe = Recipe(optimizer="adamw", learning_rate=0.1, weight_decay=0.5)
    made = optimizers.make(recipe, weights, {"a/kernel"}, "float32")
    made.apply_gradients([(tf.zeros(1), weight) for weight in weights.values()])
    assert weights["a/kernel"].numpy()[0] == pytest.approx(0.95)
    assert weights["a/bias"].numpy()[0] == 1.0
