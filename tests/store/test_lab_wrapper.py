"""LabWrapper: forwards the properties and measurements of the lab that it wraps."""

import numpy as np

from ltx import Lab, Magnitude, Pruning
from ltx.core.backend import Backend
from ltx.core.lab import Run
from ltx.store.lab_wrapper import LabWrapper
from ltx.store.memo import MemoLab
from ltx.testing import FakeLab


class Plain(LabWrapper):
    """Changes nothing."""

    def run_training(self, *asked: object) -> Run:
        return self.inner.run_training(*asked)  # type: ignore[arg-type]

    def run_mask_training(self, *asked: object) -> Run:
        return self.inner.run_mask_training(*asked)  # type: ignore[arg-type]

    def open_sibling(self, task: object) -> Lab:
        return Plain(self.inner.open_sibling(task))  # type: ignore[arg-type]


def test_a_subclass_must_implement_the_trainings_alone() -> None:
    own = {"run_training", "run_mask_training", "open_sibling"}
    assert LabWrapper.__abstractmethods__ == own
    assert issubclass(MemoLab, LabWrapper)


def test_every_fact_is_the_inner_labs() -> None:
    inner = FakeLab(seed=3)
    outer = Plain(inner)
    facts = [
        name
        for name, value in {**vars(Backend), **vars(Lab)}.items()
        if isinstance(value, property)
    ]
    assert "prunable" in facts
    for name in [*facts, "task", "seed", "sealed"]:
        assert getattr(outer, name) == getattr(inner, name), name


def test_every_measurement_is_the_inner_labs_and_on_its_books() -> None:
    inner, twin = Plain(FakeLab()), FakeLab()
    for lab in (inner, twin):
        state = lab.init()
        mask = Pruning(0.5)(lab, lab.dense(), Magnitude()(lab, state, lab.dense()))
        lab.told = [  # type: ignore[attr-defined]
            lab.gradients(state, mask),
            lab.hessian_gradient(state, mask),
            lab.synaptic_flow(state, mask),
        ]
        lab.said = [lab.evaluate(state, mask), lab.recalibrated(state, mask).id]  # type: ignore
        lab.said.append(lab.effective(mask))  # type: ignore[attr-defined]
    for one, other in zip(inner.told, twin.told, strict=True):  # type: ignore[attr-defined]
        assert one.keys() == other.keys()
        assert all(np.array_equal(one[name], other[name]) for name in one)
    assert inner.said == twin.said  # type: ignore[attr-defined]
    assert inner.spent == inner.inner.spent == twin.spent
