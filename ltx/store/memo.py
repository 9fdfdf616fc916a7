"""MemoLab: a lab that caches every training in a store and resumes one that was interrupted."""

import dataclasses
import time
from collections.abc import Callable, Sequence
from typing import Any

from ltx.core import clock, identity
from ltx.core.environment import sources_of
from ltx.core.errors import BudgetError
from ltx.core.lab import Lab
from ltx.core.mask import Mask, MaskLearner
from ltx.core.run import History, Run
from ltx.core.state import State
from ltx.core.task import Task
from ltx.store.budget import Budget
from ltx.store.event_log import Trained
from ltx.store.lab_wrapper import LabWrapper
from ltx.store.readers import Numbers
from ltx.store.store import Store

OnProgress = Callable[["Training", Run], None]
Advance = Callable[[State, int], Run]  # trains from a state to a step
CHECKPOINT_SECONDS = 10.0
MEMO_BYTES = 8 << 30


@dataclasses.dataclass(frozen=True)
class Training:
    """What identifies a training: ids of the task, state and mask, and the step of the state."""

    task: str
    start: int
    state: str
    mask: str
    stream: str = "order"
    method: MaskLearner | None = None

    @classmethod
    def of(cls, task: Task, state: State, mask: Mask, **settings: Any) -> "Training":
        return cls(task.id, state.step, state.id, mask.id, **settings)


class MemoLab(LabWrapper):
    """Wraps any lab and caches its trainings in the store's memo.

    All trainings from the same state, mask and data order share a key, so that a longer training
    starts from the longest one in the cache. About every `every` seconds a checkpoint is written,
    which replaces the one before. If the memo exceeds `limit` bytes, the least recently used
    entries are deleted. Where the `budget` ends, training stops, also within a run, after writing a
    checkpoint. An entry has the seconds of all the training that led to it; work that was lost to a
    kill is not counted. `on_progress` is called about every `every` seconds of a training with the
    run so far, and once with a run from the cache.
    """

    def __init__(
        self,
        lab: Lab,
        store: Store,
        limit: int = MEMO_BYTES,
        every: float | None = None,
        budget: Budget | None = None,
        on_progress: OnProgress = lambda training, run: None,
    ) -> None:
        super().__init__(lab)
        self.budget, self.on_progress = budget or Budget(), on_progress
        self.store, self.limit = store, limit
        self.every = CHECKPOINT_SECONDS if every is None else every

    def open_sibling(self, task: Task) -> Lab:
        inner = self.inner.open_sibling(task)
        return MemoLab(inner, self.store, self.limit, self.every, self.budget, self.on_progress)

    def run_training(self, state: State, mask: Mask, stop: int, stream: str) -> Run:
        def advance(state: State, stop: int) -> Run:
            return self.inner.run_training(state, mask, stop, stream)

        training = Training.of(self.task, state, mask, stream=stream)
        return self._cached_training(training, advance, state, stop)

    def run_mask_training(
        self, state: State, mask: Mask, method: MaskLearner, stop: int, stream: str
    ) -> Run:
        def advance(state: State, stop: int) -> Run:
            return self.inner.run_mask_training(state, mask, method, stop, stream)

        training = Training.of(self.task, state, mask, stream=stream, method=method)
        return self._cached_training(training, advance, state, stop)

    def key(self, state: State, mask: Mask, stream: str, method: MaskLearner | None = None) -> str:
        """The memo key that all trainings from this state have in common."""
        return self._key(Training.of(self.task, state, mask, stream=stream, method=method))

    def _key(self, training: Training) -> str:
        parts: list[Any] = [
            self.fingerprint,
            self.seed,
            training.state,
            training.mask,
            training.stream,
        ]
        if training.method is not None:
            code = sources_of(training.method)  # {} for the learners of ltx
            parts += [training.method, *([code] if code else [])]
        return identity.identity(parts)

    def cached_run(
        self, key: str, stop: int, read_only: bool = False, start: State | None = None
    ) -> Run | None:
        """The longest cached training of a key, from `start`, up to the step `stop`."""
        return self.store.memo.run(key, stop, read_only, start)

    def _cached_training(
        self, training: Training, advance: Advance, state: State, stop: int
    ) -> Run:
        if stop == state.step:
            return advance(state, stop)  # nothing to train and nothing to cache
        key = self._key(training)
        cached = self.cached_run(key, stop, start=state)
        if cached is None or cached.state.step < stop:
            with self.store.lock(key):
                # Another process may have finished it while this one waited.
                cached = self.cached_run(key, stop, start=state) or Run(state, History(), 0.0)
                if cached.state.step < stop:
                    return self._extend(training, cached, advance, stop)
        self.on_progress(training, cached)
        return cached

    def _extend(self, training: Training, cached: Run, advance: Advance, stop: int) -> Run:
        """Train on to `stop`, leaving a checkpoint about every `every` seconds."""
        key, run = self._key(training), cached
        stride = max(1, min(20, self.inner.steps(self.task.recipe.eval_every)))
        seconds_per_step = 0.0
        while run.state.step < stop:
            try:
                granted = self.budget.grant(min(stop - run.state.step, stride), seconds_per_step)
            except BudgetError:
                if run.state.step > cached.state.step:
                    self._put(key, run, checkpoint=True)
                raise
            target, started = run.state.step + granted, time.monotonic()
            segment = advance(run.state, target).finite(self.task)
            seconds = max(time.monotonic() - started, 1e-6)
            self.budget.spend(granted, seconds)
            seconds_per_step = seconds / granted
            self.store.log_event(Trained(key, run.state.step, target, stop, seconds))
            run = Run(segment.state, run.history + segment.history, run.seconds + segment.seconds)
            self.on_progress(training, run)
            if target == stop:
                break
            if seconds > self.every / 4:
                self._put(key, run, checkpoint=True)
            stride = max(1, int(stride * min(10.0, self.every / seconds)))
        self._put(key, run, checkpoint=False)
        return run

    def once(self, key: Sequence[object], make: Callable[[], list[float]]) -> list[float]:
        if cached := self.cached_numbers(key):
            return cached
        before, started = self.spent, clock.now()
        values = self.inner.once(key, make)
        numbers = Numbers(values, self.spent - before, clock.now() - started)
        self.store.memo.put_numbers(self._numbers_key(key), numbers)
        self.store.memo.shrink(self.limit)
        return values

    def cached_numbers(self, key: Sequence[object], read_only: bool = False) -> list[float] | None:
        """The numbers that `once` cached for the key, charged as if they were computed again."""
        cached = self.store.memo.numbers(self._numbers_key(key), read_only)
        if cached is None:
            return None
        self.ledger.add(cached.cost)
        self.ledger.seconds += cached.seconds
        return cached.values

    def _numbers_key(self, key: Sequence[object]) -> str:
        return identity.identity([self.fingerprint, self.seed, *key])

    def _put(self, key: str, run: Run, checkpoint: bool) -> None:
        self.store.memo.put_run(key, run, checkpoint, self.task.objective.metric)
        self.store.memo.shrink(self.limit)
