"""Measure steps and trainings of the sparse engine against the dense one, as rows of a table.

    python tools/sparse_step.py [--rounds=9] [--densities=1,0.2,0.1,0.05,0.02,0.01]

LeNet-300-100, batch 60, Adam, on random images of the size and number of Fashion-MNIST. Both
engines run on one thread of one processor and take turns, round by round; times are processor
times, as other programs may run meanwhile. A step is in milliseconds, evaluation not included;
a training of 2,000 steps with an evaluation of 6,000 examples every 100 is in seconds.
"""

import argparse
import dataclasses
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator

import numpy as np

import ltx
from ltx.core.engine import Engine
from ltx.core.identity import generator

TASK = ltx.Task(data="sparse_step.noise", test=10000, recipe=ltx.Recipe(batch_size=60))
DENSITIES = (1.0, 0.2, 0.1, 0.05, 0.02, 0.01)
# What a ratio must not exceed, by density, for LeNet.
BOUNDS = {0.2: 0.40, 0.05: 0.12, 0.01: 0.06}
STEPS = 500


def noise() -> ltx.Arrays:
    """Random images as many and as large as those of Fashion-MNIST, with its test split."""
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (70000, 28, 28, 1), dtype=np.uint8)
    return ltx.Arrays(images, rng.integers(0, 10, 70000))


def sparse(rounds: int) -> Iterator[str]:
    """The rows of the table, measured in a process of its own, which has one thread."""
    command = [sys.executable, __file__, f"--rounds={rounds}"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    yield from (line for line in done.stdout.splitlines() if line.startswith("| LeNet"))


def milliseconds(densities: list[float], rounds: int) -> Iterator[tuple[float, list[list[float]]]]:
    """For each density the processor time of a step, round by round, sparse and dense."""
    from ltx.backends.tf_keras.programs import program, training_program
    from ltx.data import sampling

    engines = {"sparse": Engine(sparse="always"), "dense": Engine()}
    programs = [training_program(program(TASK, engine, None)) for engine in engines.values()]
    dense = program(TASK, engines["dense"], None)
    weights, examples = dense.masked.prunable, len(dense.data.train)
    table = sampling.batch_table(0, "order", examples, TASK.recipe.batch_size, 0, STEPS)
    rates = np.full(STEPS, TASK.recipe.learning_rate, np.float32)

    def run(which: int) -> None:
        programs[which].run(table, rates, 0, np.zeros(2, np.int32), STEPS)

    for density in densities:
        mask = {w.name: generator(0, w.name).random(w.shape) < density for w in weights}
        for each in programs:
            each.load(dense.fresh(0), ltx.Mask(mask))
        yield density, _in_turns(run, rounds)


def seconds(densities: list[float], rounds: int) -> Iterator[tuple[float, list[list[float]]]]:
    """The same of whole trainings, in seconds."""
    from ltx.backends.tf_keras.lab import KerasLab

    recipe = dataclasses.replace(TASK.recipe, length="2000it", eval_every="100it")
    task = dataclasses.replace(TASK, recipe=recipe)
    labs = [KerasLab(task, 0, engine=engine) for engine in (Engine(sparse="always"), Engine())]
    start, weights = labs[0].init(), labs[0].prunable
    for density in densities:
        mask = ltx.Mask({w.name: generator(0, w.name).random(w.shape) < density for w in weights})

        def run(which: int, mask: ltx.Mask = mask) -> None:
            labs[which].train(start, mask)

        times = _in_turns(run, rounds)
        yield density, [[milli * STEPS / 1e3 for milli in each] for each in times]


def _in_turns(run: Callable[[int], None], rounds: int) -> list[list[float]]:
    times: list[list[float]] = [[], []]
    for number in range(rounds + 1):
        for which in (0, 1):
            started = time.process_time()
            run(which)
            if number:  # the first round compiles
                times[which].append((time.process_time() - started) / STEPS * 1e3)
    return times


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--densities", default=",".join(map(str, DENSITIES)))
    options = parser.parse_args()
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    os.environ |= {"TF_NUM_INTRAOP_THREADS": "1", "TF_NUM_INTEROP_THREADS": "1"}
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    print("| what | sparse | dense | ratio [least, largest] | bound |\n|---|---|---|---|---|")
    densities = [float(text) for text in options.densities.split(",")]
    for density, times in milliseconds(densities, options.rounds):
        print(_row(density, "step", "ms", times), flush=True)
    for density, times in seconds(densities, min(3, options.rounds)):
        print(_row(density, "training", "s", times), flush=True)


def _row(density: float, what: str, unit: str, times: list[list[float]]) -> str:
    ours, theirs = times
    ratios = [a / b for a, b in zip(ours, theirs, strict=True)]
    bound = f"{BOUNDS[density]:.2f}" if what == "step" and density in BOUNDS else ""
    return (
        f"| LeNet at {density:.0%}, a sparse {what} against a dense one, {unit}"
        f" | {statistics.median(ours):.3f} | {statistics.median(theirs):.3f}"
        f" | {statistics.median(ratios):.3f} [{min(ratios):.3f}, {max(ratios):.3f}] | {bound} |"
    )


if __name__ == "__main__":
    main()
