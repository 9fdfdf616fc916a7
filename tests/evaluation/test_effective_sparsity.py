"""Effective sparsity: its counts are those of the paths, its warning names what is wrong."""

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from ltx import Lab, Mask, UsageError
from ltx.core.prunable import Weight
from ltx.evaluation import effective_sparsity
from ltx.evaluation.effective_sparsity import EffectiveSparsity
from ltx.testing import FakeLab

LAB = FakeLab()
HIDDEN, OUTPUT = (weight.shape for weight in LAB.prunable)
CELLS = st.integers(0, 9).map(lambda n: n == 0)


def masked(hidden: np.ndarray, output: np.ndarray) -> Mask:
    return Mask({"hidden/kernel": hidden, "output/kernel": output})


@given(arrays(np.bool_, HIDDEN, elements=CELLS), arrays(np.bool_, OUTPUT, elements=CELLS))
def test_counts_are_those_of_the_paths(hidden: np.ndarray, output: np.ndarray) -> None:
    mask = masked(hidden, output)
    if not mask.kept:
        return
    found = EffectiveSparsity.of(LAB, mask)
    paths = [
        (i, h, o)
        for i, h, o in np.ndindex(HIDDEN[0], HIDDEN[1], OUTPUT[1])
        if hidden[i, h] and output[h, o]
    ]
    useful = {(i, h) for i, h, _ in paths}, {(h, o) for _, h, o in paths}
    count = sum(map(len, useful))
    assert found.effective_density == pytest.approx(count / mask.size)
    assert found.disconnected_share == pytest.approx(1 - count / mask.kept)
    alive = {"hidden/kernel": {h for _, h in useful[0]}, "output/kernel": {o for _, o in useful[1]}}
    for name, units in (("hidden/kernel", HIDDEN[1]), ("output/kernel", OUTPUT[1])):
        assert found.units[name] == units
        assert found.dead_units[name] == units - len(alive[name])
    assert (found.severed_at is None) == bool(paths)
    if not paths:
        assert found.severed_at == ("output/kernel" if hidden.any() else "hidden/kernel")
        assert "cannot learn" in found.warning()
    assert bool(found.warning()) == (found.disconnected_share > 0.1)
    stored = json.loads(json.dumps(found.document()))
    assert EffectiveSparsity.from_document({"density": mask.density, **stored}) == found


def test_its_names_in_a_manifest_stay() -> None:
    found = EffectiveSparsity(0.5, 0.2, {"a": 1}, {"a": 3}, "a")
    assert list(found.document().items()) == [
        *(("effective_density", 0.5), ("useless", 0.2)),
        *(("dead_units", {"a": 1}), ("units", {"a": 3}), ("cut_at", "a")),
    ]


def test_an_older_manifest_tells_nothing() -> None:
    assert EffectiveSparsity.from_document({"density": 0.5}) is None


def test_a_dense_mask_is_not_looked_at_and_a_lab_that_cannot_tell_says_why() -> None:
    class Untold(FakeLab):
        def compute_effective(self, mask: Mask) -> Mask:
            raise UsageError("nobody knows")

    lab: Lab = Untold()
    assert effective_sparsity.measure(lab, lab.dense()) is None
    sparse = masked(np.ones(HIDDEN, np.bool_), np.eye(*OUTPUT, dtype=np.bool_))
    assert effective_sparsity.measure(lab, sparse) == "nobody knows"
    assert effective_sparsity.measure(LAB, sparse) == EffectiveSparsity.of(LAB, sparse)


class Padded(FakeLab):
    """A lab of one kernel of 3x3, whose outer weights see padding alone, 1 input and 2x2 units."""

    @property
    def prunable(self) -> tuple[Weight, ...]:
        return (Weight("conv/kernel", (3, 3, 2, 2), made=(-2, -1)),)

    def compute_effective(self, mask: Mask) -> Mask:
        sees = np.zeros((3, 3, 2, 2), np.bool_)
        sees[1, 1] = True
        return mask & Mask({"conv/kernel": sees})


def test_what_padding_hides_is_no_fault_of_the_mask() -> None:
    keep = np.ones((3, 3, 2, 2), np.bool_)
    keep[0] = keep[1, 1, 0, 1] = False
    found = EffectiveSparsity.of(Padded(), Mask({"conv/kernel": keep}))
    assert found.disconnected_share == 0
    assert found.effective_density == pytest.approx(3 / 36)
    assert (found.dead_units, found.units) == ({"conv/kernel": 1}, {"conv/kernel": 4})
    assert not found.warning()
