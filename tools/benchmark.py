"""Measure what training steps, starts, masks, searches and studies cost, as a Markdown table.

    python tools/benchmark.py [--rounds=5] [NAME ...]

Each line is one row of a table: the median and, in brackets, the smallest and the largest of the
rounds. The names are those in PARTS; without any, all of them are measured.
"""

import argparse
import os
import platform
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import mask_cost
import search_cost
import sparse_step
import step_time

from ltx import Store, UsageError
from ltx.store.event_log import Trained

FASHION_STEPS = 1000


def start(rounds: int) -> Iterator[str]:
    starts = sorted(seconds_to_first_step() for _ in range(rounds))
    middle = starts[len(starts) // 2]
    yield f"| `ltx run` to its first 20 steps, s | {middle:.1f} | | | 8.0 |"


def memory(rounds: int) -> Iterator[str]:
    del rounds  # the peak of one run is that of all
    yield f"| LeNet/Fashion-MNIST study, peak GB | {peak_memory():.2f} | | | 1.50 |"


def seconds_to_first_step() -> float:
    """From the start of `ltx run` on digits, in an empty store, to the end of 20 steps."""
    with tempfile.TemporaryDirectory() as folder:
        started = time.time()
        _ltx(
            folder,
            "studies/first_ticket.gin",
            "imp.levels=1",
            "Study.seeds=1",
            "Recipe.length='40it'",
        )
        first = next(e for e in Store(folder).events() if isinstance(e, Trained))
    return first.time - started


def peak_memory() -> float:
    """Peak memory in GB of the LeNet study on Fashion-MNIST, with short trainings."""
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
    """Seconds of `ltx report` for 2,000 made-up trials, and the size of its page in MB."""
    sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
    import studied

    with tempfile.TemporaryDirectory() as folder:
        page = Path(folder) / "page.html"
        studied.large(Path(folder) / "store")
        started = time.perf_counter()
        command = [sys.executable, "-m", "ltx", "report", f"--store={folder}/store"]
        subprocess.run([*command, f"--out={page}"], check=True, capture_output=True)
        return time.perf_counter() - started, page.stat().st_size / 1e6


def replay_of_three_seeds(rounds: int) -> list[float]:
    """Seconds of running a finished study of three seeds again."""
    seeds = ("studies/first_ticket.gin", "Study.seeds=3")
    with tempfile.TemporaryDirectory() as folder:
        _ltx(folder, *seeds)
        trained, times = _trained(folder), []
        for _ in range(rounds):
            started = time.perf_counter()
            _ltx(folder, *seeds)
            times.append(time.perf_counter() - started)
        assert _trained(folder) == trained > 0, "a finished study trained again"
    return sorted(times)


def _trained(store: str) -> int:
    return sum(isinstance(event, Trained) for event in Store(store).events())


def _ltx(store: str, gin_file: str, *params: str) -> None:
    command = [sys.executable, "-m", "ltx", "run", f"--gin_file={gin_file}", f"--store={store}"]
    command += [f"--gin_param={param}" for param in params]
    subprocess.run(command, check=True, capture_output=True)


def report(rounds: int) -> Iterator[str]:
    del rounds
    seconds, megabytes = report_of_two_thousand()
    yield f"| `ltx report` of 2,000 trials, s | {seconds:.1f} | | | 20.0 |"
    yield f"| its page, MB | {megabytes:.2f} | | | 5.00 |"


def replay(rounds: int) -> Iterator[str]:
    times = replay_of_three_seeds(rounds)
    spread = f"{times[len(times) // 2]:.1f} [{times[0]:.1f}, {times[-1]:.1f}]"
    yield f"| `ltx run` of a finished study of 3 seeds, s | {spread} | | | 10.0 |"


# Measurements in processes of their own come first: the peak memory of a child includes that of
# its parent.
PARTS: dict[str, Callable[[int], Iterator[str]]] = {
    "start": start,
    "memory": memory,
    "report": report,
    "replay": replay,
    "sparse": sparse_step.sparse,
    "pruning": mask_cost.pruning,
    "lenet": step_time.lenet,
    "resnet": step_time.resnet,
    "compact": step_time.compact,
    "at_init": search_cost.at_init,
    "early_bird": search_cost.early_bird,
    "collapse": search_cost.collapse,
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("what", nargs="*", metavar="NAME", help=", ".join(PARTS))
    options = parser.parse_args()
    if unknown := [name for name in options.what if name not in PARTS]:
        parser.error(f"unknown {unknown[0]!r}; known: {', '.join(PARTS)}")
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    print(
        f"{platform.machine()}, {os.cpu_count()} processors, Python {platform.python_version()}\n"
    )
    print("| what | ltx | other | ratio [least, largest] | bound |\n|---|---|---|---|---|")
    for name, measure in PARTS.items():
        if options.what and name not in options.what:
            continue
        try:
            for row in measure(options.rounds):
                print(row, flush=True)
        except UsageError as error:  # a data set that is missing
            print(f"| {name} | not measured: {error} | | | |")


if __name__ == "__main__":
    main()
