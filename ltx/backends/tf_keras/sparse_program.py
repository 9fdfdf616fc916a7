"""SparseProgram: training of a program's model on the sparse engine, in numba."""

from importlib import metadata
from typing import TYPE_CHECKING

import numpy as np

from ltx.backends.sparse.network import (
    CROSS_ENTROPY,
    VERSION,
    Examples,
    Network,
    loss_number,
    unknown_in,
)
from ltx.backends.tf_keras import sparse_model
from ltx.backends.tf_keras.mask_program import MaskProgram
from ltx.backends.tf_keras.program import Program
from ltx.core.errors import DivergedError, GuardError, UsageError
from ltx.core.mask import Mask
from ltx.core.run import Metrics
from ltx.core.state import State
from ltx.data.dataset import Dataset
from ltx.data.split import Split

if TYPE_CHECKING:
    from ltx.backends.sparse.trainer import Evaluated, Trainer


class SparseProgram:
    """Trains as `Program` does, at the cost of the survivors.

    Of classifications it evaluates the validation split too; all else that program evaluates.
    Raises UsageError for a model, recipe, objective or engine that the sparse engine does not know.
    """

    mode = "sparse-loop"

    def __init__(self, program: Program) -> None:
        self._inner = program
        self._trainer, self._validation = _trainer(program)

    @property
    def compiler(self) -> dict[str, str]:
        """What its bytes depend on besides the version of `Program`: part of fingerprints."""
        return {"sparse": f"{VERSION}, numba {metadata.version('numba')}"}

    def load(self, state: State, mask: Mask) -> None:
        """Load a state and a mask; pruned weights and their slots become zero."""
        inner = self._inner
        slots = state.slots or inner.fresh_slots
        inner.fits(state, (inner.slots, slots))
        inner.show(state, mask)
        self._mask = mask
        self._trainer.load(state.weights, slots, mask)

    def run(
        self, table: np.ndarray, rates: np.ndarray, start: int, seed: np.ndarray, window: int
    ) -> None:
        """Train on the batches of `table`, as `Program.run` does; nothing here draws noise."""
        del seed, window
        self._trainer.run(table, rates)
        if name := self._trainer.first_not_finite:
            raise self.diverged(f"training diverged before step {start + len(rates)}, {name}")

    def evaluate(self) -> Metrics:
        """The validation metrics of the current weights."""
        if self._validation is not None:
            return Metrics(*self._trainer.evaluate(self._validation))
        for name, array in self._trainer.weights().items():
            self._inner.weights[name].assign(array)
        return self._inner.evaluate()

    def evaluate_learned(self, state: State, inner: MaskProgram) -> Metrics:
        """The same under the mask that `inner` has learned so far, which it goes on to train."""
        if self._validation is None:
            return inner.evaluate()
        # Not `show`: the masks of the program that both share are those that `inner` trains within.
        self._trainer.load(state.weights, self._inner.fresh_slots, inner.learned())
        return Metrics(*self._trainer.evaluate(self._validation))

    def show(self, state: State, mask: Mask) -> None:
        """Load a state and a mask for evaluating, without the optimizer's slots."""
        self.load(state.replace(slots={}), mask)

    def read(self, step: int) -> State:
        """The state after the last segment; GuardError if a pruned weight is not zero."""
        weights = self._trainer.weights()
        for name, keep in self._mask.items():
            if leak := np.count_nonzero(weights[name][~keep]):
                raise GuardError(
                    f"{self._inner.task.label}, step {step}: {name} has {leak} pruned weights that"
                    " are not zero; please report this"
                )
        return State(weights, {}, self._trainer.slots(), step)

    def diverged(self, what: str) -> DivergedError:
        """The error for what is not finite."""
        return self._inner.diverged(what)


def _trainer(program: Program) -> "tuple[Trainer, Evaluated | None]":
    """The trainer of a program's model, and its validation split; UsageError for what is not known.

    The split is None where the program evaluates it.
    """
    task, data = program.task, program.data
    network, loss = _known(program)
    try:
        from ltx.backends.sparse.trainer import Evaluated, Trainer
    except ModuleNotFoundError as error:
        raise UsageError(
            f"Engine.sparse = 'always': expected numba, got no module {error.name!r}; run `pip"
            " install 'ltx-lottery[sparse]'`, or set Engine.sparse = 'never'"
        ) from error
    examples = [_examples(part, data, network[0].inputs) for part in (data.train, data.validation)]
    sums = task.objective.sums_on_device
    held_out = Evaluated(examples[1]) if loss == CROSS_ENTROPY and sums else None
    return Trainer(network, loss, task.recipe, examples[0]), held_out


def _examples(part: Split, data: Dataset, size: int) -> Examples:
    mean, inverse_std = np.zeros(size, np.float32), np.ones(size, np.float32)
    if data.mean is not None and data.std is not None:
        # Of each channel, the last axis of an example: flattened they repeat.
        mean, inverse_std = (
            np.resize(np.asarray(moment, np.float32), size) for moment in (data.mean, 1 / data.std)
        )
    return Examples(part.inputs, part.targets, mean, inverse_std)


def _known(program: Program) -> tuple[Network, int]:
    """The model's layers and the number of its loss; UsageError for what is not known."""
    task, engine = program.task, program.engine
    loss = loss_number(task.objective)
    if what := _unknown_setting(program):
        raise _unknown(what)
    if loss is None:
        raise _unknown(f"Task.objective = {type(task.objective).__name__}()")
    if task.objective.softmax and not program.loss.outputs_logits:
        raise _unknown(f"{task.label}, which ends in softmax")
    if program.resident is None:
        raise _unknown(f"data beyond Engine.resident_mb = {engine.resident_mb}")
    try:
        return sparse_model.read(program.masked), loss
    except sparse_model.UnknownError as error:
        raise _unknown(f"{task.label}: {error}") from None


def _unknown_setting(program: Program) -> str:
    engine = program.engine
    if engine.strategy != "one":
        return f"Engine.strategy = {engine.strategy!r}"
    if engine.precision != "float32":
        return f"Engine.precision = {engine.precision!r}"
    return f"a {program.kind}" if program.kind != "CPU" else unknown_in(program.task.recipe)


def _unknown(what: str) -> UsageError:
    return UsageError(
        "Engine.sparse = 'always': expected Dense layers with ReLU, LeakyReLU or tanh, trained in"
        f" float32 on one CPU, got {what}; set Engine.sparse = 'never'"
    )
