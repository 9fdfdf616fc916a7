"""Verdict: what a study is entitled to say of each finder on each task, level by level.

Four words, after Frankle & Carbin (https://arxiv.org/abs/1803.03635) and Frankle et al.
(https://arxiv.org/abs/1912.05671). All tests are paired by seed and one-sided
(ltx/analysis/paired_tests.py).

- matching: at least dense's accuracy, which is to say shown to lose less than the margin. This is
  the lower of the two tests of equivalence (TOST); the upper would blame a ticket for being better.
- winning: matching, its early stop shown to be no later than dense's, and its accuracy shown to be
  above that of every control of the panel.
- not winning: shown to lose more than the margin.
- inconclusive: none of these is shown. It is no word for "equal" or "bad".

Winning needs all of its parts, so its p-value is the largest of theirs, with no correction among
them: whoever claims all errs only where a part is false, and that part's own test holds the rate
(an intersection-union test). Levels, finders and tasks are another matter: each is one more chance
to be lucky. So for each word the p-values of the whole study are corrected for one another by Holm,
and the chance that a study says a word even once where it is false is at most 5%. The rate is held
for each word by itself, since each is a question of its own. What is printed is the corrected p,
and it decides: at most 5% is shown.
"""

import dataclasses
import itertools
import math
from collections.abc import Iterable, Sequence

from ltx.analysis.comparison import LevelComparison, accuracies, comparisons, density, early_stops
from ltx.analysis.multiple_testing import CorrectedTests, first_shown, span
from ltx.analysis.paired_tests import MOST, Interval
from ltx.study.definition import Study
from ltx.study.results import TrialResult

MARGIN = Study.margin
WINNING, MATCHING, NOT_WINNING, INCONCLUSIVE = "winning", "matching", "not winning", "inconclusive"
VERDICTS = (WINNING, MATCHING, NOT_WINNING, INCONCLUSIVE)


@dataclasses.dataclass(frozen=True)
class LevelVerdict:
    """All seeds of one finder at one level, beside the dense network and the controls.

    `accuracy`, `early_stop`, `controls` and `control_stops` are means with their own 95% intervals,
    in shares of the test examples and in steps. Differences are paired by seed: `gain` in accuracy
    and `delay` in early stop over dense, `leads` in accuracy over each control; their intervals are
    corrected as their tests are, so that no verdict contradicts them. `p` holds the corrected
    p-value of each word but "inconclusive", `claims` how many levels it was corrected over.
    `more_seeds` would settle what is open: 0 where nothing is, infinity where more than 100 are
    needed or the seeds point the other way, NaN where there are too few to tell. `missing` are the
    seeds of the study without a trial here; nothing stands in for them.
    """

    task: str
    finder: str
    level: int
    density: float
    accuracy: Interval
    early_stop: Interval
    dense_early_stop: float
    gain: Interval | None
    delay: Interval | None
    leads: dict[str, Interval]
    controls: dict[str, Interval]
    control_stops: dict[str, Interval]
    seeds: int
    missing: tuple[int, ...]
    verdict: str
    reason: str
    more_seeds: float
    p: dict[str, float]
    margin: float
    claims: int


def levels(
    rows: Iterable[TrialResult],
    *,
    margin: float = MARGIN,
    seeds: Sequence[int] = (),
    controls: Sequence[str] = (),
) -> list[LevelVerdict]:
    """Every level of every finder that is no control, in order of task, finder and level.

    Give all rows of a study at once, for they are corrected for one another. `seeds` and `controls`
    are those that the study asked for, so that none goes missing unseen; without them, those that
    its rows have. The dense network has no verdict: an empty word.
    """
    rows = list(rows)
    planned = tuple(seeds) or tuple(sorted({row.seed for row in rows}))
    cells = comparisons(rows, margin, controls)
    sparse = [cell for cell in cells if cell.level > 0]
    words = CorrectedTests.of(
        {
            WINNING: [cell.winning for cell in sparse],
            MATCHING: [cell.matching for cell in sparse],
            NOT_WINNING: [cell.not_winning for cell in sparse],
        }
    )
    places = itertools.count()
    return [
        _level(cell, planned, words.at(next(places)) if cell.level > 0 else {}, words)
        for cell in cells
    ]


def _level(
    cell: LevelComparison, planned: Sequence[int], p: dict[str, float], words: CorrectedTests
) -> LevelVerdict:
    word = first_shown(p, VERDICTS)
    against = cell.level > 0
    beside = {name: them for name, them in cell.panel.items() if them}
    leads = {name: words.interval(lead, WINNING, WINNING) for name, lead in cell.leads.items()}
    return LevelVerdict(
        task=cell.task,
        finder=cell.finder,
        level=cell.level,
        density=density(cell.trials),
        accuracy=Interval.of(list(accuracies(cell.trials).values())),
        early_stop=Interval.of(list(early_stops(cell.trials).values())),
        dense_early_stop=Interval.of(list(early_stops(cell.dense).values())).mean,
        gain=words.interval(cell.gain, MATCHING, NOT_WINNING) if against else None,
        delay=words.interval(cell.delay, WINNING, WINNING) if against else None,
        leads={name: lead for name, lead in leads.items() if lead},
        controls={n: Interval.of(list(accuracies(them).values())) for n, them in beside.items()},
        control_stops={
            n: Interval.of(list(early_stops(them).values())) for n, them in beside.items()
        },
        seeds=len(cell.trials),
        missing=tuple(seed for seed in planned if seed not in cell.trials),
        verdict=word if against else "",
        reason=_reason(cell, word, words.levels[WINNING]) if against else "",
        more_seeds=_more_seeds(cell, word, words) if against else 0.0,
        p=p,
        margin=cell.margin,
        claims=words.cells,
    )


def _reason(cell: LevelComparison, word: str, cutoff: float) -> str:
    """Why this word and no better one, in a few words."""
    if word == WINNING:
        return ", ".join(["dense's accuracy", *cell.parts])
    if word == NOT_WINNING:
        return f"loses more than {100 * cell.margin:g}%"
    if word == INCONCLUSIVE:
        return _doubt(cell)
    if not cell.panel:
        return "no control to be ahead of"
    asked = {"dense's accuracy, as winning asks it": cell.matching, **cell.parts}
    return "not shown: " + ", ".join(part for part, p in asked.items() if p > cutoff)


def _doubt(cell: LevelComparison) -> str:
    gain = cell.gain
    if not cell.dense:
        return "no dense network to hold it against"
    if gain.count < 2:
        return f"{('no seed', 'one seed')[gain.count]} in common with dense"
    if gain.tied:
        return f"{gain.count} seeds with one and the same difference"
    return "shown neither to keep dense's accuracy nor to lose it"


def _more_seeds(cell: LevelComparison, word: str, words: CorrectedTests) -> float:
    """How many more seeds would settle it, each open part at the level that it was held to."""
    gain, bound = cell.gain, -cell.margin
    if word == INCONCLUSIVE:
        return words.more_seeds(gain, bound, above=MATCHING, below=NOT_WINNING)
    if word != MATCHING:
        return 0.0
    if not cell.panel:
        return math.inf
    level = words.levels[WINNING]
    open_parts = [(gain.seeds_above(bound, level), gain)] * (cell.matching > level)
    if cell.delay.at_most(0) > level:
        open_parts.append((cell.delay.seeds_below(0, level), cell.delay))
    for lead in cell.leads.values():
        if lead.above(0) > level:
            open_parts.append((lead.seeds_above(0, level), lead))
    more = [max(needs - paired.count, 1.0) for needs, paired in open_parts]
    return math.nan if any(map(math.isnan, more)) else max(more)


def sentence(found: Sequence[LevelVerdict]) -> str:
    """What a study may say of one finder on one task, on all of its levels but the dense one."""
    sparse = [level for level in found if level.level > 0]
    if not sparse:
        return "Nothing sparse was tried, so there is nothing to say."
    name = f"{sparse[0].finder} on {sparse[0].task}"
    if max(level.seeds for level in sparse) < 2:
        return f"{name}: inconclusive: one seed cannot tell luck from merit; use --seeds=3 or more."
    parts = []
    for verdict in VERDICTS:
        if such := [level for level in sparse if level.verdict == verdict]:
            parts.append(f"{verdict} at {len(such)} of {len(sparse)} levels ({_densities(such)})")
    controls = sorted({control for level in sparse for control in level.leads})
    against = f"against {', '.join(controls)}" if controls else "with no control, so none can win"
    pairs = {level.gain.count for level in sparse if level.gain} or {0}
    return (
        f"{name}: {'; '.join(parts)}.{_open(sparse)} Paired over {span(pairs)} seeds, {against},"
        f" margin {100 * sparse[0].margin:g}%; p, corrected over {sparse[0].claims} levels of the"
        f" study (Holm), decides; ± is each mean's own 95% interval."
        f"{_missing(sparse)}"
    )


def _open(found: Sequence[LevelVerdict]) -> str:
    """How many more seeds the inconclusive levels ask for."""
    asked = [level.more_seeds for level in found if level.verdict == INCONCLUSIVE]
    few = [int(n) for n in asked if n <= MOST]
    parts = []
    if few:
        parts.append(f"{span(few)} more seeds may settle {len(few)} of {len(asked)} inconclusive")
    if beyond := sum(math.isinf(n) for n in asked):
        parts.append(f"more than {MOST} would be needed at {beyond}: no effect to find")
    if unknown := sum(math.isnan(n) for n in asked):
        parts.append(f"too few seeds at {unknown} to say how many")
    text = "; ".join(parts)
    return f" {text[0].upper()}{text[1:]}." if parts else ""


def _missing(found: Sequence[LevelVerdict]) -> str:
    lacking = sum(bool(level.missing) for level in found)
    return f" Trials are missing at {lacking} of {len(found)} levels." if lacking else ""


def _densities(found: Sequence[LevelVerdict]) -> str:
    shares = [level.density for level in found]
    return f"{shares[0]:.1%}" if len(shares) == 1 else f"{min(shares):.1%} to {max(shares):.1%}"
