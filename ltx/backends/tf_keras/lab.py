"""KerasLab: the Lab that trains tf_keras models, on a CPU, GPUs or TPUs."""

import dataclasses
import functools
from collections.abc import Callable

import numpy as np

from ltx.backends.tf_keras import tfmot
from ltx.backends.tf_keras.mask_program import MaskProgram
from ltx.backends.tf_keras.measurement import double_precision
from ltx.backends.tf_keras.program import VERSION, Program
from ltx.backends.tf_keras.programs import held_out, mask_program, program, training_program
from ltx.backends.tf_keras.sparse_program import SparseProgram
from ltx.core import clock, identity
from ltx.core.backend import InputShape
from ltx.core.cost import Ledger
from ltx.core.engine import Engine
from ltx.core.environment import sources_of, versions
from ltx.core.lab import Lab
from ltx.core.mask import Mask, MaskLearner, MaskSchedule
from ltx.core.prunable import Channels, Weight
from ltx.core.recipe import Recipe
from ltx.core.run import History, Metrics, Run, timed
from ltx.core.state import State
from ltx.core.task import Task
from ltx.data import sampling
from ltx.data.dataset import DataSpec
from ltx.pruning.schedules import PolynomialDecay

Watch = Callable[[int, int], None]


class KerasLab(Lab):
    """Trains one task with one seed; many labs may share one compiled program.

    `watch(step, end)` is called as training proceeds.
    """

    def __init__(
        self,
        task: Task,
        seed: int,
        *,
        engine: Engine = Engine(),  # noqa: B008 (frozen)
        data_dir: str | None = None,
        sealed: bool = True,
        ledger: Ledger | None = None,
        watch: Watch = lambda step, stop: None,
    ) -> None:
        self.task, self.seed, self.sealed = task, seed, sealed
        self.ledger = ledger or Ledger()
        self._engine, self._data_dir, self._watch = engine, data_dir, watch
        self._program = program(task, engine, data_dir)
        self._training = training_program(self._program)

    @property
    def prunable(self) -> tuple[Weight, ...]:
        return self._program.masked.prunable

    @property
    def channels(self) -> tuple[Channels, ...]:
        return self._program.channels

    @property
    def head(self) -> tuple[str, ...]:
        return self._program.masked.head

    @property
    def stem(self) -> tuple[str, ...]:
        return self._program.masked.stem

    @property
    def input_shape(self) -> InputShape:
        return self._program.data.input_shape

    @property
    def outputs_logits(self) -> bool:
        inspection = self._program.masked.inspection
        if not self.task.objective.softmax:
            return True
        return self._program.loss.outputs_logits and not inspection.ends_in_log_softmax

    @property
    def epoch(self) -> int:
        return sampling.steps_per_epoch(len(self._program.data.train), self.task.recipe.batch_size)

    @functools.cached_property
    def fingerprint(self) -> str:
        inner = self._program
        objective = sources_of(self.task.objective)  # {} for the objectives of ltx
        return identity.identity(
            {
                "task": self.task,
                "data": inner.data.fingerprint,
                "model": inner.architecture,
                "engine": self._engine,
                "mode": self._training.mode,
                "device": inner.kind,
                "replicas": inner.replicas,
                "program": VERSION,
                "tensorflow": versions()["tensorflow"],
                **inner.masked.inspection.corrections,
                **self._training.compiler,
                **({"code": inner.code} if inner.code else {}),
                **({"objective": objective} if objective else {}),
            }
        )

    @functools.cached_property
    def origin(self) -> dict[str, str]:
        inner = self._program
        model = [inner.architecture, inner.code, inner.masked.inspection.corrections]
        return {
            "model": identity.identity(model),
            "data": inner.data.fingerprint,
            "engine": identity.identity([self._engine, inner.kind, inner.replicas, VERSION]),
            "deterministic": "yes" if self._engine.deterministic else "no",
        }

    @property
    def unprunable(self) -> dict[str, int]:
        """The sizes of the weights of rank 2 or more in layers that TF-MOT cannot wrap."""
        return self._program.masked.unprunable

    @property
    def coverage(self) -> str:
        """One sentence on which share of the parameters can be pruned, and what cannot."""
        return self._program.masked.coverage()

    def init(self, stream: str = "init") -> State:
        drawn = int(self.rng("weights", stream).integers(2**31))
        with clock.paused():  # builds a temporary model
            return self._program.fresh(drawn)

    @timed
    def run_training(self, state: State, mask: Mask, stop: int, stream: str) -> Run:
        inner = self._training
        inner.load(state, mask)
        run = self._run(inner, self.task.recipe, inner.evaluate, state.step, stop, stream)
        if stop == self.steps() > state.step:
            self._program.loss_scale.check_end(run.state)
        return run

    @timed
    def run_mask_training(
        self, state: State, mask: Mask, method: MaskLearner, stop: int, stream: str
    ) -> Run:
        with clock.paused():
            inner = mask_program(self._program, method)
        inner.load(state, mask)
        recipe = dataclasses.replace(self.task.recipe, learning_rate=method.learning_rate)
        evaluate = inner.evaluate
        if isinstance(self._training, SparseProgram):
            evaluate = functools.partial(self._training.evaluate_learned, state, inner)
        return self._run(inner, recipe, evaluate, state.step, stop, stream)

    def _run(
        self,
        inner: Program | SparseProgram | MaskProgram,
        recipe: Recipe,
        evaluate: Callable[[], Metrics],
        step: int,
        stop: int,
        stream: str,
    ) -> Run:
        """Train the loaded state to `stop`, segment by segment, and evaluate in between."""
        whole, points = self.steps(), []
        every = max(1, self.steps(recipe.eval_every))
        examples = len(self._program.data.train)
        while step < stop:
            until = min(stop, step - step % every + every)
            table = sampling.batch_table(
                self.seed, stream, examples, recipe.batch_size, step, until
            )
            rates = recipe.learning_rates(step, until, self.epoch)
            inner.run(table, rates, step, self._noise(stream), every)
            step = until
            if step % every == 0 or step == whole:
                metrics = evaluate()
                points.append((step, metrics.loss, metrics.value))
                if not metrics.is_finite:
                    raise inner.diverged(f"the validation loss at step {step}")
            self._watch(step, whole)
        return Run(inner.read(step), History(*map(tuple, zip(*points, strict=True))))

    def compute_gradients(
        self, state: State, mask: Mask, batches: int, stream: str
    ) -> dict[str, np.ndarray]:
        self._program.show(state, mask)
        return self._program.derivatives.gradients(
            self._table(batches, stream), self._noise(stream)
        )

    def compute_hessian_gradient(
        self, state: State, mask: Mask, batches: int, temperature: float, stream: str
    ) -> dict[str, np.ndarray]:
        table = self._table(batches, stream)
        self._program.show(state, mask)
        return self._program.derivatives.hessian_gradient(table, self._noise(stream), temperature)

    def compute_synaptic_flow(self, state: State, mask: Mask) -> dict[str, np.ndarray]:
        self._program.show(state, mask, absolute=True)
        flows = self._program.derivatives.synaptic_flow()
        if double_precision.is_needed(flows):
            return self._program.double.synaptic_flow(state, mask)
        return flows

    def compute_effective(self, mask: Mask) -> Mask:
        with self._program.scope():
            return self._program.paths.effective(mask)

    def recompute_statistics(self, state: State, mask: Mask, batches: int, stream: str) -> State:
        self._program.show(state, mask)
        measured = self._program.batch_norm_statistics(
            self._table(batches, stream), self._noise(stream)
        )
        return state.replace(statistics={**state.statistics, **measured}) if measured else state

    def compute_scheduled_mask(self, state: State, mask: Mask, schedule: MaskSchedule) -> Mask:
        if isinstance(schedule, PolynomialDecay) and tfmot.can_compute(schedule, self.prunable):
            self._program.show(state, mask)
            return Mask(self._program.masked.scheduled(schedule, state.step))
        return super().compute_scheduled_mask(state, mask, schedule)

    def _table(self, batches: int, stream: str) -> np.ndarray:
        size, examples = self.task.recipe.batch_size, len(self._program.data.train)
        return sampling.batch_table(self.seed, stream, examples, size, 0, batches)

    def run_evaluation(self, state: State, mask: Mask, split: str) -> Metrics:
        self.check_split(split)
        if split == "validation":  # by what trains, so that a curve's last point is no other
            self._training.show(state, mask)
            return self._training.evaluate()
        self._program.show(state, mask)
        if split != "test":
            return self._program.evaluator.evaluate(split)
        resident = self._program.resident is not None
        test = held_out(DataSpec.of(self.task), self._data_dir, resident)
        return self._program.evaluator.measure(test)

    def open_sibling(self, task: Task) -> Lab:
        return KerasLab(
            task,
            self.seed,
            engine=self._engine,
            data_dir=self._data_dir,
            sealed=self.sealed,
            ledger=self.ledger,
            watch=self._watch,
        )

    def _noise(self, stream: str) -> np.ndarray:
        """The seed of augmentation and dropout, int32 [2]; each step derives its draws from it."""
        return self.rng("noise", stream).integers(2**31, size=2, dtype=np.int32)
