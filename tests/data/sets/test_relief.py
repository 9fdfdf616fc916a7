"""Relief: two surfaces over a square, with a grid as the test."""

import numpy as np
import pytest

from ltx.core.errors import UsageError
from ltx.data import loading
from ltx.data.sets import relief


@pytest.mark.parametrize("surface", relief.SURFACES)
def test_heights_over_the_grid_have_unit_deviation(surface: str) -> None:
    made = relief.load(surface)
    assert made.inputs.shape == made.test_inputs.shape == (4096, 2)
    assert np.abs(made.inputs).max() <= 1
    assert made.test_inputs[0].tolist() == [-1, -1]
    assert abs(made.test_targets.mean()) < 1e-6
    assert abs(made.test_targets.std() - 1) < 1e-6
    assert abs(made.targets.mean()) < 0.05
    near = np.square(made.inputs[:, None] - made.test_inputs).sum(-1).argmin(1)
    error = np.sqrt(np.mean((made.targets - made.test_targets[near]) ** 2))
    assert error < 0.1  # points and heights belong together


def test_the_soft_surface_is_the_formula() -> None:
    x, y = relief.load().test_inputs.T.astype(float)
    height = np.sin(3 * x) * np.cos(2 * y) + 0.5 * np.sin(4 * x + 3 * y)
    expected = (height - height.mean()) / height.std()
    np.testing.assert_allclose(relief.load().test_targets, expected, atol=1e-5)


def test_a_task_gets_it() -> None:
    data = loading.load("relief", preprocessing={"scaling": "none"})
    assert (len(data.train), len(data.test), data.targets.floating) == (3686, 4096, True)
    with pytest.raises(UsageError, match=r"surface.*'rough'"):
        loading.load("relief", data_args={"surface": "rough"})
