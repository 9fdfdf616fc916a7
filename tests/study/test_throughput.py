"""Throughput: the measured speed is the true one, whatever a step costs."""

import time

import pytest

from ltx import Mask, Metrics, Run, State
from ltx.study import throughput
from ltx.testing import FakeLab


class Slow(FakeLab):
    """Takes 4 ms a step and 20 ms an evaluation, and a while to compile."""

    compiled = False

    def run_training(self, state: State, mask: Mask, stop: int, stream: str) -> Run:
        if not self.compiled:
            self.compiled = True
            time.sleep(0.3)
        run = super().run_training(state, mask, stop, stream)
        time.sleep(0.004 * (stop - state.step) + 0.02 * len(run.history.steps))
        return run

    def run_evaluation(self, state: State, mask: Mask, split: str) -> Metrics:
        assert split == "validation"
        time.sleep(0.02)
        return super().run_evaluation(state, mask, split)


def test_throughput_tells_steps_from_evaluations_and_from_compiling() -> None:
    found = throughput.measure(Slow(), 0.4)
    assert found.step == pytest.approx(0.004, rel=0.5)
    assert found.evaluation == pytest.approx(0.02, rel=0.5)
    lab = FakeLab()
    trained = lab.train(lab.init(), lab.dense(), "1it").state
    assert found.state == sum(array.nbytes for array in trained.arrays().values())
