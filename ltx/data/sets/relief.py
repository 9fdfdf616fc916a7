"""Relief: the height of a surface over two coordinates, generated."""

import numpy as np

from ltx.core import identity
from ltx.core.validation import check_choice
from ltx.data.arrays import Arrays

_TRAINING, _SIDE = 4096, 64
SURFACES = ("soft", "waves")


def load(surface: str = "soft") -> Arrays:
    """The height at 4096 random points of a square; the test points are a grid of 64 times 64.

    Coordinates are in [-1, 1]. Heights have mean 0 and deviation 1 over the grid, so that an RMSE
    of 1 is that of a constant. "soft" is sin 3x cos 2y + sin(4x + 3y) / 2; "waves", which is more
    rugged, is sin 3x cos 4y + sin(7x + 5y) / 2 + 0.3 |sin(6x - 3y)|.
    """
    check_choice("Task.data_args: surface", surface, SURFACES)
    drawn = identity.generator(0, "relief").random((_TRAINING, 2)) * 2 - 1
    axis = np.linspace(-1, 1, _SIDE)
    grid = np.stack(np.meshgrid(axis, axis, indexing="ij"), axis=-1).reshape(-1, 2)
    heights = _height(surface, grid)
    mean, std = heights.mean(), heights.std()
    return Arrays(
        inputs=drawn.astype(np.float32),
        targets=((_height(surface, drawn) - mean) / std).astype(np.float32),
        test_inputs=grid.astype(np.float32),
        test_targets=((heights - mean) / std).astype(np.float32),
    )


def _height(surface: str, points: np.ndarray) -> np.ndarray:
    x, y = points.T
    if surface == "soft":
        return np.sin(3 * x) * np.cos(2 * y) + 0.5 * np.sin(4 * x + 3 * y)
    rugged = 0.3 * np.abs(np.sin(6 * x - 3 * y))
    return np.sin(3 * x) * np.cos(4 * y) + 0.5 * np.sin(7 * x + 5 * y) + rugged
