"""Verdict: what a study is entitled to say of each finder on each task, level by level.

Four words, after Frankle & Carbin (https://arxiv.org/abs/1803.03635) and Frankle et al.
(https://arxiv.org/abs/1912.05671). All tests are paired by seed and one-sided (ltx/paired.py).

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
import math
from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from ltx.paired import ALPHA, MOST, Interval, Paired, holm
from ltx.study import Row, Study
from ltx.trial import Trial

MARGIN = Study.margin
WINNING, MATCHING, NOT_WINNING, INCONCLUSIVE = "winning", "matching", "not winning", "inconclusive"
VERDICTS = (WINNING, MATCHING, NOT_WINNING, INCONCLUSIVE)
ALIKE = 0.02  # of its density, by which a control may differ from what it controls


@dataclasses.dataclass(frozen=True)
class Level:
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


Trials = Mapping[int, Trial]


@dataclasses.dataclass(frozen=True)
class _Cell:
    """The trials of one level and what they are held against."""

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
        return Paired.of(_accuracies(self.trials), _accuracies(self.dense))

    @property
    def delay(self) -> Paired:
        return Paired.of(_early_stops(self.trials), _early_stops(self.dense))

    @property
    def leads(self) -> dict[str, Paired]:
        ours = _accuracies(self.trials)
        return {name: Paired.of(ours, _accuracies(them)) for name, them in self.panel.items()}

    @property
    def matching(self) -> float:
        return self.gain.above(-self.margin)

    @property
    def not_winning(self) -> float:
        return self.gain.below(-self.margin)

    @property
    def parts(self) -> dict[str, float]:
        """What winning needs beside matching, with the p-value of each."""
        ahead = {f"ahead of {name}": lead.above(0) for name, lead in self.leads.items()}
        return {"in dense's time": self.delay.at_most(0), **ahead}

    @property
    def winning(self) -> float:
        return max(self.matching, *self.parts.values()) if self.panel else 1.0


def levels(
    rows: Iterable[Row], *, margin: float = MARGIN, seeds: Sequence[int] = ()
) -> list[Level]:
    """Every level of every finder that is no control, in order of task, finder and level.

    Give all rows of a study at once, for they are corrected for one another. `seeds` are those that
    the study asked for; without them, those that any of its rows has.
    """
    rows = list(rows)
    planned = tuple(seeds) or tuple(sorted({row.seed for row in rows}))
    cells = _cells(rows, margin)
    sparse = [cell for cell in cells if cell.level > 0]
    tested = {
        WINNING: holm([cell.winning for cell in sparse]),
        MATCHING: holm([cell.matching for cell in sparse]),
        NOT_WINNING: holm([cell.not_winning for cell in sparse]),
    }
    cutoffs = {word: cutoff for word, (_, cutoff) in tested.items()}
    corrected = [
        dict(zip(tested, values, strict=True))
        for values in zip(*(p for p, _ in tested.values()), strict=True)
    ]
    found = dict(zip(map(id, sparse), corrected, strict=True))
    return [_level(cell, planned, found.get(id(cell), {}), cutoffs, len(sparse)) for cell in cells]


def _cells(rows: Sequence[Row], margin: float) -> list[_Cell]:
    arms: dict[tuple[str, str], dict[int, dict[int, Trial]]] = {}
    controls: dict[tuple[str, str], None] = {}
    for row in rows:
        arm = arms.setdefault((row.task, row.finder), {})
        arm.setdefault(row.trial.level, {})[row.seed] = row.trial
        if row.control:
            controls[row.task, row.finder] = None
    made = []
    for (task, finder), arm in arms.items():
        if (task, finder) in controls:
            continue
        dense = {seed: t for seed, t in arm.get(0, {}).items() if math.isclose(t.density, 1)}
        others = {name: arms[task, name] for t, name in controls if t == task}
        panel = {name: them for name, them in others.items() if _controls(them, arm)}
        for level in sorted(arm):
            beside = {
                name: them.get(level, {}) if _alike(them, arm, level) else {}
                for name, them in panel.items()
            }
            made.append(_Cell(task, finder, arm[level], dense, beside if level else {}, margin))
    return made


def _controls(them: Mapping[int, Trials], us: Mapping[int, Trials]) -> bool:
    """Whether these are controls of that finder: sparse alike at a level at least."""
    return any(level > 0 and _alike(them, us, level) for level in us)


def _alike(them: Mapping[int, Trials], us: Mapping[int, Trials], level: int) -> bool:
    return level in them and math.isclose(_density(them[level]), _density(us[level]), rel_tol=ALIKE)


def _level(
    cell: _Cell,
    planned: Sequence[int],
    p: dict[str, float],
    cutoffs: Mapping[str, float],
    claims: int,
) -> Level:
    word = next((w for w in VERDICTS if p.get(w, 1.0) <= ALPHA), INCONCLUSIVE)
    against = cell.level > 0
    beside = {name: them for name, them in cell.panel.items() if them}
    win = cutoffs[WINNING]
    return Level(
        task=cell.task,
        finder=cell.finder,
        level=cell.level,
        density=_density(cell.trials),
        accuracy=Interval.of(list(_accuracies(cell.trials).values())),
        early_stop=Interval.of(list(_early_stops(cell.trials).values())),
        dense_early_stop=Interval.of(list(_early_stops(cell.dense).values())).mean,
        gain=_shown(cell.gain, cutoffs[MATCHING], cutoffs[NOT_WINNING]) if against else None,
        delay=_shown(cell.delay, win, win) if against else None,
        leads={name: i for name, lead in cell.leads.items() if (i := _shown(lead, win, win))},
        controls={n: Interval.of(list(_accuracies(them).values())) for n, them in beside.items()},
        control_stops={
            n: Interval.of(list(_early_stops(them).values())) for n, them in beside.items()
        },
        seeds=len(cell.trials),
        missing=tuple(seed for seed in planned if seed not in cell.trials),
        verdict=word if against else "",
        reason=_reason(cell, word, win) if against else "",
        more_seeds=_more_seeds(cell, word, cutoffs) if against else 0.0,
        p=p,
        margin=cell.margin,
        claims=claims,
    )


def _reason(cell: _Cell, word: str, cutoff: float) -> str:
    """Why this word and no better one, in a few words."""
    if word == WINNING:
        return ", ".join(["dense's accuracy", *cell.parts])
    if word == NOT_WINNING:
        return f"loses more than {cell.margin:.1%}"
    if word == INCONCLUSIVE:
        return _doubt(cell)
    if not cell.panel:
        return "no control to be ahead of"
    asked = {"dense's accuracy, as winning asks it": cell.matching, **cell.parts}
    return "not shown: " + ", ".join(part for part, p in asked.items() if p > cutoff)


def _doubt(cell: _Cell) -> str:
    gain = cell.gain
    if not cell.dense:
        return "no dense network to hold it against"
    if gain.count < 2:
        return f"{('no seed', 'one seed')[gain.count]} in common with dense"
    if gain.tied:
        return f"{gain.count} seeds with one and the same difference"
    return f"may lose more than {cell.margin:.1%}, may not"


def _more_seeds(cell: _Cell, word: str, cutoffs: Mapping[str, float]) -> float:
    """How many more seeds would settle it, each open part at the level that it was held to."""
    gain, bound = cell.gain, -cell.margin
    if word == INCONCLUSIVE:
        lost = gain.mean < bound
        level = cutoffs[NOT_WINNING if lost else MATCHING]
        needs = gain.seeds_below(bound, level) if lost else gain.seeds_above(bound, level)
        return max(needs - gain.count, 1.0)
    if word != MATCHING:
        return 0.0
    if not cell.panel:
        return math.inf
    level = cutoffs[WINNING]
    open_parts = [(gain.seeds_above(bound, level), gain)] * (cell.matching > level)
    if cell.delay.at_most(0) > level:
        open_parts.append((cell.delay.seeds_below(0, level), cell.delay))
    for lead in cell.leads.values():
        if lead.above(0) > level:
            open_parts.append((lead.seeds_above(0, level), lead))
    more = [max(needs - paired.count, 1.0) for needs, paired in open_parts]
    return math.nan if any(map(math.isnan, more)) else max(more)


def _shown(paired: Paired, lower: float, upper: float) -> Interval | None:
    return paired.interval(lower, upper) if paired.count else None


def _density(trials: Trials) -> float:
    return float(np.mean([trial.density for trial in trials.values()]))


def _accuracies(trials: Trials) -> dict[int, float]:
    return {seed: trial.test.accuracy for seed, trial in trials.items()}


def _early_stops(trials: Trials) -> dict[int, float]:
    """In steps; NaN of an empty curve."""
    stops = {seed: trial.early_stop for seed, trial in trials.items()}
    return {seed: math.nan if stop is None else float(stop) for seed, stop in stops.items()}


def sentence(found: Sequence[Level]) -> str:
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
    pairs = sorted({level.gain.count for level in sparse if level.gain} or {0})
    return (
        f"{name}: {'; '.join(parts)}.{_open(sparse)} Paired over"
        f" {' to '.join(map(str, dict.fromkeys((pairs[0], pairs[-1]))))} seeds, {against}, margin"
        f" {sparse[0].margin:.1%}; p, corrected over {sparse[0].claims} levels of the study (Holm),"
        f" decides; ± is each mean's own 95% interval."
        f"{_missing(sparse)}"
    )


def _open(found: Sequence[Level]) -> str:
    """How many more seeds the inconclusive levels ask for."""
    asked = [level.more_seeds for level in found if level.verdict == INCONCLUSIVE]
    few = sorted(int(n) for n in asked if n <= MOST)
    parts = []
    if few:
        count = str(few[0]) if few[0] == few[-1] else f"{few[0]} to {few[-1]}"
        parts.append(f"{count} more seeds may settle {len(few)} of {len(asked)} inconclusive")
    if beyond := sum(math.isinf(n) for n in asked):
        parts.append(f"more than {MOST} would be needed at {beyond}: no effect to find")
    if unknown := sum(math.isnan(n) for n in asked):
        parts.append(f"too few seeds at {unknown} to say how many")
    text = "; ".join(parts)
    return f" {text[0].upper()}{text[1:]}." if parts else ""


def _missing(found: Sequence[Level]) -> str:
    lacking = sum(bool(level.missing) for level in found)
    return f" Trials are missing at {lacking} of {len(found)} levels." if lacking else ""


def _densities(found: Sequence[Level]) -> str:
    shares = [level.density for level in found]
    return f"{shares[0]:.1%}" if len(shares) == 1 else f"{min(shares):.1%} to {max(shares):.1%}"
