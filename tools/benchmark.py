"""Benchmark: what a step, a start and a study cost, as ratios measured side by side in one run.

    python tools/benchmark.py [--rounds=5] [lenet] [resnet] [start] [memory] [report]

Contestants take turns, round by round, so that a machine that drifts drifts for all of them. The
middle number is the median of the rounds' ratios, the brackets hold the least and the largest.
"""

import argparse
import os
import platform
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from ltx import Task, data, order
from ltx.engine import Engine
from ltx.errors import UsageError
from ltx.identity import generator
from ltx.mask import Mask
from ltx.recipe import Recipe
from ltx.store import Store

DENSITY = 0.2
FASHION_STEPS = 1000


def step_ratios(task: Task, steps: int, rounds: int) -> dict[str, list[float]]:
    """Milliseconds a step, round by round: ltx masked, the same loop unmasked, and model.fit."""
    contestants = {
        "ltx": _loop(task, masked=True, steps=steps),
        "bare": _loop(task, masked=False, steps=steps),
        "fit": _fit(task, steps),
    }
    for run in contestants.values():
        run()
    times: dict[str, list[float]] = {name: [] for name in contestants}
    for _ in range(rounds):
        for name, run in contestants.items():
            begun = time.perf_counter()
            run()
            times[name].append((time.perf_counter() - begun) / steps * 1e3)
    return times


def _loop(task: Task, masked: bool, steps: int) -> Callable[[], None]:
    from ltx.program import Program

    class Bare(Program):
        """The same compiled loop with nothing of masks in it."""

        def _decayed_and_masked(self, gradients: list) -> list:
            return gradients

        def _report(self) -> tuple:
            return ()

        def _guard(self, report: tuple, step: int) -> None:
            del step
            assert report == ()

    program = (Program if masked else Bare)(task, Engine(), data.load(task.data, image=task.image))
    weights = program.masked.prunable
    mask = Mask({w.name: generator(0, w.name).random(w.shape) < DENSITY for w in weights})
    program.load(program.fresh(0), mask if masked else Mask.ones(weights))
    examples, batch = len(program.data.train), task.recipe.batch_size
    table = order.batches(0, "order", examples, batch, 0, steps)
    rates = task.recipe.learning_rates(0, steps, order.steps_per_epoch(examples, batch))
    seed = np.zeros(2, np.int32)

    def run() -> None:
        program.run(table, rates, 0, seed, steps)
        program.read(steps)

    return run


def _fit(task: Task, steps: int) -> Callable[[], None]:
    import tf_keras

    from ltx import masking, models, optimizer

    loaded = data.load(task.data, image=task.image)
    held = masking.MaskedModel(models.build(task.model, loaded.image, loaded.classes))
    held.set_masks({w.name: generator(0, w.name).random(w.shape) < DENSITY for w in held.prunable})
    model = held.wrapped()
    model.compile(
        optimizer=optimizer.make(task.recipe, held.weights, set(), "float32"),
        loss=tf_keras.losses.SparseCategoricalCrossentropy(from_logits=True),
    )
    count = steps * task.recipe.batch_size
    rows = np.resize(np.arange(len(loaded.train)), count)
    images, labels = loaded.train.take(rows)
    images = ((images - loaded.mean) / loaded.std).astype(np.float32)
    callbacks = [masking.step_callback()]

    def run() -> None:
        model.fit(images, labels, batch_size=task.recipe.batch_size, callbacks=callbacks, verbose=0)

    return run


def seconds_to_first_step() -> float:
    """From starting `ltx run` on digits, in an empty store, until its first 20 steps are done."""
    with tempfile.TemporaryDirectory() as folder:
        begun = time.time()
        _ltx(
            folder,
            "studies/first_ticket.gin",
            "imp.levels=1",
            "Study.seeds=1",
            "Recipe.length='40it'",
        )
        first = next(e for e in Store(folder).events() if "trained" in e)
    return first["time"] - begun


def peak_memory() -> float:
    """Gigabytes that the LeNet study on Fashion-MNIST takes at most, with short trainings."""
    with tempfile.TemporaryDirectory() as folder:
        _ltx(
            folder,
            "studies/lenet_fashion_mnist.gin",
            "imp.levels=1",
            "Study.seeds=1",
            f"Recipe.length='{FASHION_STEPS}it'",
        )
    return resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 2**20


def report_of_two_thousand() -> tuple[float, float]:
    """Seconds that `ltx report` takes for 2,000 made-up trials, and the page's megabytes."""
    sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
    import studied

    with tempfile.TemporaryDirectory() as folder:
        page = Path(folder) / "page.html"
        studied.large(Path(folder) / "store")
        begun = time.perf_counter()
        command = [sys.executable, "-m", "ltx", "report", f"--store={folder}/store"]
        subprocess.run([*command, f"--out={page}"], check=True, capture_output=True)
        return time.perf_counter() - begun, page.stat().st_size / 1e6


def _ltx(store: str, gin_file: str, *params: str) -> None:
    command = [sys.executable, "-m", "ltx", "run", f"--gin_file={gin_file}", f"--store={store}"]
    command += [f"--gin_param={param}" for param in params]
    subprocess.run(command, check=True, capture_output=True)


def _row(what: str, ours: Sequence[float], theirs: Sequence[float], bound: float) -> str:
    ratios = [a / b for a, b in zip(ours, theirs, strict=True)]
    return (
        f"| {what} | {statistics.median(ours):.2f} | {statistics.median(theirs):.2f} "
        f"| {statistics.median(ratios):.2f} [{min(ratios):.2f}, {max(ratios):.2f}] | {bound:.2f} |"
    )


def _steps(name: str, task: Task, steps: int, rounds: int, bounds: tuple[float, float]) -> None:
    times = step_ratios(task, steps, rounds)
    print(
        _row(
            f"{name}: step, against model.fit + UpdatePruningStep",
            times["ltx"],
            times["fit"],
            bounds[0],
        )
    )
    print(_row(f"{name}: step, against the unmasked loop", times["ltx"], times["bare"], bounds[1]))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("what", nargs="*", default=["lenet", "resnet", "start", "memory", "report"])
    options = parser.parse_args()
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    print(
        f"{platform.machine()}, {os.cpu_count()} processors, Python {platform.python_version()}\n"
    )
    print("| what | ltx | other | ratio [least, largest] | bound |\n|---|---|---|---|---|")
    lenet = Task(image=(28, 28, 1), recipe=Recipe(batch_size=60, learning_rate=1e-4))
    resnet = Task(
        model="resnet_20",
        image=(32, 32, 3),
        recipe=Recipe(optimizer="momentum", learning_rate=1e-3, batch_size=64),
    )
    # First what runs in processes of its own: a child counts its parent's memory as its peak.
    if "start" in options.what:
        starts = sorted(seconds_to_first_step() for _ in range(3))
        print(f"| `ltx run` to its first 20 steps, s | {starts[1]:.1f} | | | 8.0 |")
    if "report" in options.what:
        seconds, megabytes = report_of_two_thousand()
        print(f"| `ltx report` of 2,000 trials, s | {seconds:.1f} | | | 20.0 |")
        print(f"| its page, MB | {megabytes:.2f} | | | 5.00 |")
    if "memory" in options.what:
        try:
            data.load("fashion_mnist")
        except UsageError as error:
            print(f"\nmemory: not measured: {error}")
        else:
            print(f"| LeNet/Fashion-MNIST study, peak GB | {peak_memory():.2f} | | | 1.50 |")
    if "lenet" in options.what:
        _steps("LeNet-300-100, batch 60, ms", lenet, 1000, options.rounds, (0.30, 1.10))
    if "resnet" in options.what:
        _steps("ResNet-20, batch 64, ms", resnet, 20, options.rounds, (0.85, 1.10))


if __name__ == "__main__":
    main()
