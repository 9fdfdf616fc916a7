"""Run a study over a store: its labs memoised, its record kept up to date, its listeners called."""

import contextlib
import dataclasses
import time
from collections.abc import Mapping, Sequence

from ltx.core.engine import Engine
from ltx.core.errors import LtxError
from ltx.core.lab import Lab
from ltx.core.task import Task
from ltx.store import liveness
from ltx.store.budget import Budget
from ltx.store.event_log import StudyStarted
from ltx.store.memo import CHECKPOINT_SECONDS, MEMO_BYTES, MemoLab
from ltx.store.store import Store
from ltx.study import loop
from ltx.study.definition import Study
from ltx.study.listener import Listeners, StudyListener
from ltx.study.loop import OpenLab
from ltx.study.record import StudyRecord
from ltx.study.results import CellFailure, StabilityResult, TrialResult


def run(
    study: Study,
    open_lab: OpenLab,
    store: Store,
    listeners: Sequence[StudyListener] = (),
    *,
    engine: Engine | None = None,
    command: str = "",
    config: str = "",
    plugins: Sequence[Mapping[str, str]] = (),
    memo_bytes: int = MEMO_BYTES,
    checkpoint_seconds: float = CHECKPOINT_SECONDS,
    budget: Budget | None = None,
) -> StudyRecord:
    """Run the study to its end and return its record, which the store has as well.

    Each lab that `open_lab` gives is memoised in the store. `command`, `config` and `plugins` go
    into the record, as where the study comes from. Whatever ends the study early is raised after
    its record was saved: BudgetError if the budget is spent, StoreFullError, KeyboardInterrupt.
    Raises UsageError for mistakes in the settings, before anything trains.
    """
    trained = Listeners(listeners).trained

    def open_memo_lab(task: Task, seed: int, sealed: bool) -> Lab:
        lab = open_lab(task, seed, sealed)
        return MemoLab(lab, store, memo_bytes, checkpoint_seconds, budget, trained)

    with liveness.announce(store):
        loop.check(study, open_memo_lab)
        record = StudyRecord.of(
            study, engine or Engine(), command=command, config=config, plugins=plugins
        )
        store.log_event(StudyStarted(study.id))
        keeper = RecordKeeper(record, store, checkpoint_seconds)
        listener = Listeners([keeper, *listeners])
        listener.started(study)
        try:
            for _ in loop.run(study, open_memo_lab, store, listener):
                pass
        except BaseException:
            listener.ended(complete=False)
            raise
        listener.ended(complete=True)
    return keeper.record


class RecordKeeper(StudyListener):
    """Saves a study's record at its start, every `seconds` seconds, and at its end."""

    def __init__(self, record: StudyRecord, store: Store, seconds: float) -> None:
        self._blank, self._store, self._seconds = record, store, seconds
        self._rows: list[TrialResult] = []
        self._compared: list[StabilityResult] = []
        self._failures: list[CellFailure] = []
        self._finished, self._saved = False, time.monotonic()

    @property
    def record(self) -> StudyRecord:
        """The record with the results so far."""
        return dataclasses.replace(
            self._blank,
            rows=tuple(self._rows),
            compared=tuple(self._compared),
            failures=tuple(self._failures),
            finished=self._finished,
        )

    def started(self, study: Study) -> None:
        self._save()

    def measured(self, result: TrialResult) -> None:
        self._rows.append(result)
        self._save_if_due()

    def compared(self, result: StabilityResult) -> None:
        self._compared.append(result)
        self._save_if_due()

    def failed(self, failure: CellFailure) -> None:
        self._failures.append(failure)
        self._save_if_due()

    def ended(self, complete: bool) -> None:
        self._finished = complete
        if complete:
            self._save()
        else:
            with contextlib.suppress(LtxError):  # the error that stopped the study is the one shown
                self._save()

    def _save_if_due(self) -> None:
        if time.monotonic() - self._saved >= self._seconds:
            self._save()

    def _save(self) -> None:
        self._store.put_study(self._blank.id, self.record.document())
        self._saved = time.monotonic()
