"""Verdict: what the trials of one finder on one task are entitled to say, level by level."""

import dataclasses
import math
from collections.abc import Iterable, Sequence

import numpy as np
import scipy.stats

from ltx.study import Row
from ltx.trial import Trial

CONFIDENCE = 0.95
MARGIN = 0.003  # share of the examples; less than this is no loss of accuracy worth the name


@dataclasses.dataclass(frozen=True)
class Interval:
    """A mean over seeds and its 95% t-interval; NaN ends where one seed leaves chance unknown."""

    mean: float
    low: float
    high: float

    @classmethod
    def of(cls, values: Sequence[float]) -> "Interval":
        mean = float(np.mean(values))
        if len(values) < 2:
            return cls(mean, math.nan, math.nan)
        error = float(scipy.stats.sem(values))
        reach = error * float(scipy.stats.t.ppf((1 + CONFIDENCE) / 2, len(values) - 1))
        return cls(mean, mean - reach, mean + reach)

    @property
    def reach(self) -> float:
        return (self.high - self.low) / 2


@dataclasses.dataclass(frozen=True)
class Level:
    """All seeds of one finder at one level, beside the dense network and the controls.

    Differences are paired by seed and in shares of the test examples: `gain` over dense, `leads`
    over each control. `verdict` is winning, matching, not winning or inconclusive. Early stops are
    None where nothing was trained.
    """

    task: str
    finder: str
    level: int
    density: float
    accuracy: Interval
    early_stop: Interval | None
    dense_early_stop: float | None
    gain: Interval | None
    leads: dict[str, Interval]
    controls: dict[str, Interval]
    control_stops: dict[str, Interval | None]
    seeds: int

    @property
    def verdict(self) -> str:
        """In Frankle & Carbin's terms: dense's accuracy, in at most its time, by its own init."""
        if self.gain is None or math.isnan(self.gain.low):
            return "inconclusive"
        if self.gain.high < -MARGIN:
            return "not winning"
        if self.gain.low < -MARGIN:
            return "inconclusive"
        ahead = all(lead.low > 0 for lead in self.leads.values())
        in_time = self.early_stop is None or (
            self.dense_early_stop is not None and self.early_stop.mean <= self.dense_early_stop
        )
        return "winning" if ahead and in_time and self.leads else "matching"


def levels(rows: Iterable[Row]) -> list[Level]:
    """Every level of every finder that is no control, in order of task, finder and level."""
    rows = list(rows)
    cells: dict[tuple[str, str, int], dict[int, Trial]] = {}
    controls: dict[tuple[str, str], None] = {}
    for row in rows:
        cells.setdefault((row.task, row.finder, row.trial.level), {})[row.seed] = row.trial
        if row.control:
            controls[row.task, row.finder] = None
    found = []
    for (task, finder, level), trials in cells.items():
        if (task, finder) in controls:
            continue
        dense = cells.get((task, finder, 0), {})
        beside = {
            name: cells[task, name, level]
            for t, name in controls
            if t == task and (task, name, level) in cells and level > 0
        }
        found.append(_level(task, finder, trials, dense, beside))
    return found


def _level(
    task: str,
    finder: str,
    trials: dict[int, Trial],
    dense: dict[int, Trial],
    beside: dict[str, dict[int, Trial]],
) -> Level:
    first = next(iter(trials.values()))
    return Level(
        task=task,
        finder=finder,
        level=first.level,
        density=float(np.mean([trial.density for trial in trials.values()])),
        accuracy=_accuracy(trials),
        early_stop=_early_stop(trials),
        dense_early_stop=stop.mean if (stop := _early_stop(dense)) else None,
        gain=_lead(trials, dense) if first.level > 0 else None,
        leads={name: lead for name, them in beside.items() if (lead := _lead(trials, them))},
        controls={name: _accuracy(them) for name, them in beside.items()},
        control_stops={name: _early_stop(them) for name, them in beside.items()},
        seeds=len(trials),
    )


def _accuracy(trials: dict[int, Trial]) -> Interval:
    return Interval.of([trial.test.accuracy for trial in trials.values()])


def _early_stop(trials: dict[int, Trial]) -> Interval | None:
    """None where nothing was trained."""
    stops = [trial.early_stop for trial in trials.values()]
    known = [float(stop) for stop in stops if stop is not None]
    return Interval.of(known) if known else None


def _lead(ours: dict[int, Trial], theirs: dict[int, Trial]) -> Interval | None:
    both = sorted(ours.keys() & theirs.keys())
    if not both:
        return None
    return Interval.of([ours[seed].test.accuracy - theirs[seed].test.accuracy for seed in both])


def sentence(found: Sequence[Level]) -> str:
    """One sentence for one finder on one task, on all of its levels but the dense one."""
    sparse = [level for level in found if level.level > 0]
    if not sparse:
        return "Nothing sparse was tried, so there is nothing to say."
    name = f"{sparse[0].finder} on {sparse[0].task}"
    seeds = min(level.seeds for level in sparse)
    if seeds < 2:
        return f"{name}: inconclusive: one seed cannot tell luck from merit; use --seeds=3 or more."
    parts = []
    for verdict in VERDICTS:
        if such := [level for level in sparse if level.verdict == verdict]:
            parts.append(f"{verdict} at {len(such)} of {len(sparse)} levels ({_densities(such)})")
    leads = sparse[-1].leads
    against = f"against {', '.join(leads)}" if leads else "with no control, so nothing can win"
    return (
        f"{name}: {'; '.join(parts)}. Paired over {seeds} seeds, margin {MARGIN:.1%},"
        f" 95% intervals for each level by itself, {against}."
    )


VERDICTS = ("winning", "matching", "not winning", "inconclusive")


def _densities(found: Sequence[Level]) -> str:
    shares = [level.density for level in found]
    return f"{shares[0]:.1%}" if len(shares) == 1 else f"{min(shares):.1%} to {max(shares):.1%}"
