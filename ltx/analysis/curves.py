"""Curve: one finder on one task, level by level, as the numbers that a plot shows."""

import dataclasses
import math
from collections.abc import Collection, Mapping, Sequence

import numpy as np

from ltx.analysis.grouping import by_finder
from ltx.analysis.paired_tests import Interval
from ltx.core.cost import Cost
from ltx.evaluation.trial import Trial
from ltx.store.event_log import Timing
from ltx.study.results import TrialResult


@dataclasses.dataclass(frozen=True)
class Point:
    """All seeds of one level; `steps` and `flops` are means of what finding and training took.

    `steps` are dense-equivalent: those of dense training that take as many FLOPs as were spent
    where every weight counts; gradients taken without training count, too. `flops` counts the
    weights that survive alone. `seconds` are the median over those seeds whose seconds are known,
    since a machine may be busy with other things; NaN where none are.
    """

    level: int
    density: float
    accuracy: Interval
    early_stop: Interval
    steps: float
    flops: float
    seeds: int
    seconds: float = math.nan


@dataclasses.dataclass(frozen=True)
class Curve:
    """One finder on one task; `position` is that of the finder in the study."""

    task: str
    finder: str
    control: bool
    position: int
    points: tuple[Point, ...]


def curves(
    rows: Sequence[TrialResult], finders: Sequence[str], took: Mapping[str, Timing] | None = None
) -> list[Curve]:
    """The curves of every finder on every task, from the first level to the last.

    `took` has the seconds of trials by their ids.
    """
    controls = {(row.task, row.finder): row.control for row in rows}
    order = list(finders)
    return [
        Curve(
            task,
            finder,
            controls[task, finder],
            order.index(finder),
            tuple(_point(level, trials.values(), took or {}) for level, trials in levels.items()),
        )
        for (task, finder), levels in by_finder(rows).items()
    ]


def _point(level: int, trials: Collection[Trial], took: Mapping[str, Timing]) -> Point:
    seconds = [took[trial.id].total for trial in trials if trial.id in took]
    known = [total for total in seconds if not math.isnan(total)]
    return Point(
        level=level,
        density=float(np.mean([trial.density for trial in trials])),
        accuracy=Interval.of([trial.test.accuracy for trial in trials]),
        early_stop=Interval.of(
            [math.nan if t.early_stop is None else float(t.early_stop) for t in trials]
        ),
        steps=float(np.mean([dense_steps(trial) for trial in trials])),
        flops=float(np.mean([spent(trial).flops for trial in trials])),
        seeds=len(trials),
        seconds=float(np.median(known)) if known else math.nan,
    )


def spent(trial: Trial) -> Cost:
    """What it took to find the ticket and to train it to the end."""
    return trial.found_for + trial.trained_for


def dense_steps(trial: Trial) -> float:
    """The steps of dense training that would have cost as much as finding and training did."""
    per_step = trial.trained_for.dense_flops / max(1, trial.trained_for.steps)
    return spent(trial).dense_flops / per_step if per_step else float(spent(trial).steps)
