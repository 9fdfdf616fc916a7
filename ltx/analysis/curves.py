"""Curves: the metric, early stop and cost of one finder on one task, level by level."""

import dataclasses
import math
from collections.abc import Collection, Mapping, Sequence

import numpy as np

from ltx.analysis.comparison import metric_of
from ltx.analysis.grouping import by_finder
from ltx.analysis.paired_tests import Interval
from ltx.core.cost import Cost
from ltx.core.objectives.metric import ACCURACY, Metric
from ltx.evaluation.trial import Trial
from ltx.store.event_log import Timing
from ltx.study.results import TrialResult


@dataclasses.dataclass(frozen=True)
class Point:
    """All seeds of one level, with the metric's test value and the mean costs of its tickets.

    Costs are those of finding and training. `steps` are dense-equivalent: steps of dense training
    with the same FLOPs, where every weight counts, and gradients without training count too.
    `flops` counts only the weights that survive. `seconds` are the median over the seeds for which
    they are known, since a machine may be busy with other work; NaN if there are none.
    """

    level: int
    density: float
    value: Interval
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
    metric: Metric = ACCURACY


def curves(
    rows: Sequence[TrialResult],
    finders: Sequence[str],
    timings: Mapping[str, Timing] | None = None,
) -> list[Curve]:
    """The curves of every finder on every task, from the first level to the last.

    `timings` has the seconds of trials by their ids.
    """
    controls = {(row.task, row.finder): row.control for row in rows}
    order = list(finders)
    return [
        Curve(
            task,
            finder,
            controls[task, finder],
            order.index(finder),
            tuple(
                _point(level, trials.values(), timings or {}) for level, trials in levels.items()
            ),
            metric_of(next(iter(levels.values()))),
        )
        for (task, finder), levels in by_finder(rows).items()
    ]


def _point(level: int, trials: Collection[Trial], timings: Mapping[str, Timing]) -> Point:
    seconds = [timings[trial.id].total for trial in trials if trial.id in timings]
    known = [total for total in seconds if not math.isnan(total)]
    return Point(
        level=level,
        density=float(np.mean([trial.density for trial in trials])),
        value=Interval.of([trial.test.value for trial in trials]),
        early_stop=Interval.of(
            [math.nan if t.early_stop is None else float(t.early_stop) for t in trials]
        ),
        steps=float(np.mean([dense_steps(trial) for trial in trials])),
        flops=float(np.mean([spent(trial).flops for trial in trials])),
        seeds=len(trials),
        seconds=float(np.median(known)) if known else math.nan,
    )


def spent(trial: Trial) -> Cost:
    """The cost of finding the ticket and of training it to the end."""
    return trial.found_for + trial.trained_for


def dense_steps(trial: Trial) -> float:
    """The number of steps of dense training that cost as much as finding and training."""
    per_step = trial.trained_for.dense_flops / max(1, trial.trained_for.steps)
    return spent(trial).dense_flops / per_step if per_step else float(spent(trial).steps)
