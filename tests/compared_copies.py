"""Compared copies: results of stability with planted numbers."""

import dataclasses

from ltx.evaluation.instability import Instability, WeightDistance
from ltx.study.results import StabilityResult

ALPHAS = (0.0, 0.5, 1.0)


def compared(
    level: int = 0,
    seed: int = 0,
    finder: str = "imp",
    *,
    middle: float = 0.2,
    at: str = "ticket",
    start: int = 0,
    **changed: object,
) -> StabilityResult:
    apart = WeightDistance(3.0 + seed, 2.0, 90.0 if level else None)
    one = Instability(
        id=f"{finder}-{level}-{seed}-{at}",
        ticket="t",
        task="task",
        seed=seed,
        level=level,
        density=0.5**level,
        at=at,
        start=start,
        split="test",
        alphas=ALPHAS,
        errors=(0.1, middle, 0.2),
        to_order=apart,
        to_pruning=WeightDistance(1.0, 2.0, 30.0),
    )
    one = dataclasses.replace(one, **changed)  # type: ignore[arg-type]
    return StabilityResult("task", finder, finder != "imp", seed, one)
