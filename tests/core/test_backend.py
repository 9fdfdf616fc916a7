"""Backend: a new engine starts with the abstract members, and says what it has not got."""

from collections.abc import Callable

import numpy as np
import pytest
from ltx_plugins.imp import IMP

from ltx import EdgePopup, Lab, PolynomialDecay, State, Task, UsageError
from ltx.core.backend import Backend
from ltx.store.lab_wrapper import LabWrapper
from ltx.testing import FakeLab

FORWARDED = Lab.__abstractmethods__ - {"open_sibling"}


class Small(Lab):
    """The least that is a lab: what must be implemented, by a FakeLab."""

    def __init__(self, inner: Lab) -> None:
        self.inner, self.ledger = inner, inner.ledger
        self.task, self.seed = inner.task, inner.seed

    def open_sibling(self, task: Task) -> "Small":
        return Small(self.inner.open_sibling(task))


def forwarded(name: str) -> object:
    if isinstance(getattr(Lab, name), property):
        return property(lambda self: getattr(self.inner, name))
    return lambda self, *args: getattr(self.inner, name)(*args)


for name in FORWARDED:
    setattr(Small, name, forwarded(name))
Small.__abstractmethods__ = frozenset()


def test_few_members_are_required() -> None:
    assert {
        *("prunable", "head", "input_shape", "outputs_logits", "epoch", "fingerprint"),
        *("init", "run_training", "run_evaluation"),
    } == FORWARDED


def test_they_are_enough_to_find_tickets() -> None:
    lab, twin = Small(FakeLab()), FakeLab()
    assert [ticket.id for ticket in IMP().find(lab)] == [ticket.id for ticket in IMP().find(twin)]
    assert lab.spent == twin.spent
    state, decay = lab.init(), PolynomialDecay(0.5, begin=0, end=10)
    expected = twin.scheduled_mask(state, lab.dense(), decay)
    assert lab.scheduled_mask(state, lab.dense(), decay) == expected
    assert lab.recalibrated(state, lab.dense()) is state
    sibling = lab.on(data="other")
    assert sibling.evaluate(state, sibling.dense()) == twin.on(data="other").evaluate(
        state, twin.dense()
    )


POWERS: dict[str, Callable[[Lab, State], object]] = {
    "list the channels": lambda lab, state: lab.channels,
    "learn masks": lambda lab, state: lab.train_mask(state, lab.dense(), EdgePopup()),
    "compute gradients": lambda lab, state: lab.gradients(state, lab.dense()),
    "compute Hessian": lambda lab, state: lab.hessian_gradient(state, lab.dense()),
    "compute synaptic flow": lambda lab, state: lab.synaptic_flow(state, lab.dense()),
    "trace paths": lambda lab, state: lab.effective(lab.dense()),
    "recompute BatchNorm statistics": lambda lab, state: lab.recalibrated(
        state.replace(statistics={"moving_mean": np.zeros(1)}), lab.dense()
    ),
}


@pytest.mark.parametrize("power", POWERS)
def test_what_a_backend_has_not_got_it_refuses_in_one_line(power: str) -> None:
    lab = Small(FakeLab())
    with pytest.raises(UsageError, match=f"Small: this backend cannot {power}") as raised:
        POWERS[power](lab, lab.init())
    assert "\n" not in str(raised.value)
    assert lab.spent.steps == 0


def test_a_wrapper_leaves_no_power_out() -> None:
    members = {name for name in vars(Backend) if not name.startswith("_")}
    assert members - LabWrapper.__abstractmethods__ <= vars(LabWrapper).keys()
