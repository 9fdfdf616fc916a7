"""Lab: trains and measures one task with one seed; values in, values out."""

import abc
import dataclasses
from collections.abc import Callable, Sequence

import numpy as np

from ltx.core import clock, identity, seal
from ltx.core.backend import Backend
from ltx.core.cost import GRADIENT_FLOPS, Cost, Ledger, forward, forward_backward
from ltx.core.duration import Duration
from ltx.core.errors import DivergedError, UsageError
from ltx.core.mask import Mask, MaskLearner, MaskSchedule
from ltx.core.run import Metrics, Run, diverged, finite_arrays, finite_metrics
from ltx.core.state import State, first_not_finite
from ltx.core.task import Task
from ltx.core.validation import check_implements, check_number


class Lab(seal.Sealable, Backend):
    """Trains one task with one seed; every result is a function of these and the arguments.

    Finders get a lab whose test split is sealed. `spent` and `seconds` count all that was
    requested, whether it was computed now or is cached.
    """

    ledger: Ledger
    on_trained: Callable[[Run], None] | None = None  # called with each result of `train`

    @abc.abstractmethod
    def open_sibling(self, task: Task) -> "Lab":
        """A lab for another task, with the same seed, engine, store and ledger."""

    def dense(self) -> Mask:
        """The mask that prunes nothing."""
        return Mask.ones(self.prunable)

    def steps(self, until: str | Duration | None = None) -> int:
        """A duration counted from step 0, in steps; None is the recipe's end."""
        whole = self.task.recipe.steps(self.epoch)
        if until is None:
            return whole
        return Duration.parse(until).steps(epoch=self.epoch, whole=whole)

    def train(
        self, state: State, mask: Mask, until: str | Duration | None = None, stream: str = "order"
    ) -> Run:
        """Train the masked network from `state.step` to `until`, counted from step 0.

        Pruned weights are exactly zero from start to end. Training to 100 and on to 300 gives the
        same bytes as training to 300. Another `stream` gives another order of the data. A state or
        curve that is not finite raises DivergedError, here and wherever a lab reads a state.
        """
        stop = self._stop(state, until)
        mask.check(self.prunable)
        run = self._charged(lambda: self.run_training(state, mask, stop, stream))
        self.ledger.add(self.cost(stop - state.step, mask))
        if self.on_trained:
            self.on_trained(run)
        return run

    def _charged(self, train: Callable[[], Run]) -> Run:
        """Train, and charge the seconds that the run reports, also where it is cached."""
        with self.ledger.working():
            before = self.ledger.seconds
            run = train()
            self.ledger.seconds = before + run.seconds
            return run.finite(self.task)

    def _stop(self, state: State, until: str | Duration | None) -> int:
        stop = self.steps(until)
        if stop < state.step:
            raise UsageError(
                f"train until step {stop}: the state has reached step {state.step} already"
            )
        return stop

    def train_mask(
        self,
        state: State,
        mask: Mask,
        method: MaskLearner,
        until: str | Duration | None = None,
        stream: str = "order",
    ) -> Run:
        """Train a mask within `mask` from `state.step` to `until`, counted from step 0.

        The weights keep their bytes; BatchNorm's statistics change. The state's slots are then
        the scores, `score:conv_1/kernel`, and their momentum, of which `learned_mask` makes the
        mask. A state without scores gets fresh ones. The curve is that of the network under the
        mask of the scores at each step. Segments equal one run.
        """
        examples = "a method, as in EdgePopup() or Bernoulli()"
        check_implements("train_mask", method, MaskLearner, examples)
        stop = self._stop(state, until)
        mask.check(self.prunable)
        if not state.has_scores:
            state = state.with_scores(method.init_scores(state.weights, mask, self.rng))
        run = self._charged(lambda: self.run_mask_training(state, mask, method, stop, stream))
        self.ledger.add(self.cost(stop - state.step, mask))
        return run

    def scheduled_mask(self, state: State, mask: Mask, schedule: MaskSchedule) -> Mask:
        """The mask for the step after `state.step` by a schedule, as TF-MOT's wrapper applies it.

        That is `mask` where none is due; else the schedule's mask of the state's weights, without
        what `mask` prunes already. Training in segments with this call between them equals
        training layers wrapped by TF-MOT with this schedule, where gradients are masked.
        """
        examples = "a schedule, as in PolynomialDecay(0.2, begin=0, end=100)"
        check_implements("scheduled_mask", schedule, MaskSchedule, examples)
        schedule.check(self)
        mask.check(self.prunable)
        if not schedule.is_due(state.step):
            return mask
        self._check_finite(state)
        with self.ledger.working():
            return self.compute_scheduled_mask(state.masked(mask), mask, schedule) & mask

    def gradients(
        self, state: State, mask: Mask, batches: int = 1, stream: str = "gradients"
    ) -> dict[str, np.ndarray]:
        """The mean gradient of every prunable weight over `batches` training batches, unmasked.

        The forward pass is masked; BatchNorm normalises by the batch; no state changes.
        """
        if batches < 1:
            raise UsageError(f"gradients: expected at least 1 batch, got {batches}")
        mask.check(self.prunable)
        with self.ledger.working():
            self._check_finite(state)
            arrays = self.compute_gradients(state, mask, batches, stream)
            finite_arrays(self.task, arrays, "the gradient")
        self.ledger.add(self._steps_cost(batches, mask, GRADIENT_FLOPS))
        return arrays

    def hessian_gradient(
        self,
        state: State,
        mask: Mask,
        batches: int = 1,
        temperature: float = 1.0,
        stream: str = "gradients",
    ) -> dict[str, np.ndarray]:
        """The Hessian times the gradient, both means over the same `batches`, unmasked.

        Both are by the prunable weights alone; the gradient that is multiplied is masked. The loss
        is that of the logits divided by `temperature`. The forward pass is that of `gradients`.
        """
        if batches < 1:
            raise UsageError(f"hessian_gradient: expected at least 1 batch, got {batches}")
        check_number("hessian_gradient: temperature", temperature, above=0)
        mask.check(self.prunable)
        with self.ledger.working():
            self._check_finite(state)
            arrays = self.compute_hessian_gradient(state, mask, batches, temperature, stream)
            finite_arrays(self.task, arrays, "the Hessian-gradient product")
        # Two gradients of the survivors, and two more passes back through the second. Only the
        # last pass reaches pruned weights, through the layer's output and through its input
        # gradient: 4 of the 24 FLOPs.
        self.ledger.add(self._steps_cost(4 * batches, mask, GRADIENT_FLOPS // 2))
        return arrays

    def synaptic_flow(self, state: State, mask: Mask) -> dict[str, np.ndarray]:
        """The derivative of the summed logits by every prunable weight, unmasked; uses no data.

        All variables are replaced by their absolute values, the input is all ones, and BatchNorm
        normalises by its statistics. Where that is beyond the range of the engine's precision it is
        computed in float64, and the arrays are float64. Raises DivergedError where it is beyond
        that too, UsageError for a model that ends in softmax or log-softmax.
        """
        self.check_flow()
        mask.check(self.prunable)
        with self.ledger.working():
            self._check_finite(state)
            arrays = self.compute_synaptic_flow(state, mask)
        if name := first_not_finite(arrays):
            raise DivergedError(
                f"{self.task.label}: the synaptic flow of {name} is not finite in float64 either;"
                " start from smaller weights"
            )
        cost = forward_backward(1, self.prunable, mask, GRADIENT_FLOPS)
        self.ledger.add(dataclasses.replace(cost, examples=0))
        return arrays

    def check_flow(self) -> None:
        """Raise UsageError where the model has no synaptic flow."""
        if not self.outputs_logits:
            raise UsageError(
                f"{self.task.label}: expected a model that ends in logits, got one that ends in"
                " softmax or log-softmax, whose probabilities always sum to one; leave its softmax"
                " away"
            )

    def effective(self, mask: Mask) -> Mask:
        """The surviving weights that lie on a path of survivors from the input to the outputs.

        The others have no influence on how outputs depend on the input. A weight that is applied
        to padding alone lies on no path. Raises UsageError for a model whose connections cannot
        be read from its layers.

        Reference: Vysogorets & Kempe, Connectivity Matters: Neural Network Pruning Through the
        Lens of Effective Sparsity, https://arxiv.org/abs/2107.02306
        """
        result = self.compute_effective(mask.check(self.prunable))
        cost = forward_backward(1, self.prunable, mask, GRADIENT_FLOPS)
        self.ledger.add(dataclasses.replace(cost, examples=0))
        return result

    def recalibrated(
        self, state: State, mask: Mask, batches: int = 50, stream: str = "recalibrated"
    ) -> State:
        """The state with BatchNorm's statistics recomputed under the mask; all else is unchanged.

        Each is the mean over `batches` training batches, augmented as in training. A model without
        such statistics returns the same state. Weights that were not reached by training, as by
        interpolation, need it before they are evaluated.
        """
        if batches < 1:
            raise UsageError(f"recalibrated: expected at least 1 batch, got {batches}")
        mask.check(self.prunable)
        with self.ledger.working():
            result = self.recompute_statistics(state, mask, batches, stream)
            self._check_finite(result)
        if result is not state:
            examples = batches * self.task.recipe.batch_size
            self.ledger.add(forward(examples, self.prunable, mask))
        return result

    def evaluate(self, state: State, mask: Mask, split: str = "validation") -> Metrics:
        """Loss and accuracy on "train", "validation" or, where this lab may see it, "test"."""
        self.check_split(split)
        mask.check(self.prunable)
        self._check_finite(state)
        metrics = self.run_evaluation(state, mask, split)
        return finite_metrics(self.task, metrics, f"the {split} loss at step {state.step}")

    def _check_finite(self, state: State) -> None:
        """Raise DivergedError for weights or statistics that are not finite."""
        # Not every network shows them in its outputs: the ReLU of some devices makes 0 of NaN.
        if name := state.first_not_finite("weights", "statistics"):
            raise diverged(self.task, f"{name} at step {state.step}")

    def once(self, key: Sequence[object], make: Callable[[], list[float]]) -> list[float]:
        """The numbers that `make` returns; a lab with a cache calls it once for each key.

        For long computations other than training. The key, plain values, must contain everything
        that the numbers depend on besides this lab's task, engine and seed.
        """
        del key
        return make()

    def on(self, **changes: object) -> "Lab":
        """A sibling with the same seed: another `data`, `recipe` or any other field of the task."""
        known = {field.name for field in dataclasses.fields(Task)}
        if wrong := sorted(changes.keys() - known):
            raise UsageError(
                f"lab.on: a task has no {wrong[0]!r}; it has {', '.join(sorted(known))}"
            )
        task = dataclasses.replace(self.task, **changes)  # type: ignore[arg-type]
        with clock.paused():
            return self.open_sibling(task)

    def rng(self, *stream: object) -> np.random.Generator:
        """The numpy generator of this seed and stream; finders draw from no other."""
        return identity.generator(self.seed, *stream)

    def cost(self, steps: int, mask: Mask) -> Cost:
        """The cost of `steps` training steps under this mask."""
        return self._steps_cost(steps, mask)

    def _steps_cost(self, steps: int, mask: Mask, unmasked: int = 0) -> Cost:
        examples = steps * self.task.recipe.batch_size
        passes = forward_backward(examples, self.prunable, mask, unmasked)
        return dataclasses.replace(passes, steps=steps)

    @property
    def spent(self) -> Cost:
        return self.ledger.total

    @property
    def seconds(self) -> float:
        """The wall-clock seconds of all that was requested, NaN where some are unknown.

        Cached work counts with its original seconds. Evaluations count within a training, and
        everything that a finder does counts while a study runs it. Reading data, building models
        and compiling them does not count.
        """
        return self.ledger.seconds
