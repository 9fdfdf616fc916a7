"""PlanLab: a lab that pretends to train, and books what it was asked for."""

import dataclasses
import json
from collections.abc import Callable, Sequence

import numpy as np

from ltx.core import identity
from ltx.core.cost import Cost
from ltx.core.lab import Lab, Run
from ltx.core.lab_wrapper import LabWrapper
from ltx.core.mask import Mask, MaskLearner, MaskSchedule
from ltx.core.run import History, Metrics
from ltx.core.state import State
from ltx.core.task import Task
from ltx.store.memo import MemoLab
from ltx.store.store import Store

MADE_UP = "made up"  # the one slot of a state that stands for a trained one


@dataclasses.dataclass
class Work:
    """Training to be done on labs that take the same time for a step, of which `lab` is one."""

    lab: Lab
    steps: int = 0
    evaluations: int = 0


@dataclasses.dataclass
class CellPlan:
    """What one finder asks for with one seed on one task.

    Of the steps `asked` for, those `stored` are in the store, and those `shared` were asked for
    before, by this cell or another; `cost` is what is left to train, and `work` the same by speed.
    `bytes` is what it adds to the store, but for `states`, so many trained ones of a size that is
    seen only when one is trained. `error` is where the finder stopped, as it may just because what
    it saw was made up.
    """

    task: str
    finder: str
    seed: int
    tickets: int = 0
    asked: int = 0
    stored: int = 0
    shared: int = 0
    cost: Cost = Cost()
    work: dict[str, Work] = dataclasses.field(default_factory=dict)
    bytes: int = 0
    states: int = 0
    error: str = ""


class PlanState:
    """What all cells of a plan know of each other."""

    def __init__(self, store: Store, restless: bool, inits: dict[tuple, State]) -> None:
        self.store, self.restless, self.inits = store, restless, inits
        self.planned: dict[str, set[int]] = {}
        self.files: set[tuple[str, str]] = set()
        self.draws = 0
        self.begun = {
            cell_key(manifest["task"], manifest["seed"], manifest["finder_settings"])
            for manifest in store.manifests()
        }


def cell_key(task: object, seed: object, finder: object) -> str:
    """What tells the cells of all studies apart, from the parts' descriptions."""
    return json.dumps([task, seed, finder], sort_keys=True)


class DryRunLab(LabWrapper):
    """Answers from the memo where that holds the answer, and else makes one up and books it.

    A made-up state has the right shapes at the right step, and is the same whenever the same is
    asked for, so that what two finders share is shared here. Restless ones are drawn afresh at
    every stop, so that no mask stands still; others once for a training with all its stops.

    Nothing is written, and the test split is not read. What is not trained, as a gradient, is
    computed as long as the cell has seen nothing but what is real and its finder was begun before:
    then it leads to the tickets that are stored.
    """

    inner: MemoLab

    def __init__(self, inner: MemoLab, book: PlanState, cell: CellPlan, real: list[bool]) -> None:
        super().__init__(inner)
        self.book, self.cell, self.real = book, cell, real

    def init(self, stream: str = "init") -> State:
        key = (self.fingerprint, self.seed, stream)
        if key not in self.book.inits:
            self.book.inits[key] = self.inner.init(stream)
        return self.book.inits[key]

    def open_sibling(self, task: Task) -> Lab:
        inner = self.inner.open_sibling(task)
        assert isinstance(inner, MemoLab)
        return DryRunLab(inner, self.book, self.cell, self.real)

    # Training

    def run_training(self, state: State, mask: Mask, stop: int, stream: str) -> Run:
        if stop == state.step:
            if self.real[0]:
                return self.inner.run_training(state, mask, stop, stream)
            return Run(state.masked(mask), History())
        key = self.inner.key(state, mask, stream)
        known = self._booked(key, state, mask, stop)
        return known or self._pretended(key, state, mask, stop, stream)

    def run_mask_training(
        self, state: State, mask: Mask, method: MaskLearner, stop: int, stream: str
    ) -> Run:
        if stop == state.step:
            return Run(state, History())
        key = self.inner.key(state, mask, stream, method)
        if known := self._booked(key, state, mask, stop):
            return known
        scores = {
            name: self._like(array, key, stop, name) if name.startswith("score:") else array
            for name, array in state.slots.items()
        }
        return Run(state.replace(slots=scores, step=stop), self._curve(state.step, stop))

    def _booked(self, key: str, state: State, mask: Mask, stop: int) -> Run | None:
        """The run, where the memo holds it to the end; else what is left of it is booked."""
        cell, planned = self.cell, self.book.planned.setdefault(key, set())
        cell.asked += stop - state.step
        known = self.inner.cached_run(key, stop, read_only=True)
        stored = known.state.step if known else state.step
        begin = max([stored, *(step for step in planned if step <= stop)])
        cell.stored += stored - state.step
        cell.shared += begin - stored
        if known and stored == stop:
            return known
        self.real[0] = False
        planned.add(stop)
        if begin < stop:
            cell.cost += self.cost(stop - begin, mask)
            self.book_work(stop - begin, len(self._points(begin, stop)))
        return None

    def book_work(self, steps: int, evaluations: int) -> None:
        """Count work that takes this lab as long as so many steps and evaluations of training."""
        task = self.task
        alike = [task.model, task.model_args, self.input_shape, task.recipe.batch_size]
        key = identity.identity([*alike, task.recipe.optimizer, task.recipe.augment])
        work = self.cell.work.setdefault(key, Work(self.inner.inner))
        work.steps += steps
        work.evaluations += evaluations

    def _pretended(self, key: str, state: State, mask: Mask, stop: int, stream: str) -> Run:
        # Where the first of a chain of made-up states began is handed on in its one slot.
        root = state.slots.get(MADE_UP)
        if root is None:
            root = np.frombuffer(state.id.encode(), np.uint8)
        once = (self.fingerprint, bytes(root), mask.id, stream)
        drawn = (key, stop) if self.book.restless else once
        first = self.init().weights
        weights = {n: self._like(first.get(n, a), *drawn, n) for n, a in state.weights.items()}
        made = state.replace(weights=mask.apply(weights), slots={MADE_UP: root}, step=stop)
        return Run(made, self._curve(state.step, stop))

    def _like(self, array: np.ndarray, *stream: object) -> np.ndarray:
        """Numbers of the array's spread, drawn anew for each stream."""
        draw = identity.generator(self.seed, "plan", *stream)
        scale = array.dtype.type(float(array.std()) or 0.1)
        return draw.standard_normal(array.shape, np.float32).astype(array.dtype) * scale

    def _points(self, start: int, stop: int) -> list[int]:
        every, whole = max(1, self.steps(self.task.recipe.eval_every)), self.steps()
        points = list(range(start - start % every + every, stop + 1, every))
        return [*points, stop] if stop == whole and stop % every else points

    def _curve(self, start: int, stop: int) -> History:
        steps = tuple(self._points(start, stop))
        return History(steps, (1.0,) * len(steps), (0.5,) * len(steps))

    # What is not trained

    def once(self, key: Sequence[object], make: Callable[[], list[float]]) -> list[float]:
        known = self.inner.cached_numbers(key, read_only=True) if self.real[0] else None
        return known or make()

    def compute_gradients(
        self, state: State, mask: Mask, batches: int, stream: str
    ) -> dict[str, np.ndarray]:
        self.book_work(batches, 0)
        if self.real[0]:
            return self.inner.compute_gradients(state, mask, batches, stream)
        return self._drawn("gradients", state, mask, batches, stream)

    def compute_hessian_gradient(
        self, state: State, mask: Mask, batches: int, temperature: float, stream: str
    ) -> dict[str, np.ndarray]:
        self.book_work(4 * batches, 0)
        if self.real[0]:
            return self.inner.compute_hessian_gradient(state, mask, batches, temperature, stream)
        return self._drawn("hessian", state, mask, batches, stream)

    def compute_synaptic_flow(self, state: State, mask: Mask) -> dict[str, np.ndarray]:
        if self.real[0]:
            return self.inner.compute_synaptic_flow(state, mask)
        return {name: np.abs(array) for name, array in self._drawn("flow", state, mask).items()}

    def _drawn(self, *asked: object) -> dict[str, np.ndarray]:
        stream = [getattr(part, "id", part) for part in asked]
        return {
            w.name: identity.generator(
                self.seed, self.fingerprint, *stream, w.name
            ).standard_normal(w.shape, np.float32)
            for w in self.prunable
        }

    def recompute_statistics(self, state: State, mask: Mask, batches: int, stream: str) -> State:
        if self.real[0]:
            return self.inner.recompute_statistics(state, mask, batches, stream)
        # Another object: it is by that that the lab sees something was done.
        return state.replace() if state.statistics else state

    def compute_scheduled_mask(self, state: State, mask: Mask, schedule: MaskSchedule) -> Mask:
        if self.real[0]:
            return self.inner.compute_scheduled_mask(state, mask, schedule)
        return Lab.compute_scheduled_mask(self, state, mask, schedule)  # by the formulas

    def run_evaluation(self, state: State, mask: Mask, split: str) -> Metrics:
        if self.real[0] and split != "test":
            return self.inner.run_evaluation(state, mask, split)
        if self.book.restless:  # a flat line: to whoever looks for a barrier, none is there
            return Metrics(1.0, 0.5)
        self.book.draws += 1
        return Metrics(1.0, float(identity.generator(self.seed, "plan", self.book.draws).random()))
