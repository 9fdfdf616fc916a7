"""Runner: a configured study run on Keras labs over a store, with progress, provenance and its table."""

import contextlib
import dataclasses
import itertools
import sys
from collections.abc import Callable, Iterator

import rich.progress

from ltx import registry, study, table, verdict
from ltx.config import Config
from ltx.identity import describe
from ltx.lab import Lab
from ltx.memo import MemoLab
from ltx.store import Store, versions
from ltx.study import Failure, Row
from ltx.task import Task

Watch = Callable[[int, int], None]


def run(asked: Config, store_path: str, data_dir: str | None, command: str) -> int:
    """Run the study to its end and print what it found; 1 if a cell of it failed."""
    from ltx.keras_lab import KerasLab  # TensorFlow starts here, after all that needs none

    store = Store(store_path)
    with _progress() as (watch, tell):

        def open_lab(task: Task, seed: int, sealed: bool) -> Lab:
            lab = KerasLab(
                task, seed, engine=asked.engine, data_dir=data_dir, sealed=sealed, watch=watch
            )
            return MemoLab(lab, store)

        study.check(asked.study, open_lab)
        record = _provenance(asked, command)
        store.put_study(asked.study.id, record)
        rows: list[Row] = []
        failures: list[Failure] = []
        for result in study.run(asked.study, open_lab, store):
            (rows if isinstance(result, Row) else failures).append(result)  # type: ignore[arg-type]
            tell(result)
    store.put_study(asked.study.id, {**record, **_results(rows, failures)})
    show(rows, failures)
    return 1 if failures else 0


def show(rows: list[Row], failures: list[Failure]) -> None:
    """Print each finder's table with its verdict in a sentence, then what failed."""
    console = table.console()
    key = lambda level: (level.task, level.finder)  # noqa: E731
    for (task, finder), group in itertools.groupby(sorted(verdict.levels(rows), key=key), key):
        levels = list(group)
        console.print(f"\n{finder} on {task}, test accuracy over {levels[0].seeds} seeds\n", style="bold")
        console.print(table.results(levels))
        console.print(f"\n{verdict.sentence(levels)}", soft_wrap=True)
    for failure in failures:
        print(
            f"ltx: {failure.finder} on {failure.task}, seed {failure.seed} stopped early: {failure.error}",
            file=sys.stderr,
        )


def _provenance(asked: Config, command: str) -> dict[str, object]:
    return {
        "kind": "study",
        "id": asked.study.id,
        "command": command,
        "config": asked.text,
        "study": describe(asked.study),
        "engine": describe(asked.engine),
        "versions": versions(),
        "plugins": [vars(plugin) for plugin in registry.plugins()],
    }


def _results(rows: list[Row], failures: list[Failure]) -> dict[str, object]:
    return {
        "trials": [
            {"task": r.task, "finder": r.finder, "control": r.control, "seed": r.seed, "trial": r.trial.id}
            for r in rows
        ],
        "failures": [dataclasses.asdict(failure) for failure in failures],
    }


@contextlib.contextmanager
def _progress() -> Iterator[tuple[Watch, Callable[[Row | Failure], None]]]:
    """A bar for the training under way and a line of what was found last; nothing without a terminal."""
    columns = (
        rich.progress.TextColumn("{task.description}"),
        rich.progress.BarColumn(),
        rich.progress.MofNCompleteColumn(),
        rich.progress.TimeElapsedColumn(),
    )
    console = rich.console.Console(stderr=True)
    with rich.progress.Progress(
        *columns, console=console, transient=True, disable=not sys.stderr.isatty()
    ) as bars:
        bar = bars.add_task("starting", total=None)

        def watch(step: int, stop: int) -> None:
            bars.update(bar, completed=step, total=stop)

        def tell(result: Row | Failure) -> None:
            level = f", level {result.trial.level}" if isinstance(result, Row) else ""
            bars.update(bar, description=f"{result.finder}, seed {result.seed}{level}")

        yield watch, tell
