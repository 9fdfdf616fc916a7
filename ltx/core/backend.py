"""Backend: what an engine implements so that `Lab` can train, measure and prune with it.

`Lab` checks arguments, counts cost and time, and calls these methods; finders call `Lab` alone.
"""

import abc
from collections.abc import Mapping
from typing import NoReturn

import numpy as np

from ltx.core.errors import UnsupportedError
from ltx.core.mask import Mask, MaskLearner, MaskSchedule
from ltx.core.prunable import Channels, Weight
from ltx.core.run import Metrics, Run
from ltx.core.state import State
from ltx.core.task import Task

InputShape = tuple[int, ...] | Mapping[str, tuple[int, ...]]


class Backend(abc.ABC):
    """One task and one seed on one engine.

    Every result is a function of task, seed and arguments: nothing that one call does may change
    what another returns. Masks fit `prunable` and have a survivor. The abstract members are enough
    to train and evaluate; the others raise UnsupportedError until a backend has them.
    """

    task: Task
    seed: int

    @property
    @abc.abstractmethod
    def prunable(self) -> tuple[Weight, ...]:
        """The weights that a mask covers, in the model's order."""

    @property
    @abc.abstractmethod
    def head(self) -> tuple[str, ...]:
        """The names of all variables of the layer that makes the logits."""

    @property
    @abc.abstractmethod
    def input_shape(self) -> InputShape:
        """The shape of one input of the model: height, width and channels of an image."""

    @property
    @abc.abstractmethod
    def outputs_logits(self) -> bool:
        """Whether the model ends in logits; if not, in softmax or log-softmax of them."""

    @property
    @abc.abstractmethod
    def epoch(self) -> int:
        """The steps of one pass over the training split."""

    @property
    @abc.abstractmethod
    def fingerprint(self) -> str:
        """The hash of what results depend on besides arguments and seed: task, data, engine."""

    @abc.abstractmethod
    def init(self, stream: str = "init") -> State:
        """A fresh state at step 0; same seed and stream, same bytes."""

    @abc.abstractmethod
    def run_training(self, state: State, mask: Mask, stop: int, stream: str) -> Run:
        """Train the masked network from `state.step` to step `stop`; see `Lab.train`.

        `stop` may equal `state.step`: the result is then the masked state and an empty curve. An
        empty `state.slots` stands for a fresh optimizer. The curve has the steps that
        `Recipe.eval_every` divides, and the recipe's last. What is not finite stays as it is, or is
        raised as DivergedError. Decorate it with `run.timed`.
        """

    @abc.abstractmethod
    def run_evaluation(self, state: State, mask: Mask, split: str) -> Metrics:
        """Loss and accuracy of the masked network on "train", "validation" or "test"."""

    @abc.abstractmethod
    def open_sibling(self, task: Task) -> "Backend":
        """The same for another task, with the same seed and engine, sealing and ledger."""

    # What a backend may leave out.

    @property
    def stem(self) -> tuple[str, ...]:
        """The names of all variables of the layers that read the inputs; () where unknown."""
        return ()

    @property
    def origin(self) -> Mapping[str, str]:
        """Hashes that a ticket's manifest keeps of its lab, by what they cover.

        `model` covers the model and its code. Tickets of one cell whose other hashes are equal
        should be the same; where they are not, the later one supersedes the earlier.
        """
        return {}

    @property
    def channels(self) -> tuple[Channels, ...]:
        """The channels that can be dropped whole, from the image to the logits.

        Raises UsageError where the connections between the model's layers cannot be read.
        """
        self._cannot("list the channels of its model")

    def run_mask_training(
        self, state: State, mask: Mask, method: MaskLearner, stop: int, stream: str
    ) -> Run:
        """Train scores within `mask` to step `stop`; see `Lab.train_mask`.

        `state.slots` are `score:NAME` and `score_momentum:NAME` for every prunable weight, and
        nothing else, before and after.
        """
        self._cannot("learn masks")

    def compute_gradients(
        self, state: State, mask: Mask, batches: int, stream: str
    ) -> dict[str, np.ndarray]:
        """The mean gradient over `batches`, float32, pruned weights' as well; see `Lab`."""
        self._cannot("compute gradients")

    def compute_hessian_gradient(
        self, state: State, mask: Mask, batches: int, temperature: float, stream: str
    ) -> dict[str, np.ndarray]:
        """The Hessian times the masked gradient, float32; see `Lab.hessian_gradient`."""
        self._cannot("compute Hessian-gradient products")

    def compute_synaptic_flow(self, state: State, mask: Mask) -> dict[str, np.ndarray]:
        """The derivative of the summed logits of absolute weights; see `Lab.synaptic_flow`."""
        self._cannot("compute synaptic flow")

    def compute_effective(self, mask: Mask) -> Mask:
        """The survivors on a path of survivors from input to output; see `Lab.effective`."""
        self._cannot("trace paths through its model")

    def recompute_statistics(self, state: State, mask: Mask, batches: int, stream: str) -> State:
        """The state with new BatchNorm statistics; the same object where the model has none."""
        if state.statistics:
            self._cannot("recompute BatchNorm statistics")
        return state

    def compute_scheduled_mask(self, state: State, mask: Mask, schedule: MaskSchedule) -> Mask:
        """The mask that the schedule makes of the state's weights at a step at which it is due."""
        return schedule.mask(self, {name: state.weights[name] for name in mask}, state.step)

    def _cannot(self, do: str) -> NoReturn:
        raise UnsupportedError(f"{type(self).__name__}: this backend cannot {do}; use another one")
