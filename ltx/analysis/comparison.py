"""The trials of one finder at one level, paired with the dense network and with its controls."""

import dataclasses
import math
from collections.abc import Mapping, Sequence

import numpy as np

from ltx.analysis.grouping import Trials, by_finder
from ltx.analysis.paired_tests import Paired
from ltx.evaluation.trial import Trial
from ltx.study.results import TrialResult

PAIRED_DENSITY_TOLERANCE = 0.02  # relative, between a ticket and what it is tested against


@dataclasses.dataclass(frozen=True)
class LevelComparison:
    """One level of a finder against dense and its controls, with p-values before correction.

    `dense` and the controls of `panel` may lack seeds; a control that failed is empty.
    """

    task: str
    finder: str
    trials: Trials
    dense: Trials
    panel: Mapping[str, Trials]
    margin: float

    @property
    def level(self) -> int:
        return next(iter(self.trials.values())).level

    @property
    def gain(self) -> Paired:
        return Paired.of(accuracies(self.trials), accuracies(self.dense))

    @property
    def delay(self) -> Paired:
        return Paired.of(early_stops(self.trials), early_stops(self.dense))

    @property
    def leads(self) -> dict[str, Paired]:
        own = accuracies(self.trials)
        return {name: Paired.of(own, accuracies(other)) for name, other in self.panel.items()}

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
    rows: Sequence[TrialResult], margin: float, planned: Sequence[str]
) -> list[LevelComparison]:
    """Every level of every finder that is no control; `planned` controls may have no rows."""
    arms = by_finder(rows)
    controls = dict.fromkeys((row.task, name) for row in rows for name in planned)
    controls |= dict.fromkeys((row.task, row.finder) for row in rows if row.control)
    levels = []
    for (task, finder), arm in arms.items():
        if (task, finder) in controls:
            continue
        dense = {seed: t for seed, t in arm.get(0, {}).items() if math.isclose(t.density, 1)}
        others = {name: arms.get((task, name), {}) for t, name in controls if t == task}
        panel = {name: other for name, other in others.items() if _controls(other, arm)}
        for level in arm:
            matched = {
                name: other.get(level, {}) if _as_dense(other, arm, level) else {}
                for name, other in panel.items()
            }
            levels.append(
                LevelComparison(task, finder, arm[level], dense, matched if level else {}, margin)
            )
    return levels


def _controls(control: Mapping[int, Trials], arm: Mapping[int, Trials]) -> bool:
    """Whether the control has the finder's density at a level, or has failed at all levels."""
    failed = not any(level > 0 for level in control)
    return failed or any(level > 0 and _as_dense(control, arm, level) for level in arm)


def _as_dense(control: Mapping[int, Trials], arm: Mapping[int, Trials], level: int) -> bool:
    return level in control and math.isclose(
        density(control[level]), density(arm[level]), rel_tol=PAIRED_DENSITY_TOLERANCE
    )


def density(trials: Trials) -> float:
    return float(np.mean([trial.density for trial in trials.values()]))


def accuracies(trials: Trials) -> dict[int, float]:
    return {seed: trial.test.accuracy for seed, trial in trials.items()}


def early_stops(trials: Trials) -> dict[int, float]:
    """In steps; 0 if nothing was trained, NaN if a training has no curve."""
    return {seed: _early_stop(trial) for seed, trial in trials.items()}


def _early_stop(trial: Trial) -> float:
    if trial.early_stop is None:
        return math.nan if trial.trained_for.steps else 0.0
    return float(trial.early_stop)
