"""Run and explain studies on Keras labs, and print the results."""

import contextlib
import logging
import tempfile
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from ltx.cli.progress import progress_bar
from ltx.config import plugins
from ltx.config.gin_files import Config
from ltx.core import environment
from ltx.core.duration import Duration
from ltx.core.errors import BudgetError, LtxError, UsageError
from ltx.core.lab import Lab
from ltx.core.task import Task
from ltx.reporting.console import console
from ltx.store.budget import Budget, Limit
from ltx.store.memo import CHECKPOINT_SECONDS, MEMO_BYTES, MemoLab
from ltx.store.store import Store
from ltx.study import loop, plan, runner, throughput
from ltx.study.definition import Study
from ltx.study.listener import StudyListener
from ltx.study.loop import OpenLab
from ltx.study.record import StudyRecord
from ltx.study.throughput import Throughput

if TYPE_CHECKING:
    from ltx.backends.tf_keras.lab import KerasLab

_ENDLESS = 10**9  # steps of one training that nobody waits for
_MOST_STEPS = {"ep": 10**7}  # of an epoch
_YEAR = 365 * 24 * 3600.0

_log = logging.getLogger("ltx")


def run(
    config: Config,
    store: Store,
    trackers: Sequence[StudyListener] = (),
    *,
    command: str,
    data_dir: str | None = None,
    memo_bytes: int = MEMO_BYTES,
    checkpoint_seconds: float = CHECKPOINT_SECONDS,
    limit: Limit | None = None,
) -> int:
    """Run the study to its end and print its results; 1 if a cell of it failed, else 0.

    Raises BudgetError if the limit ends it, after printing the results so far.
    """
    spent = None
    try:
        record = train(
            config,
            store,
            trackers,
            command=command,
            data_dir=data_dir,
            memo_bytes=memo_bytes,
            checkpoint_seconds=checkpoint_seconds,
            limit=limit,
        )
    except BudgetError as error:
        record, spent = StudyRecord.read(store, config.study.id), error
    show(record, store)
    if spent:
        raise spent
    return 1 if record.failures else 0


def train(
    config: Config,
    store: Store,
    trackers: Sequence[StudyListener] = (),
    *,
    command: str,
    progress: bool = True,
    data_dir: str | None = None,
    memo_bytes: int = MEMO_BYTES,
    checkpoint_seconds: float = CHECKPOINT_SECONDS,
    limit: Limit | None = None,
) -> StudyRecord:
    """Run the study on Keras labs, with a progress bar if wanted; return its record."""
    with contextlib.ExitStack() as stack:
        bar = stack.enter_context(progress_bar()) if progress else None
        open_lab = keras_labs(config, data_dir, bar.step if bar else _ignore)
        if limit is None:
            _check_lengths(config.study, open_lab)
        return runner.run(
            config.study,
            open_lab,
            store,
            [*([bar] if bar else []), *trackers],
            engine=config.engine,
            command=command,
            config=config.text,
            plugins=[vars(plugin) for plugin in plugins.plugins()],
            memo_bytes=memo_bytes,
            checkpoint_seconds=checkpoint_seconds,
            budget=Budget(limit),
        )


def show(record: StudyRecord, store: Store) -> None:
    """Print the tables and verdicts of a study."""
    # They need SciPy's statistics, whose import must not delay the training.
    from ltx.analysis import transfer
    from ltx.reporting import study_table

    study_table.show(
        console(),
        record.rows,
        record.failures,
        margin=record.margin,
        seeds=record.seeds,
        controls=record.controls,
    )
    study_table.show_stability(console(), record.compared, list(record.finders))
    study_table.show_transfers(console(), transfer.transfer_results(record, store))


def explain(
    config: Config,
    path: str,
    *,
    data_dir: str | None = None,
    memo_bytes: int = MEMO_BYTES,
    limit: Limit | None = None,
) -> int:
    """Print what `run` would train and how long it takes; writes nothing to the store."""
    from ltx.reporting import plan_table

    open_lab = keras_labs(config, data_dir)
    _check_lengths(config.study, open_lab)
    with tempfile.TemporaryDirectory() as empty:
        # A store that does not exist is not created: an empty one stands for it.
        store = Store(path, create=False) if Store.occupied(path) else Store(empty)

        def open_memo_lab(task: Task, seed: int, sealed: bool) -> Lab:
            return MemoLab(open_lab(task, seed, sealed), store, memo_bytes)

        loop.check(config.study, open_memo_lab)
        most, least = plan.estimate(config.study, open_memo_lab, store)
        speeds = {key: _throughput(lab) for key, lab in plan.labs_to_time(most).items()}
    lines = plan.lines(most, least, speeds)
    plan_table.show(console(), lines, most, memo_bytes, limit)
    return 0


def _check_lengths(study: Study, open_lab: OpenLab) -> None:
    """Refuse a training that would go on for years, unless a budget ends it."""
    for task in study.named.values():
        length = Duration.parse(task.recipe.length)
        if length.amount * _MOST_STEPS.get(length.unit, 1) <= _ENDLESS:
            continue  # certainly shorter, and no lab needs to be opened to see it
        lab = open_lab(task, study.seeds[0], True)
        if lab.steps() > _ENDLESS:
            speed = _throughput(lab)
            years = "" if speed is None else f", {speed.step * lab.steps() / _YEAR:,.1f} years"
            raise UsageError(
                f"Recipe.length {task.recipe.length}: one training of {task.label} is"
                f" {lab.steps():,} steps{years} at the speed of this machine; shorten it, or pass"
                " --budget (from Python budget=), as in --budget=2h, to train a part of it"
            )


def _throughput(lab: Lab) -> Throughput | None:
    try:
        return throughput.measure(lab)
    except LtxError as error:  # such as a training that diverges
        _log.warning("no speed was measured: %s", error)
        return None


def _ignore(step: int, stop: int) -> None:
    """The progress of a training that is not shown."""


def keras_labs(
    config: Config, data_dir: str | None, watch: Callable[[int, int], None] = _ignore
) -> OpenLab:
    """Start TensorFlow; opens labs that call `watch` with each step of a training and its end.

    Weights of a model that cannot be pruned are logged, once for each model.
    """
    warned: set[str] = set()
    with environment.hush_stderr():
        from ltx.backends.tf_keras.devices import devices
        from ltx.backends.tf_keras.lab import KerasLab

        devices()

    def open_lab(task: Task, seed: int, sealed: bool) -> Lab:
        lab = KerasLab(
            task, seed, engine=config.engine, data_dir=data_dir, sealed=sealed, watch=watch
        )
        _warn_of_unprunable(lab, warned)
        return lab

    return open_lab


def _warn_of_unprunable(lab: "KerasLab", warned: set[str]) -> None:
    if lab.unprunable and lab.task.model not in warned:
        warned.add(lab.task.model)
        _log.warning("%s: %s", lab.task.label, lab.coverage)
