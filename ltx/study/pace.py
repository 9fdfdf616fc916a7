"""Pace: how long a step and an evaluation take on a lab, measured by a second of training."""

import time

from ltx.core.lab import Lab
from ltx.study.plan import Throughput

SECONDS = 1.5


def measure(lab: Lab, seconds: float = SECONDS) -> Throughput:
    """Train from the lab's initial state, and throw away what comes of it.

    What is compiled on the way is not counted; it is made once for a process.
    """
    dense, whole = lab.dense(), lab.steps()
    begun = lab.init()
    state = lab.train(begun, dense, until="1it").state
    size = sum(array.nbytes for array in state.arrays().values())
    lab.evaluate(state, dense)
    clock = time.perf_counter()
    lab.evaluate(state, dense)
    evaluation, steps = time.perf_counter() - clock, 1
    while True:
        clock = time.perf_counter()
        run = lab.train(begun, dense, until=f"{steps}it")
        took = time.perf_counter() - clock
        if took >= seconds / 2 or steps >= whole:
            break
        steps = min(whole, steps * 4)
    inside = evaluation * len(run.history.steps)
    # Evaluations that were slow by chance must not leave less than nothing for the steps.
    return Throughput(max(took - inside, took / 4) / steps, evaluation, size)
