"""Figure inputs: curves and transfers to be drawn, and what was drawn of them."""

from typing import Any

import numpy as np

from ltx.analysis.curves import Curve, Point
from ltx.analysis.paired_tests import Interval
from ltx.analysis.transfer import TransferResult

NAN = float("nan")


def curve(
    finder: str = "imp", position: int = 0, densities: tuple[float, ...] = (1.0, 0.5, 0.1)
) -> Curve:
    points = tuple(
        Point(n, d, Interval(d, d - 0.1, d + 0.1, 3), Interval(10, 5, 15, 3), 10.0**n, 1e6 * d, 3)
        for n, d in enumerate(densities)
    )
    return Curve("task", finder, finder == "reinit", position, points)


def lines_of(plot: Any, label: int = 0) -> np.ndarray:
    return plot.figure.axes[0].lines[label].get_xydata()


def cell(task: str, source: str, carry: str, level: int, gap: float | None) -> TransferResult:
    def interval(mean: float) -> Interval:
        return Interval(mean, NAN, NAN, 1)

    return TransferResult(
        task=task,
        finder=f"from {source} {carry}",
        source=source,
        carry=carry,
        level=level,
        density=0.5**level,
        value=interval(0.9),
        native="" if gap is None else "imp",
        native_head="",
        native_density=None if gap is None else 0.5**level,
        native_value=None if gap is None else interval(0.95),
        dense_value=interval(0.98),
        gap=None if gap is None else interval(gap),
        seeds=1,
        missing=(),
        verdict="inconclusive",
        reason="",
        more_seeds=NAN,
        p={},
        margin=0.003,
        claims=1,
    )


CELLS = [
    cell("a", "a", "mask", 1, 0.0),
    cell("a", "a", "mask", 2, 0.1),
    cell("a", "b", "mask", 1, -0.03),
    cell("c", "b", "mask", 1, 0.05),
    cell("a", "b", "sign", 1, -0.01),
    cell("a", "b", "sign", 2, -0.2),
]
