"""Compiled: compilation time is not charged, and warming up has no effect."""

import time

import pytest
import tensorflow as tf

from ltx.backends.tf_keras.compiled import Compiled
from ltx.core import clock

MADE = 0.2  # seconds that tracing takes at least


def slow(function):
    """Takes long to trace, and calls none of that work."""

    def traced(*inputs):
        time.sleep(MADE)
        return function(*inputs)

    return traced


def left_out(call):
    """The seconds for which the clock stood still meanwhile."""
    wall, begun = time.perf_counter(), clock.now()
    call()
    return (time.perf_counter() - wall) - (clock.now() - begun)


@pytest.mark.parametrize("xla", [False, True])
def test_the_clock_stands_still_for_each_first_shape(xla):
    double = Compiled(slow(lambda x: 2 * x), xla)
    for inputs in ([1.0], [1.0, 2.0]):
        values = tf.constant(inputs)
        assert left_out(lambda values=values: double(values)) >= MADE
        assert left_out(lambda values=values: double(values)) < 0.01
        assert double(values).numpy().tolist() == [2 * x for x in inputs]


@pytest.mark.parametrize("xla", [False, True])
def test_an_idle_run_does_what_it_is_told_and_no_more(xla):
    total = tf.Variable(0.0)
    add = Compiled(slow(total.assign_add), xla)
    nothing = (tf.constant(0.0),)
    told = []
    assert (
        left_out(lambda: told.extend(add.warm_up_then_call(nothing, (tf.constant(3.0),)))) >= MADE
    )
    told += add.warm_up_then_call(nothing, (tf.constant(4.0),))
    assert [value.numpy() for value in told] == [0.0, 3.0, 7.0]
    assert total.numpy() == 7.0
