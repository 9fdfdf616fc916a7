"""The trials of one finder at one level, paired with the dense network and with its controls.

A control is compared with the finders that it holds, and each of its tickets with the very ticket
that it was made from.
"""

import dataclasses
import math
from collections.abc import Collection, Mapping, Sequence

import numpy as np

from ltx.analysis.grouping import Levels, Trials, by_finder, group
from ltx.analysis.paired_tests import Paired
from ltx.core.objectives.metric import Metric
from ltx.evaluation.trial import Trial
from ltx.study.results import TrialResult

PAIRED_DENSITY_TOLERANCE = 0.02  # relative, between a ticket and what it is tested against


@dataclasses.dataclass(frozen=True)
class LevelComparison:
    """One level of a finder against dense and its controls, with p-values before correction.

    `panel` has the finder's own controls by name. They and `dense` may lack seeds; a control that
    failed, or has no ticket made from those of this level, is empty. Gains and leads are positive
    where the finder is better, whatever the direction of the metric. `given_margin` is that of the
    study, None for the metric's own.
    """

    task: str
    finder: str
    trials: Trials
    dense: Trials
    panel: Mapping[str, Trials]
    given_margin: float | None

    @property
    def level(self) -> int:
        return next(iter(self.trials.values())).level

    @property
    def metric(self) -> Metric:
        return metric_of(self.trials)

    @property
    def margin(self) -> float:
        return margin_of(self.given_margin, self.dense or self.trials)

    @property
    def gain(self) -> Paired:
        return gains(self.trials, self.dense)

    @property
    def delay(self) -> Paired:
        return Paired.of(early_stops(self.trials), early_stops(self.dense))

    @property
    def leads(self) -> dict[str, Paired]:
        return {name: gains(self.trials, other) for name, other in self.panel.items()}

    @property
    def matching(self) -> float:
        return self.gain.above(-self.margin)

    @property
    def not_winning(self) -> float:
        return self.gain.below(-self.margin)

    @property
    def parts(self) -> dict[str, float]:
        """What winning needs besides matching, with the p-value of each part."""
        ahead = {f"ahead of {name}": lead.above(0) for name, lead in self.leads.items()}
        return {"in dense's time": self.delay.at_most(0), **ahead}

    @property
    def winning(self) -> float:
        return max(self.matching, *self.parts.values()) if self.panel else 1.0


def comparisons(
    rows: Sequence[TrialResult], margin: float | None, controls: Mapping[str, Collection[str]]
) -> list[LevelComparison]:
    """Every level of every finder that is no control.

    `controls` has the names of the finders that each control controls; it may have no rows.
    """
    arms = by_finder(rows)
    of_controls = group((row for row in rows if row.control), lambda row: row.task)
    skipped = {row.finder for row in rows if row.control} | set(controls)
    levels = []
    for (task, finder), arm in arms.items():
        if finder in skipped:
            continue
        dense = {seed: t for seed, t in arm.get(0, {}).items() if math.isclose(t.density, 1)}
        own = {
            name: _by_subject(arm, name, of_controls.get(task, []))
            for name, subjects in controls.items()
            if finder in subjects
        }
        for level, trials in arm.items():
            panel = {name: made.get(level, {}) for name, made in own.items()} if level else {}
            levels.append(LevelComparison(task, finder, trials, dense, panel, margin))
    return levels


def _by_subject(
    arm: Levels[Trial], control: str, rows: Sequence[TrialResult]
) -> dict[int, dict[int, Trial]]:
    """A control's trials by level of the finder's tickets that they were made from, and by seed.

    `rows` are those of all controls of the task. A trial is omitted if there is no such ticket of
    its seed, or one of another density. Of two that were made from one ticket, the one of the
    ticket's own level counts, or else the last.
    """
    subjects = {(s, t.ticket): level for level, trials in arm.items() for s, t in trials.items()}
    parents = {row.trial.ticket: row.parent for row in rows if row.finder != control}
    made: dict[int, dict[int, Trial]] = {}
    for row in rows:
        if row.finder != control:
            continue
        level = _level_of_subject(row, subjects, parents)
        subject = arm.get(level, {}).get(row.seed)
        if subject is None or not is_as_dense(row.trial, subject):
            continue
        rival = made.setdefault(level, {}).get(row.seed)
        if rival is None or rival.level != level:
            made[level][row.seed] = row.trial
    return made


def _level_of_subject(
    row: TrialResult, subjects: Mapping[tuple[int, str], int], parents: Mapping[str, str | None]
) -> int:
    """The level of the ticket that a control's ticket was made from, through other controls.

    Its own level if that ticket is none of the finder's own, such as one found on corrupted data.
    """
    ancestor = row.parent
    while ancestor is not None:
        if (row.seed, ancestor) in subjects:
            return subjects[row.seed, ancestor]
        ancestor = parents.get(ancestor)
    return row.trial.level


def is_as_dense(trial: Trial, other: Trial, tolerance: float = PAIRED_DENSITY_TOLERANCE) -> bool:
    return math.isclose(trial.density, other.density, rel_tol=tolerance)


def density(trials: Trials) -> float:
    return float(np.mean([trial.density for trial in trials.values()]))


def values(trials: Trials) -> dict[int, float]:
    """The metric's value on the test split."""
    return {seed: trial.test.value for seed, trial in trials.items()}


def gains(ours: Trials, theirs: Trials) -> Paired:
    """By how much our values are better, paired by seed."""
    paired = Paired.of(values(ours), values(theirs))
    return paired if not ours or metric_of(ours).higher_is_better else paired.turned


def metric_of(trials: Trials) -> Metric:
    """The metric of trials on one task."""
    return next(iter(trials.values())).metric


def margin_of(given: float | None, dense: Trials) -> float:
    """The margin of a study in stored values: as given, else the metric's own beside `dense`."""
    if given is not None:
        return given
    return metric_of(dense).margin_at(float(np.mean(list(values(dense).values()))))


def early_stops(trials: Trials) -> dict[int, float]:
    """In steps; 0 if nothing was trained, NaN if a training has no curve."""
    return {seed: _early_stop(trial) for seed, trial in trials.items()}


def _early_stop(trial: Trial) -> float:
    if trial.early_stop is None:
        return math.nan if trial.trained_for.steps else 0.0
    return float(trial.early_stop)
