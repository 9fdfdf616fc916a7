"""Verdicts: what a study may claim of each finder on each task, level by level.

Four verdicts, after Frankle & Carbin (https://arxiv.org/abs/1803.03635) and Frankle et al.
(https://arxiv.org/abs/1912.05671). All tests are paired by seed and one-sided
(ltx/analysis/paired_tests.py).

- matching: as good as dense by the metric of the task, such as its accuracy: shown to lose less
  than the margin, where a loss is what is worse in the metric's direction. This is the lower of the
  two one-sided tests of equivalence (TOST); the upper one would count against a ticket that it is
  better than dense.
- winning: matching, with an early stop shown to be no later than dense's, and a metric shown to be
  better than that of every control of its own: each control that holds this finder, ticket by
  ticket. A finder without one cannot win.
- not winning: shown to lose more than the margin.
- inconclusive: none of these is shown. It means neither "equal" nor "bad".

Winning needs all of its parts, so its p-value is the largest of theirs and is not corrected among
them: a false claim of all parts is a false claim of at least one, and that part's own test bounds
the error rate (an intersection-union test). Levels, finders and tasks are different: each is one
more chance of a lucky result. So for each verdict the p-values of the whole study are corrected for
one another by Holm, and the probability that a study gives a verdict even once where it is false is
at most 5%. The rate is held for each verdict separately, since each answers a question of its own.
Printed p-values are corrected, and they decide: a p of at most 5% is shown.
"""

import dataclasses
import itertools
import math
import types
from collections.abc import Collection, Iterable, Mapping, Sequence

from ltx.analysis.comparison import LevelComparison, comparisons, density, early_stops, values
from ltx.analysis.multiple_testing import INCONCLUSIVE, CorrectedTests, Settled, span
from ltx.analysis.paired_tests import MOST, Interval
from ltx.core.objectives.metric import ACCURACY, Metric
from ltx.study.results import TrialResult

WINNING, MATCHING, NOT_WINNING = "winning", "matching", "not winning"
NO_CONTROL = "no control of its own"
VERDICTS = (WINNING, MATCHING, NOT_WINNING, INCONCLUSIVE)


@dataclasses.dataclass(frozen=True, kw_only=True)
class LevelVerdict(Settled):
    """All seeds of one finder at one level, compared with the dense network and the controls.

    `value`, `early_stop`, `controls` and `control_stops` are means with their own 95% intervals, in
    values of the metric on the test split and in steps. Differences are paired by seed: `gain` in
    the metric and `delay` in early stop over dense, `leads` in the metric over each control, all of
    them positive where the finder's is better, or later; their intervals are
    corrected as their tests are, so that no verdict contradicts them. `own_controls` names the
    finder's controls, also those without a ticket here; `control_densities` are means. `missing`
    are the seeds of the study without a trial here; no values are put in their place.
    """

    task: str
    finder: str
    level: int
    density: float
    value: Interval
    early_stop: Interval
    dense_early_stop: float
    gain: Interval | None
    delay: Interval | None
    leads: dict[str, Interval]
    controls: dict[str, Interval]
    control_stops: dict[str, Interval]
    control_densities: dict[str, float]
    own_controls: tuple[str, ...]
    seeds: int
    missing: tuple[int, ...]
    margin: float
    metric: Metric = ACCURACY


def levels(
    rows: Iterable[TrialResult],
    *,
    margin: float | None = None,
    seeds: Sequence[int] = (),
    controls: Mapping[str, Collection[str]] = types.MappingProxyType({}),
) -> list[LevelVerdict]:
    """Every level of every finder that is no control, in order of task, finder and level.

    Pass all rows of a study at once, since they are corrected for one another. `seeds` are those
    that the study planned, so that missing ones are reported; by default those of its rows.
    `controls` has the finders that each control controls, by their labels (StudyRecord.controls); a
    control of none is compared with none. `margin` None is that of each metric. The dense
    network has no verdict: "".
    """
    rows = list(rows)
    planned = tuple(seeds) or tuple(sorted({row.seed for row in rows}))
    cells = comparisons(rows, margin, controls)
    sparse = [cell for cell in cells if cell.level > 0]
    tests = CorrectedTests.of(
        {
            WINNING: [cell.winning for cell in sparse],
            MATCHING: [cell.matching for cell in sparse],
            NOT_WINNING: [cell.not_winning for cell in sparse],
        }
    )
    index = itertools.count()
    return [
        _dense(cell, planned, tests)
        if cell.level == 0
        else _sparse(cell, planned, tests, next(index))
        for cell in cells
    ]


def _dense(cell: LevelComparison, planned: Sequence[int], tests: CorrectedTests) -> LevelVerdict:
    return _level(cell, planned, tests.untested(), None, None, {})


def _sparse(
    cell: LevelComparison, planned: Sequence[int], tests: CorrectedTests, index: int
) -> LevelVerdict:
    settled = tests.settle(
        index,
        lambda verdict: _reason(cell, verdict, tests.thresholds[WINNING]),
        lambda verdict: _more_seeds(cell, verdict, tests),
    )
    leads = {name: tests.interval(lead, WINNING, WINNING) for name, lead in cell.leads.items()}
    return _level(
        cell,
        planned,
        settled,
        tests.interval(cell.gain, MATCHING, NOT_WINNING),
        tests.interval(cell.delay, WINNING, WINNING),
        {name: lead for name, lead in leads.items() if lead},
    )


def _level(
    cell: LevelComparison,
    planned: Sequence[int],
    settled: Settled,
    gain: Interval | None,
    delay: Interval | None,
    leads: dict[str, Interval],
) -> LevelVerdict:
    controls = {name: trials for name, trials in cell.panel.items() if trials}
    return LevelVerdict(
        task=cell.task,
        finder=cell.finder,
        level=cell.level,
        density=density(cell.trials),
        value=Interval.of(list(values(cell.trials).values())),
        early_stop=Interval.of(list(early_stops(cell.trials).values())),
        dense_early_stop=Interval.of(list(early_stops(cell.dense).values())).mean,
        gain=gain,
        delay=delay,
        leads=leads,
        controls={n: Interval.of(list(values(t).values())) for n, t in controls.items()},
        control_stops={n: Interval.of(list(early_stops(t).values())) for n, t in controls.items()},
        control_densities={name: density(trials) for name, trials in controls.items()},
        own_controls=tuple(cell.panel),
        seeds=len(cell.trials),
        missing=tuple(seed for seed in planned if seed not in cell.trials),
        margin=cell.margin,
        metric=cell.metric,
        **vars(settled),
    )


def _reason(cell: LevelComparison, verdict: str, threshold: float) -> str:
    """Why this verdict and no better one, in a few tests."""
    if verdict == WINNING:
        return ", ".join([f"dense's {cell.metric.name}", *cell.parts])
    if verdict == NOT_WINNING:
        return f"loses more than {cell.metric.amount(cell.margin)}"
    if verdict == INCONCLUSIVE:
        return _doubt(cell)
    if not cell.panel:
        return NO_CONTROL
    needed = {f"dense's {cell.metric.name}, as winning asks it": cell.matching, **cell.parts}
    unshown = "not shown: " + ", ".join(part for part, p in needed.items() if p > threshold)
    lacking = [name for name, trials in cell.panel.items() if not trials]
    return f"{unshown}; no ticket to compare of {', '.join(lacking)}" if lacking else unshown


def _doubt(cell: LevelComparison) -> str:
    gain = cell.gain
    if not cell.dense:
        return "no dense network to hold it against"
    if gain.count < 2:
        return f"{('no seed', 'one seed')[gain.count]} in common with dense"
    if gain.tied:
        return f"{gain.count} seeds with one and the same difference"
    return f"shown neither to keep dense's {cell.metric.name} nor to lose it"


def _more_seeds(cell: LevelComparison, verdict: str, tests: CorrectedTests) -> float:
    """How many more seeds would settle it, each open part at its own threshold."""
    gain, bound = cell.gain, -cell.margin
    if verdict == INCONCLUSIVE:
        return tests.more_seeds(gain, bound, above=MATCHING, below=NOT_WINNING)
    if verdict != MATCHING:
        return 0.0
    if not cell.panel:
        return math.inf
    threshold = tests.thresholds[WINNING]
    open_parts = [(gain.seeds_above(bound, threshold), gain)] * (cell.matching > threshold)
    if cell.delay.at_most(0) > threshold:
        open_parts.append((cell.delay.seeds_below(0, threshold), cell.delay))
    for lead in cell.leads.values():
        if lead.above(0) > threshold:
            open_parts.append((lead.seeds_above(0, threshold), lead))
    more = [max(needed - paired.count, 1.0) for needed, paired in open_parts]
    return math.nan if any(map(math.isnan, more)) else max(more)


def sentence(verdicts: Sequence[LevelVerdict]) -> str:
    """What a study may claim of one finder on one task, over all levels but the dense one."""
    sparse = [level for level in verdicts if level.level > 0]
    if not sparse:
        return "Nothing sparse was tried, so there is nothing to say."
    name = f"{sparse[0].finder} on {sparse[0].task}"
    if max(level.seeds for level in sparse) < 2:
        return f"{name}: inconclusive: one seed cannot tell luck from merit; use --seeds=3 or more."
    parts = []
    for verdict in VERDICTS:
        if such := [level for level in sparse if level.verdict == verdict]:
            parts.append(f"{verdict} at {len(such)} of {len(sparse)} levels ({_densities(such)})")
    controls = sorted({control for level in sparse for control in level.own_controls})
    against = f"against {', '.join(controls)}" if controls else f"{NO_CONTROL}, so none can win"
    pairs = {level.gain.count for level in sparse if level.gain} or {0}
    return (
        f"{name}: {'; '.join(parts)}.{_open(sparse)} Paired over {span(pairs)} seeds, {against},"
        f" margin {sparse[0].metric.amount(sparse[0].margin)}; p, corrected over {sparse[0].claims}"
        f" levels of the study (Holm), decides; ± is each mean's own 95% interval."
        f"{_missing(sparse)}"
    )


def unused(controls: Mapping[str, Collection[str]]) -> list[str]:
    """A sentence on each control that no finder of the study is compared with."""
    return [
        f"{control} is compared with nothing: the finder that it holds is none of the study's."
        for control, subjects in controls.items()
        if not subjects
    ]


def _open(verdicts: Sequence[LevelVerdict]) -> str:
    """How many more seeds the inconclusive levels need."""
    needed = [level.more_seeds for level in verdicts if level.verdict == INCONCLUSIVE]
    few = [int(n) for n in needed if n <= MOST]
    parts = []
    if few:
        parts.append(f"{span(few)} more seeds may settle {len(few)} of {len(needed)} inconclusive")
    if beyond := sum(math.isinf(n) for n in needed):
        parts.append(f"more than {MOST} would be needed at {beyond}: no effect to find")
    if unknown := sum(math.isnan(n) for n in needed):
        parts.append(f"too few seeds at {unknown} to say how many")
    text = "; ".join(parts)
    return f" {text[0].upper()}{text[1:]}." if parts else ""


def _missing(verdicts: Sequence[LevelVerdict]) -> str:
    lacking = sum(bool(level.missing) for level in verdicts)
    return f" Trials are missing at {lacking} of {len(verdicts)} levels." if lacking else ""


def _densities(verdicts: Sequence[LevelVerdict]) -> str:
    shares = [level.density for level in verdicts]
    return f"{shares[0]:.1%}" if len(shares) == 1 else f"{min(shares):.1%} to {max(shares):.1%}"
