"""Run: what it took is told, and makes no difference."""

import dataclasses
import math

from hands import Hands

from ltx import History, Run
from ltx.core import clock
from ltx.core.run import timed
from ltx.testing import FakeLab


def test_seconds_are_not_compared_and_unknown_at_first() -> None:
    run = Run(FakeLab().init(), History())
    assert math.isnan(run.seconds)
    assert dataclasses.replace(run, seconds=3.0) == run
    assert dataclasses.replace(run, seconds=3.0) == dataclasses.replace(run, seconds=4.0)


def test_a_timed_training_tells_its_seconds_without_what_the_clock_left_out(hands: Hands) -> None:
    @timed
    def train(seconds: float) -> Run:
        hands.move(seconds)
        with clock.paused():
            hands.move(50)
        return Run(FakeLab().init(), History())

    assert train(7).seconds == 7
    assert train(seconds=8).seconds == 8
