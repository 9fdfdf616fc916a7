"""Memo: a lab that remembers every training in a store, and goes on where a killed one stopped."""

import dataclasses
import time
from collections.abc import Callable, Sequence
from typing import Any

from ltx.core import clock, identity
from ltx.core.budget import Budget
from ltx.core.errors import BudgetError
from ltx.core.lab import Lab
from ltx.core.lab_wrapper import LabWrapper
from ltx.core.mask import Mask, MaskLearner
from ltx.core.run import History, Run
from ltx.core.state import State
from ltx.core.task import Task
from ltx.store.event_log import Trained
from ltx.store.memo_cache import Numbers
from ltx.store.store import Store

Advance = Callable[[State, int], Run]
Tell = Callable[["Training", Run], None]
CHECKPOINT_SECONDS = 10.0
MEMO_BYTES = 8 << 30


@dataclasses.dataclass(frozen=True)
class Training:
    """What a lab was asked to train; `task`, `state` and `mask` are ids, `start` a step."""

    task: str
    start: int
    state: str
    mask: str
    stream: str = "order"
    method: MaskLearner | None = None

    @classmethod
    def of(cls, task: Task, state: State, mask: Mask, **asked: Any) -> "Training":
        return cls(task.id, state.step, state.id, mask.id, **asked)


class MemoLab(LabWrapper):
    """Wraps any lab. An entry is a cache: always safe to delete.

    All trainings from the same state, mask and data order share one folder of states by step, so
    a longer training starts from the longest one known. A checkpoint is such a state that nobody
    asked for, left about every `every` seconds; the next one replaces it. Entries of more than
    `limit` bytes together are deleted, those least recently used first. Where the `budget` ends
    training stops, in the middle of a run as well, behind a checkpoint. An entry tells how many
    seconds all the training that led to it took; what a kill made void is not among them. `tell`
    hears how far each training has come, about as often, and once of one that is remembered.
    """

    def __init__(
        self,
        lab: Lab,
        store: Store,
        limit: int = MEMO_BYTES,
        every: float | None = None,
        budget: Budget | None = None,
        tell: Tell = lambda training, run: None,
    ) -> None:
        super().__init__(lab)
        self.budget, self.tell = budget or Budget(), tell
        self.store, self.limit = store, limit
        self.every = CHECKPOINT_SECONDS if every is None else every

    def open_sibling(self, task: Task) -> Lab:
        inner = self.inner.open_sibling(task)
        return MemoLab(inner, self.store, self.limit, self.every, self.budget, self.tell)

    def run_training(self, state: State, mask: Mask, stop: int, stream: str) -> Run:
        def advance(state: State, stop: int) -> Run:
            return self.inner.run_training(state, mask, stop, stream)

        asked = Training.of(self.task, state, mask, stream=stream)
        return self._remembered(asked, advance, state, stop)

    def run_mask_training(
        self, state: State, mask: Mask, method: MaskLearner, stop: int, stream: str
    ) -> Run:
        def advance(state: State, stop: int) -> Run:
            return self.inner.run_mask_training(state, mask, method, stop, stream)

        asked = Training.of(self.task, state, mask, stream=stream, method=method)
        return self._remembered(asked, advance, state, stop)

    def key(self, state: State, mask: Mask, stream: str, method: MaskLearner | None = None) -> str:
        """The name of the folder that trainings from here share."""
        return self._key(Training.of(self.task, state, mask, stream=stream, method=method))

    def _key(self, asked: Training) -> str:
        parts = [self.fingerprint, self.seed, asked.state, asked.mask, asked.stream]
        return identity.identity(parts if asked.method is None else [*parts, asked.method])

    def _remembered(self, asked: Training, advance: Advance, state: State, stop: int) -> Run:
        if stop == state.step:
            return advance(state, stop)  # no training, and nothing to remember
        key = self._key(asked)
        known = self.store.memo.run(key, stop)
        if known is None or known.state.step < stop:
            with self.store.lock(key):
                # Another process may have finished it while this one waited.
                known = self.store.memo.run(key, stop) or Run(state, History(), 0.0)
                if known.state.step < stop:
                    return self._extend(asked, known, advance, stop)
        self.tell(asked, known)
        return known

    def _extend(self, asked: Training, known: Run, advance: Advance, stop: int) -> Run:
        """Train on to `stop`, leaving a checkpoint about every `every` seconds."""
        key, state, history = self._key(asked), known.state, known.history
        took = known.seconds
        stride, pace = max(1, min(20, self.inner.steps(self.task.recipe.eval_every))), 0.0
        while state.step < stop:
            try:
                granted = self.budget.grant(min(stop - state.step, stride), pace)
            except BudgetError:
                if state.step > known.state.step:
                    self._put(key, Run(state, history, took), checkpoint=True)
                raise
            target, begun = state.step + granted, time.monotonic()
            run = advance(state, target)
            seconds = max(time.monotonic() - begun, 1e-6)
            self.budget.spend(granted, seconds)
            pace = seconds / granted
            self.store.log_event(Trained(key, state.step, target, stop, seconds))
            state, history, took = run.state, history + run.history, took + run.seconds
            self.tell(asked, Run(state, history))
            if target == stop:
                break
            if seconds > self.every / 4:
                self._put(key, Run(state, history, took), checkpoint=True)
            stride = max(1, int(stride * min(10.0, self.every / seconds)))
        run = Run(state, history, took)
        self._put(key, run, checkpoint=False)
        return run

    def once(self, key: Sequence[object], make: Callable[[], list[float]]) -> list[float]:
        if known := self.recalled(key):
            return known
        before, begun = self.spent, clock.now()
        values = self.inner.once(key, make)
        made = Numbers(values, self.spent - before, clock.now() - begun)
        self.store.memo.put_numbers(self._numbers_key(key), made)
        self.store.memo.shrink(self.limit)
        return values

    def recalled(self, key: Sequence[object], peek: bool = False) -> list[float] | None:
        """What `once` remembers of the key, charged as if it were computed again."""
        known = self.store.memo.numbers(self._numbers_key(key), read_only=peek)
        if known is None:
            return None
        self.ledger.add(known.cost)
        self.ledger.seconds += known.seconds
        return known.values

    def _numbers_key(self, key: Sequence[object]) -> str:
        return identity.identity([self.fingerprint, self.seed, *key])

    def peek(self, key: str, stop: int) -> Run | None:
        """The longest training known up to `stop`; looked at, and neither used nor put aside."""
        return self.store.memo.run(key, stop, read_only=True)

    def _put(self, key: str, run: Run, checkpoint: bool) -> None:
        self.store.memo.put_run(key, run, checkpoint)
        self.store.memo.shrink(self.limit)
