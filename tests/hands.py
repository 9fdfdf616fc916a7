"""Hands: a clock that advances only when a test moves it, and a lab that takes 1 s per step."""

from typing import Any

from ltx import Mask, Run, State
from ltx.core.run import timed
from ltx.testing import FakeLab


class Hands:
    """Replaces the module `time`, of which ltx.core.clock uses one function."""

    def __init__(self) -> None:
        self.at = 100.0
        self.pace = 1.0  # seconds that a step takes

    def perf_counter(self) -> float:
        return self.at

    def move(self, seconds: float) -> None:
        self.at += seconds


class SlowLab(FakeLab):
    """Takes the hands' pace for every step of training."""

    hands: Hands

    @timed
    def run_training(self, state: State, mask: Mask, stop: int, stream: str) -> Run:
        self.hands.move(self.hands.pace * (stop - state.step))
        return super().run_training(state, mask, stop, stream)

    def compute_gradients(self, *asked: Any) -> Any:
        self.hands.move(5.0)
        return super().compute_gradients(*asked)
