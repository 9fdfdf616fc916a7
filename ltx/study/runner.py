"""Runner: a configured study on Keras labs over a store, with progress and provenance."""

import contextlib
import dataclasses
import logging
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

import rich.progress

from ltx.config import plugins as registry
from ltx.config.gin_files import Config
from ltx.core import environment
from ltx.core.budget import Budget, Limit
from ltx.core.errors import BudgetError, LtxError
from ltx.core.lab import Lab
from ltx.core.task import Task
from ltx.reporting import console as table
from ltx.reporting import plan_table
from ltx.store import liveness
from ltx.store.event_log import StudyStarted
from ltx.store.memo import CHECKPOINT_SECONDS, MEMO_BYTES, MemoLab
from ltx.store.store import Store
from ltx.study import loop, pace, plan
from ltx.study.plan import Throughput
from ltx.study.record import StudyRecord
from ltx.study.results import CellFailure, StabilityResult, TrialResult

if TYPE_CHECKING:
    from ltx.backends.tf_keras.lab import KerasLab
    from ltx.reporting.tensorboard import TensorBoardListener

_log = logging.getLogger("ltx")
Watch = Callable[[int, int], None]


def run(
    asked: Config,
    store: Store,
    *,
    command: str,
    data_dir: str | None = None,
    memo_bytes: int = MEMO_BYTES,
    checkpoint_seconds: float = CHECKPOINT_SECONDS,
    limit: Limit | None = None,
    board: "TensorBoardListener | None" = None,
) -> int:
    """Run the study to its end and print what it found; 1 if a cell of it failed.

    The `board` shows in TensorBoard how far it is. Raises BudgetError where the limit ends first,
    after printing what was found by then.
    """
    KerasLab, budget, ended = _keras_lab(), Budget(limit), None
    at, heard, show = (board.at, board.tell, board.show) if board else (_unheard,) * 3
    with liveness.announce(store), _progress() as (watch, tell):

        def open_lab(task: Task, seed: int, sealed: bool) -> Lab:
            lab = KerasLab(
                task, seed, engine=asked.engine, data_dir=data_dir, sealed=sealed, watch=watch
            )
            _tell_of_gaps(lab)
            return MemoLab(lab, store, memo_bytes, checkpoint_seconds, budget, heard)

        loop.check(asked.study, open_lab)
        plugins = [vars(plugin) for plugin in registry.plugins()]
        record = StudyRecord.of(
            asked.study, asked.engine, command=command, config=asked.text, plugins=plugins
        )
        store.log_event(StudyStarted(asked.study.id))
        rows: list[TrialResult] = []
        compared: list[StabilityResult] = []
        failures: list[CellFailure] = []
        kinds: dict[type, list] = {
            TrialResult: rows,
            StabilityResult: compared,
            CellFailure: failures,
        }
        try:
            with _recorded(record, store, rows, compared, failures, checkpoint_seconds) as save:
                for result in loop.run(asked.study, open_lab, store, at):
                    kinds[type(result)].append(result)
                    tell(result)
                    show(result)
                    save()
        except BudgetError as error:
            ended = error
    # They need SciPy's statistics, for which no training shall wait.
    from ltx.analysis import transfer
    from ltx.reporting import study_table

    planned = asked.study
    study_table.show(
        table.console(),
        rows,
        failures,
        margin=planned.margin,
        seeds=planned.seeds,
        controls=[label for label, finder in planned.finders.items() if finder.control],
    )
    study_table.show_stability(table.console(), compared, list(planned.finders))
    carried = transfer.transfer_results(dataclasses.replace(record, rows=tuple(rows)), store)
    study_table.show_transfers(table.console(), carried)
    if ended:
        raise ended
    return 1 if failures else 0


def _unheard(*told: object) -> None:
    """What is told where nobody listens."""


def explain(
    asked: Config,
    path: str,
    *,
    data_dir: str | None = None,
    memo_bytes: int = MEMO_BYTES,
    limit: Limit | None = None,
) -> int:
    """Print what `run` would train and take; nothing is written to the store at `path`."""
    KerasLab = _keras_lab()
    with tempfile.TemporaryDirectory() as nowhere:
        # A store that is not there yet holds nothing, and is not made.
        store = Store(path, create=False) if Store.occupied(path) else Store(nowhere)

        def open_lab(task: Task, seed: int, sealed: bool) -> Lab:
            lab = KerasLab(task, seed, engine=asked.engine, data_dir=data_dir, sealed=sealed)
            return MemoLab(lab, store, memo_bytes)

        loop.check(asked.study, open_lab)
        most, least = plan.estimate(asked.study, open_lab, store)
        paces = {key: _pace(lab) for key, lab in plan.labs_to_time(most).items()}
    found = plan.lines(most, least, paces)
    plan_table.show(table.console(), found, most, memo_bytes, limit)
    return 0


def _pace(lab: Lab) -> Throughput | None:
    try:
        return pace.measure(lab)
    except LtxError as error:  # a training that diverges does so in its own run as well
        _log.warning("no speed was measured: %s", error)
        return None


def _keras_lab() -> "type[KerasLab]":
    """TensorFlow starts here, after all that needs none."""
    with environment.hush_stderr():
        from ltx.backends.tf_keras.devices import devices
        from ltx.backends.tf_keras.lab import KerasLab

        devices()
    return KerasLab


def _tell_of_gaps(lab: "KerasLab", told: set[str] = set()) -> None:  # noqa: B006 (once a process)
    if lab.unprunable and lab.task.model not in told:
        told.add(lab.task.model)
        _log.warning("%s: %s", lab.task.label, lab.coverage)


@contextlib.contextmanager
def _recorded(
    record: StudyRecord,
    store: Store,
    rows: list[TrialResult],
    compared: list[StabilityResult],
    failures: list[CellFailure],
    seconds: float,
) -> Iterator[Callable[[], None]]:
    """Keep the study's record in the store: before it begins, now and then, and at its end."""
    saved = time.monotonic()

    def save(finished: bool = False) -> None:
        nonlocal saved
        now = dataclasses.replace(
            record,
            rows=tuple(rows),
            compared=tuple(compared),
            failures=tuple(failures),
            finished=finished,
        )
        store.put_study(record.id, now.document())
        saved = time.monotonic()

    def save_if_due() -> None:
        if time.monotonic() - saved >= seconds:
            save()

    save()
    try:
        yield save_if_due
    except BaseException:
        with contextlib.suppress(LtxError):  # what stopped the study is the error to be told
            save()
        raise
    save(finished=True)


@contextlib.contextmanager
def _interrupts() -> Iterator[Callable[[], bool]]:
    """Whether Ctrl-C was pressed: Python drops the exception where a destructor is running."""
    pressed: list[int] = []

    def press(number: int, frame: object) -> None:
        pressed.append(number)
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGINT, press)
    try:
        yield lambda: bool(pressed)
    finally:
        signal.signal(signal.SIGINT, before)


@contextlib.contextmanager
def _progress() -> Iterator[
    tuple[Watch, Callable[[TrialResult | StabilityResult | CellFailure], None]]
]:
    """A bar for the training under way, named by what was found last; only on a terminal."""
    columns = (
        rich.progress.TextColumn("{task.description}"),
        rich.progress.BarColumn(),
        rich.progress.MofNCompleteColumn(),
        rich.progress.TimeElapsedColumn(),
    )
    console = rich.console.Console(stderr=True)
    shown = rich.progress.Progress(
        *columns, console=console, transient=True, disable=not sys.stderr.isatty()
    )
    with _interrupts() as interrupted, shown as bars:
        bar = bars.add_task("starting", total=None)

        def watch(step: int, stop: int) -> None:
            if interrupted():
                raise KeyboardInterrupt
            bars.update(bar, completed=step, total=stop)

        def tell(result: TrialResult | StabilityResult | CellFailure) -> None:
            found = getattr(result, "trial", None) or getattr(result, "instability", None)
            level = f", level {found.level}" if found else ""
            bars.update(bar, description=f"{result.finder}, seed {result.seed}{level}")

        yield watch, tell
