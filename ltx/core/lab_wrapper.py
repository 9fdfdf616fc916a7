"""Around: a lab around another, which answers whatever the outer one does not."""

import numpy as np

from ltx.core.lab import Lab
from ltx.core.mask import Mask, MaskSchedule
from ltx.core.prunable import Channels, Weight
from ltx.core.run import Metrics
from ltx.core.state import State


class LabWrapper(Lab):
    """To derive labs from that change how another one, `inner`, trains."""

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
    def image(self) -> tuple[int, int, int]:
        return self.inner.image

    @property
    def outputs_logits(self) -> bool:
        return self.inner.outputs_logits

    @property
    def epoch(self) -> int:
        return self.inner.epoch

    @property
    def fingerprint(self) -> str:
        return self.inner.fingerprint

    def init(self, stream: str = "init") -> State:
        return self.inner.init(stream)

    def _gradients(
        self, state: State, mask: Mask, batches: int, stream: str
    ) -> dict[str, np.ndarray]:
        return self.inner._gradients(state, mask, batches, stream)

    def _hessian_gradient(
        self, state: State, mask: Mask, batches: int, temperature: float, stream: str
    ) -> dict[str, np.ndarray]:
        return self.inner._hessian_gradient(state, mask, batches, temperature, stream)

    def _synaptic_flow(self, state: State, mask: Mask) -> dict[str, np.ndarray]:
        return self.inner._synaptic_flow(state, mask)

    def _effective(self, mask: Mask) -> Mask:
        return self.inner._effective(mask)

    def _recalibrated(self, state: State, mask: Mask, batches: int, stream: str) -> State:
        return self.inner._recalibrated(state, mask, batches, stream)

    def _scheduled_mask(self, state: State, mask: Mask, schedule: MaskSchedule) -> Mask:
        return self.inner._scheduled_mask(state, mask, schedule)

    def _evaluate(self, state: State, mask: Mask, split: str) -> Metrics:
        return self.inner._evaluate(state, mask, split)
