"""Throughput: how long a training step and an evaluation take on a lab, measured by training."""

import dataclasses
import time

from ltx.core.lab import Lab

SECONDS = 1.5


@dataclasses.dataclass(frozen=True)
class Throughput:
    """Seconds for a step and for an evaluation, and the bytes of a trained state."""

    step: float
    evaluation: float
    state: int


def measure(lab: Lab, seconds: float = SECONDS) -> Throughput:
    """Train from the lab's initial state for about `seconds`, and discard the result.

    Compilation is not counted, since a process compiles once.
    """
    dense, whole = lab.dense(), lab.steps()
    start = lab.init()
    state = lab.train(start, dense, until="1it").state
    size = sum(array.nbytes for array in state.arrays().values())
    lab.evaluate(state, dense)
    clock = time.perf_counter()
    lab.evaluate(state, dense)
    evaluation, steps = time.perf_counter() - clock, 1
    while True:
        clock = time.perf_counter()
        run = lab.train(start, dense, until=f"{steps}it")
        elapsed = time.perf_counter() - clock
        if elapsed >= seconds / 2 or steps >= whole:
            break
        steps = min(whole, steps * 4)
    evaluations = evaluation * len(run.history.steps)
    # Slow evaluations by chance must not leave a negative time for the steps.
    return Throughput(max(elapsed - evaluations, elapsed / 4) / steps, evaluation, size)
