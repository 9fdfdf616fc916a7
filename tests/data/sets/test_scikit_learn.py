"""Tables of scikit-learn: five folds that are the whole together, alike in their targets."""

import numpy as np
import pytest

from ltx.core.errors import UsageError
from ltx.core.task import Task
from ltx.data import loading
from ltx.data.sets import scikit_learn

SIZES = {"breast_cancer": (569, 30, 2), "wine": (178, 13, 3), "diabetes": (442, 10, 0)}


@pytest.mark.parametrize("name", SIZES)
def test_the_folds_are_the_whole(name: str) -> None:
    made = [getattr(scikit_learn, name)(fold) for fold in range(5)]
    rows, columns, classes = SIZES[name]
    whole = sorted(map(bytes, np.concatenate([made[0].inputs, made[0].test_inputs])))
    assert (len(whole), made[0].inputs.shape[1]) == (rows, columns)
    assert sorted(bytes(row) for one in made for row in one.test_inputs) == whole
    for one in made:
        assert len(one.targets) + len(one.test_targets) == rows
        assert len(one.test_targets) in (rows // 5, -(-rows // 5))
        if classes:
            share = np.bincount(one.test_targets) - np.bincount(np.r_[one.targets]) / 4
            assert np.abs(share).max() < 2
            assert len(one.classes) == classes
        else:
            assert abs(one.test_targets.mean() - 152.1) < 3


def test_folds_are_always_the_same() -> None:
    assert scikit_learn.folds(np.array([3.0, 1, 2, 5, 4, 0, 9])).tolist() == [2, 4, 1, 4, 3, 0, 3]


@pytest.mark.parametrize("name", SIZES)
def test_a_task_gets_a_fold(name: str) -> None:
    data = loading.load(name, data_args={"fold": 3})
    assert data.input_shape == (SIZES[name][1],)
    assert data.classes == SIZES[name][2]
    assert data.fingerprint != loading.load(name).fingerprint
    assert np.abs(data.train.inputs.mean(0)).max() < 1e-5
    assert Task(data=name, data_args={"fold": 3}).id != Task(data=name).id


@pytest.mark.parametrize("fold", [5, -1, 1.5, "first", True])
def test_another_fold_is_refused(fold: object) -> None:
    with pytest.raises(UsageError, match=r"Task\.data_args: fold"):
        loading.load("wine", data_args={"fold": fold})
