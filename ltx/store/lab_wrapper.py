"""LabWrapper: a lab that forwards to another lab what it does not do itself."""

import abc
from collections.abc import Mapping

import numpy as np

from ltx.core.backend import InputShape
from ltx.core.lab import Lab
from ltx.core.mask import Mask, MaskLearner, MaskSchedule
from ltx.core.prunable import Channels, Weight
from ltx.core.run import Metrics, Run
from ltx.core.state import State


class LabWrapper(Lab):
    """The base of labs that change how another lab, `inner`, trains.

    It forwards every member of Backend but those that a wrapper exists to change.
    """

    def __init__(self, inner: Lab) -> None:
        self.inner = inner
        self.task, self.seed = inner.task, inner.seed
        self.ledger, self.sealed = inner.ledger, inner.sealed

    @property
    def prunable(self) -> tuple[Weight, ...]:
        return self.inner.prunable

    @property
    def channels(self) -> tuple[Channels, ...]:
        return self.inner.channels

    @property
    def head(self) -> tuple[str, ...]:
        return self.inner.head

    @property
    def stem(self) -> tuple[str, ...]:
        return self.inner.stem

    @property
    def input_shape(self) -> InputShape:
        return self.inner.input_shape

    @property
    def outputs_logits(self) -> bool:
        return self.inner.outputs_logits

    @property
    def epoch(self) -> int:
        return self.inner.epoch

    @property
    def fingerprint(self) -> str:
        return self.inner.fingerprint

    @property
    def origin(self) -> Mapping[str, str]:
        return self.inner.origin

    def init(self, stream: str = "init") -> State:
        return self.inner.init(stream)

    @abc.abstractmethod
    def run_mask_training(
        self, state: State, mask: Mask, method: MaskLearner, stop: int, stream: str
    ) -> Run: ...

    def compute_gradients(
        self, state: State, mask: Mask, batches: int, stream: str
    ) -> dict[str, np.ndarray]:
        return self.inner.compute_gradients(state, mask, batches, stream)

    def compute_hessian_gradient(
        self, state: State, mask: Mask, batches: int, temperature: float, stream: str
    ) -> dict[str, np.ndarray]:
        return self.inner.compute_hessian_gradient(state, mask, batches, temperature, stream)

    def compute_synaptic_flow(self, state: State, mask: Mask) -> dict[str, np.ndarray]:
        return self.inner.compute_synaptic_flow(state, mask)

    def compute_effective(self, mask: Mask) -> Mask:
        return self.inner.compute_effective(mask)

    def recompute_statistics(self, state: State, mask: Mask, batches: int, stream: str) -> State:
        return self.inner.recompute_statistics(state, mask, batches, stream)

    def compute_scheduled_mask(self, state: State, mask: Mask, schedule: MaskSchedule) -> Mask:
        return self.inner.compute_scheduled_mask(state, mask, schedule)

    def run_evaluation(self, state: State, mask: Mask, split: str) -> Metrics:
        self.check_split(split)
        return self.inner.run_evaluation(state, mask, split)
