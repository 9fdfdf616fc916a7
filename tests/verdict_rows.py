"""Verdict rows: trials of planted accuracies, for tests of verdicts."""

import types
from collections.abc import Mapping

from ltx import Cost, History, Metrics, Trial
from ltx.core.objectives.metric import ACCURACY, Metric
from ltx.study.results import TrialResult

DENSE = (0.980, 0.982, 0.978, 0.981, 0.979, 0.983)


CONTROLS = {"reinit": ("imp",)}
CONTROL = (0.930, 0.935, 0.925, 0.931, 0.929, 0.936)


def rows(
    finder: str,
    accuracies: dict[int, float] | tuple[float, ...],
    *,
    level: int = 1,
    stop: int = 30,
    control: bool = False,
    task: str = "t",
    density: float | None = None,
    of: tuple[str, int] | None = None,
    metric: Metric = ACCURACY,
    further: Mapping[str, float] = types.MappingProxyType({}),
) -> list[TrialResult]:
    """A row for each seed of one finder at one level; `of`: finder and level of its parent."""
    values = accuracies if isinstance(accuracies, dict) else dict(enumerate(accuracies))
    made = []
    for seed, accuracy in values.items():
        trial = Trial(
            id=f"{finder}{level}{seed}",
            ticket=f"{finder} {level} {seed}",
            task=task,
            seed=seed,
            level=level,
            density=0.8**level if density is None else density,
            start=0,
            history=History((stop,), (0.1,), (accuracy,)),
            validation=Metrics(0.1, accuracy),
            test=Metrics(0.1, accuracy, further),
            found_for=Cost(),
            trained_for=Cost(),
            metric=metric,
        )
        made.append(
            TrialResult(task, finder, control, seed, trial, of and f"{of[0]} {of[1]} {seed}")
        )
    return made


def shifted(values: tuple[float, ...], by: float) -> tuple[float, ...]:
    return tuple(v + by for v in values)
