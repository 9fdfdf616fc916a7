"""DryRunLab: a lab that simulates training and counts the work that it is asked to do."""

import dataclasses
import json
from collections.abc import Callable, Sequence

import numpy as np

from ltx.core import identity
from ltx.core.cost import Cost
from ltx.core.lab import Lab, Run
from ltx.core.mask import Mask, MaskLearner, MaskSchedule
from ltx.core.run import History, Metrics
from ltx.core.state import State
from ltx.core.task import Task
from ltx.store.lab_wrapper import LabWrapper
from ltx.store.memo import MemoLab
from ltx.store.store import Store

SIMULATED = "made up"  # the one slot of a state that stands for a trained one


@dataclasses.dataclass
class Work:
    """Steps and evaluations on labs that take the same time for each, of which `lab` is one."""

    lab: Lab
    steps: int = 0
    evaluations: int = 0


@dataclasses.dataclass
class CellPlan:
    """The work of one cell.

    Of the steps `requested`, those `stored` are in the store, and those `shared` were requested
    before, by this cell or another; `cost` is what is left to train, and `work` the same by speed.
    `bytes` is what the cell adds to the store, without the `states`: the number of trained states,
    whose size is not known before one is trained. `error` is the error that stopped the finder,
    which may be due to the simulated results alone.
    """

    task: str
    finder: str
    seed: int
    tickets: int = 0
    requested: int = 0
    stored: int = 0
    shared: int = 0
    cost: Cost = Cost()
    work: dict[str, Work] = dataclasses.field(default_factory=dict)
    bytes: int = 0
    states: int = 0
    error: str = ""


class PlanState:
    """What all cells of a plan share.

    With `convergent`, simulated weights stay the same over a training, so that a finder that waits
    for its masks to settle stops at once; without, they change at every stop, and it never does.
    `inits` are the initial states by lab and stream, `planned` the steps that trainings stop at by
    their memo key, `files` those that the plan adds to the store, `started` the cells of which the
    store has a ticket.
    """

    def __init__(self, store: Store, convergent: bool, inits: dict[tuple, State]) -> None:
        self.store, self.convergent, self.inits = store, convergent, inits
        self.planned: dict[str, set[int]] = {}
        self.files: set[tuple[str, str]] = set()
        self.draws = 0
        self.started = {
            cell_key(manifest["task"], manifest["seed"], manifest["finder_settings"])
            for manifest in store.manifests()
        }


def cell_key(task: object, seed: object, finder: object) -> str:
    """A key for the cells of all studies, from the descriptions of task and finder."""
    return json.dumps([task, seed, finder], sort_keys=True)


@dataclasses.dataclass
class Replay:
    """Whether a lab and its siblings have only repeated a run whose results the store has."""

    active: bool


class DryRunLab(LabWrapper):
    """Answers from the memo where that has the result; else simulates one and counts the work.

    A simulated state has the right shapes and step. It is a function of the request, so that
    trainings that two finders share are shared here, too.

    Nothing is written, and the test split is not read. Results that need no training, such as a
    gradient, are computed while the `replay` is active: they lead to the tickets in the store.
    """

    inner: MemoLab

    def __init__(self, inner: MemoLab, plan: PlanState, cell: CellPlan, replay: Replay) -> None:
        super().__init__(inner)
        self.plan, self.cell, self.replay = plan, cell, replay

    def init(self, stream: str = "init") -> State:
        key = (self.fingerprint, self.seed, stream)
        if key not in self.plan.inits:
            self.plan.inits[key] = self.inner.init(stream)
        return self.plan.inits[key]

    def open_sibling(self, task: Task) -> Lab:
        inner = self.inner.open_sibling(task)
        assert isinstance(inner, MemoLab)
        return DryRunLab(inner, self.plan, self.cell, self.replay)

    # Training

    def run_training(self, state: State, mask: Mask, stop: int, stream: str) -> Run:
        if stop == state.step:
            if self.replay.active:
                return self.inner.run_training(state, mask, stop, stream)
            return Run(state.masked(mask), History())
        key = self.inner.key(state, mask, stream)
        stored = self._count_training(key, state, mask, stop)
        return stored or self._simulated(key, state, mask, stop, stream)

    def run_mask_training(
        self, state: State, mask: Mask, method: MaskLearner, stop: int, stream: str
    ) -> Run:
        if stop == state.step:
            return Run(state, History())
        key = self.inner.key(state, mask, stream, method)
        if stored := self._count_training(key, state, mask, stop):
            return stored
        scores = {
            name: self._like(array, key, stop, name) if name.startswith("score:") else array
            for name, array in state.slots.items()
        }
        return Run(state.replace(slots=scores, step=stop), self._curve(state.step, stop))

    def _count_training(self, key: str, state: State, mask: Mask, stop: int) -> Run | None:
        """The run if the memo has it to the end; else count the part that is left to train."""
        cell, planned = self.cell, self.plan.planned.setdefault(key, set())
        cell.requested += stop - state.step
        run = self.inner.cached_run(key, stop, read_only=True)
        stored = run.state.step if run else state.step
        begin = max([stored, *(step for step in planned if step <= stop)])
        cell.stored += stored - state.step
        cell.shared += begin - stored
        if run and stored == stop:
            return run
        self.replay.active = False
        planned.add(stop)
        if begin < stop:
            cell.cost += self.cost(stop - begin, mask)
            self.count_work(stop - begin, len(self._points(begin, stop)))
        return None

    def count_work(self, steps: int, evaluations: int) -> None:
        """Count work that takes as long as this many steps and evaluations of training."""
        task = self.task
        program = [task.model, task.model_args, self.input_shape, task.recipe.batch_size]
        key = identity.identity([*program, task.recipe.optimizer, task.recipe.augment])
        work = self.cell.work.setdefault(key, Work(self.inner.inner))
        work.steps += steps
        work.evaluations += evaluations

    def _simulated(self, key: str, state: State, mask: Mask, stop: int, stream: str) -> Run:
        # A chain of simulated states passes on the id of the state that it started from.
        root = state.slots.get(SIMULATED)
        if root is None:
            root = np.frombuffer(state.id.encode(), np.uint8)
        if self.plan.convergent:
            draw: tuple[object, ...] = (self.fingerprint, bytes(root), mask.id, stream)
        else:
            draw = (key, stop)
        first = self.init().weights
        weights = {n: self._like(first.get(n, a), *draw, n) for n, a in state.weights.items()}
        end = state.replace(weights=mask.apply(weights), slots={SIMULATED: root}, step=stop)
        return Run(end, self._curve(state.step, stop))

    def _like(self, array: np.ndarray, *stream: object) -> np.ndarray:
        """Random numbers with the array's shape, dtype and standard deviation."""
        rng = identity.generator(self.seed, "plan", *stream)
        scale = array.dtype.type(float(array.std()) or 0.1)
        return rng.standard_normal(array.shape, np.float32).astype(array.dtype) * scale

    def _points(self, start: int, stop: int) -> list[int]:
        every, whole = max(1, self.steps(self.task.recipe.eval_every)), self.steps()
        points = list(range(start - start % every + every, stop + 1, every))
        return [*points, stop] if stop == whole and stop % every else points

    def _curve(self, start: int, stop: int) -> History:
        steps = tuple(self._points(start, stop))
        return History(steps, (1.0,) * len(steps), (0.5,) * len(steps))

    # Results that need no training

    def once(self, key: Sequence[object], make: Callable[[], list[float]]) -> list[float]:
        stored = self.inner.cached_numbers(key, read_only=True) if self.replay.active else None
        return stored or make()

    def compute_gradients(
        self, state: State, mask: Mask, batches: int, stream: str
    ) -> dict[str, np.ndarray]:
        self.count_work(batches, 0)
        if self.replay.active:
            return self.inner.compute_gradients(state, mask, batches, stream)
        return self._random("gradients", state, mask, batches, stream)

    def compute_hessian_gradient(
        self, state: State, mask: Mask, batches: int, temperature: float, stream: str
    ) -> dict[str, np.ndarray]:
        self.count_work(4 * batches, 0)
        if self.replay.active:
            return self.inner.compute_hessian_gradient(state, mask, batches, temperature, stream)
        return self._random("hessian", state, mask, batches, stream)

    def compute_synaptic_flow(self, state: State, mask: Mask) -> dict[str, np.ndarray]:
        if self.replay.active:
            return self.inner.compute_synaptic_flow(state, mask)
        return {name: np.abs(array) for name, array in self._random("flow", state, mask).items()}

    def _random(self, *request: object) -> dict[str, np.ndarray]:
        stream = [getattr(part, "id", part) for part in request]
        return {
            w.name: identity.generator(
                self.seed, self.fingerprint, *stream, w.name
            ).standard_normal(w.shape, np.float32)
            for w in self.prunable
        }

    def recompute_statistics(self, state: State, mask: Mask, batches: int, stream: str) -> State:
        if self.replay.active:
            return self.inner.recompute_statistics(state, mask, batches, stream)
        # A new object, by which Lab.recalibrated sees that it had statistics to take.
        return state.replace() if state.statistics else state

    def compute_scheduled_mask(self, state: State, mask: Mask, schedule: MaskSchedule) -> Mask:
        if self.replay.active:
            return self.inner.compute_scheduled_mask(state, mask, schedule)
        return Lab.compute_scheduled_mask(self, state, mask, schedule)  # by the formulas

    def run_evaluation(self, state: State, mask: Mask, split: str) -> Metrics:
        if self.replay.active and split != "test":
            return self.inner.run_evaluation(state, mask, split)
        if not self.plan.convergent:  # a constant error, along which no barrier is found
            return Metrics(1.0, 0.5)
        self.plan.draws += 1
        return Metrics(1.0, float(identity.generator(self.seed, "plan", self.plan.draws).random()))
