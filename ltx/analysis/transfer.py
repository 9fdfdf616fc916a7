"""Transfer: how tickets carried to a task compare with tickets found there, source by source.

The note of a carried ticket says where it comes from: `source` and `source_task`, its density there
(`source_density`), what was carried (`carry`), and the settings of its finder (`of`). Native are
the tickets of the same finder `of` on the target itself, at the same level and density. The gap is
the carried tickets' test accuracy less that of the native ones, paired by seed. Three claims can be
shown of it:

- better: more than the margin above native;
- as good: shown to lose less than the margin (the lower of the two one-sided tests of equivalence,
  as in ltx/analysis/verdict.py: the upper would count against a carried ticket that it is better);
- worse: more than the margin below native.

Inconclusive is what is none of these. For each claim the p-values of all cells, every target,
source, carry and level of the study, are corrected for one another by Holm, and the corrected p
decides: a p of at most 5% is shown.
"""

import dataclasses
import math
from collections.abc import Iterable, Mapping, Sequence

from ltx.analysis.comparison import PAIRED_DENSITY_TOLERANCE, accuracies, density
from ltx.analysis.grouping import Trials, by_finder, group
from ltx.analysis.multiple_testing import INCONCLUSIVE, CorrectedTests, Settled, span
from ltx.analysis.paired_tests import Interval, Paired
from ltx.evaluation.trial import Trial
from ltx.store.store import Store
from ltx.study.record import StudyRecord

BETTER, AS_GOOD, WORSE = "better", "as good", "worse"
VERDICTS = (BETTER, AS_GOOD, WORSE, INCONCLUSIVE)


@dataclasses.dataclass(frozen=True, kw_only=True)
class TransferResult(Settled):
    """All seeds of one level of what `finder` carried to `task`, compared with native tickets.

    `native` is the label of the native finder, "" where the study has none. Accuracies are means
    with their own 95% intervals, in shares of the test examples; None where there is no trial.
    `gap` has the corrected interval whose ends decide "as good" and "worse"; None where no seed has
    both. `missing` are the seeds of the study that lack the carried trial or the native one.
    """

    task: str
    finder: str
    source: str
    carry: str
    level: int
    density: float
    accuracy: Interval
    native: str
    native_accuracy: Interval | None
    dense_accuracy: Interval | None
    gap: Interval | None
    seeds: int
    missing: tuple[int, ...]
    margin: float


@dataclasses.dataclass(frozen=True)
class _Cell:
    """The trials of one level of an arm, and the native ones of the density at the source."""

    arm: "_Arm"
    level: int
    trials: Trials
    native: Trials

    @property
    def gap(self) -> Paired:
        return Paired.of(accuracies(self.trials), accuracies(self.native))


@dataclasses.dataclass(frozen=True)
class _Arm:
    """What one finder carried to one task."""

    task: str
    finder: str
    source: str
    carry: str
    native: str
    dense: Trials


def transfer_results(record: StudyRecord, store: Store) -> list[TransferResult]:
    """Every level but the dense one of all carried tickets, by target, source, finder and level.

    Tickets that are missing from the store are omitted, since only their notes say that they were
    carried; `StudyRecord.gaps` lists the trials that are missing.
    """
    trials = _NotedTrials(record, store)
    cells = [cell for arm in trials.arms() for cell in trials.cells(arm)]
    margin = record.margin
    tests = CorrectedTests.of(
        {
            BETTER: [cell.gap.above(margin) for cell in cells],
            AS_GOOD: [cell.gap.above(-margin) for cell in cells],
            WORSE: [cell.gap.below(-margin) for cell in cells],
        }
    )
    return [_result(cell, record, tests, index) for index, cell in enumerate(cells)]


class _NotedTrials:
    """A record's trials by task, finder, level and seed, with the notes of their tickets."""

    def __init__(self, record: StudyRecord, store: Store) -> None:
        self.record, self.store = record, store
        study = record.study if isinstance(record.study, Mapping) else {}
        self.settings: Mapping[str, object] = study.get("finders", {})
        self.trials = by_finder(record.rows)

    def arms(self) -> list[_Arm]:
        """The finders that carry tickets, in order of target and source."""
        notes: list[tuple[str, str, Mapping]] = []
        names: dict[str, str] = {}  # of tasks, by their ids
        for (task, finder), levels in self.trials.items():
            manifest = self._first(finder, levels)
            names.setdefault(str(manifest.get("task_id")), task)
            note = manifest.get("note", {})
            if note.keys() >= {"source", "source_task", "source_density", "carry", "of"}:
                notes.append((task, finder, note))
        sources = _unique_names({n["source_task"]: n["source"] for _, _, n in notes}, names)
        arms = [
            _Arm(
                task,
                finder,
                sources[note["source_task"]],
                note["carry"],
                native := self._native(task, note["of"]),
                {seed: t for seed, t in self._level(task, native, 0).items() if t.density == 1},
            )
            for task, finder, note in notes
        ]
        order = [*self.record.tasks, *sources.values()]
        return sorted(arms, key=lambda a: (order.index(a.task), order.index(a.source)))

    def cells(self, arm: _Arm) -> list[_Cell]:
        """An arm's levels but the dense one."""
        return [
            _Cell(arm, level, trials, self._as_dense(arm, level, trials))
            for level, trials in self.trials[arm.task, arm.finder].items()
            if level > 0
        ]

    def _as_dense(self, arm: _Arm, level: int, trials: Trials) -> Trials:
        """The native trials of this level whose density is that of the carried tickets' source."""
        native = self._level(arm.task, arm.native, level)
        sources = {
            seed: self._manifest(arm.finder, trial).get("note", {}).get("source_density", math.nan)
            for seed, trial in trials.items()
            if seed in native
        }
        return {
            seed: native[seed]
            for seed, source in sources.items()
            if math.isclose(source, native[seed].density, rel_tol=PAIRED_DENSITY_TOLERANCE)
        }

    def _native(self, task: str, of: object) -> str:
        labels = (f for t, f in self.trials if t == task and self.settings.get(f) == of)
        return next(labels, "")

    def _level(self, task: str, finder: str, level: int) -> Trials:
        return self.trials.get((task, finder), {}).get(level, {})

    def _first(self, finder: str, levels: Mapping[int, Trials]) -> Mapping:
        """The manifest of the first ticket that is there."""
        every = (self._manifest(finder, t) for trials in levels.values() for t in trials.values())
        return next(filter(None, every), {})

    def _manifest(self, finder: str, trial: Trial) -> Mapping:
        return self.store.find_manifest(trial.ticket, finder, self.settings.get(finder)) or {}


def _unique_names(noted: Mapping[str, str], labels: Mapping[str, str]) -> dict[str, str]:
    """A name per task id: its label in the study, else that of the note, with its id if shared."""
    names = {id: labels.get(id, name) for id, name in noted.items()}
    shared = list(names.values())
    return {
        id: name if shared.count(name) == 1 or id in labels else f"{name} {id[:6]}"
        for id, name in names.items()
    }


def _result(cell: _Cell, record: StudyRecord, tests: CorrectedTests, index: int) -> TransferResult:
    arm, gap, margin = cell.arm, cell.gap, record.margin
    open_seeds = tests.more_seeds(gap, -margin, above=AS_GOOD, below=WORSE)
    settled = tests.settle(
        index,
        lambda verdict: _reason(cell, verdict, margin),
        lambda verdict: open_seeds if verdict == INCONCLUSIVE else 0.0,
    )
    return TransferResult(
        task=arm.task,
        finder=arm.finder,
        source=arm.source,
        carry=arm.carry,
        level=cell.level,
        density=density(cell.trials),
        accuracy=Interval.of(list(accuracies(cell.trials).values())),
        native=arm.native,
        native_accuracy=_mean(cell.native),
        dense_accuracy=_mean(arm.dense),
        gap=tests.interval(gap, AS_GOOD, WORSE),
        seeds=len(cell.trials),
        missing=tuple(s for s in record.seeds if s not in cell.trials or s not in cell.native),
        margin=margin,
        **vars(settled),
    )


def _mean(trials: Trials) -> Interval | None:
    return Interval.of(list(accuracies(trials).values())) if trials else None


def _reason(cell: _Cell, verdict: str, margin: float) -> str:
    """Why this verdict and no better one, in a few words."""
    points = f"{100 * margin:g}%"
    if verdict != INCONCLUSIVE:
        return {
            BETTER: f"gains more than {points}",
            AS_GOOD: f"loses less than {points}",
            WORSE: f"loses more than {points}",
        }[verdict]
    if not cell.arm.native:
        return "no finder of the study finds native tickets; add the one that is carried"
    if not cell.native:
        return f"{cell.arm.native} has no ticket as dense at this level"
    if cell.gap.count < 2:
        return f"{('no seed', 'one seed')[cell.gap.count]} in common with {cell.arm.native}"
    return "shown neither to keep the native accuracy nor to lose it"


def sparsest(results: Iterable[TransferResult]) -> dict[tuple[str, str], TransferResult]:
    """The result of each finder on each task, at the last level that all of them reached."""
    groups = group(results, lambda one: (one.task, one.finder))
    arms = {arm: {one.level: one for one in own} for arm, own in groups.items()}
    shared = set.intersection(*(set(arm) for arm in arms.values())) if arms else set()
    return {name: arm[max(shared)] for name, arm in arms.items() if shared}


def carry_labels(results: Sequence[TransferResult]) -> dict[str, str]:
    """A label for what each finder carries: its `carry`, if that is unique for each source.

    Otherwise the finder's own label, for example if heads or carried finders differ as well.
    """
    arms = {(one.task, one.source, one.finder): one.carry for one in results}
    places = [(task, source, carry) for (task, source, _), carry in arms.items()]
    unique = len(set(places)) == len(places)
    return {one.finder: one.carry if unique else one.finder for one in results}


def sentence(results: Sequence[TransferResult]) -> str:
    """What a study may claim of all carried tickets, in a few words."""
    parts = []
    names = {AS_GOOD: "as good as native", BETTER: "better than native"}
    for verdict in VERDICTS:
        if count := sum(one.verdict == verdict for one in results):
            name = names.get(verdict, verdict)
            parts.append(f"{name} in {count} of {len(results)} cells")
    text = f"Carried tickets are {'; '.join(parts)}."
    pairs = {one.gap.count if one.gap else 0 for one in results}
    if max(pairs) < 2:
        return f"{text} One seed cannot tell luck from merit; use --seeds=3 or more."
    lacking = sum(bool(one.missing) for one in results)
    return (
        f"{text} Gaps are paired over {span(pairs)} seeds, margin {100 * results[0].margin:g}%; p,"
        f" corrected over {results[0].claims} cells (Holm), decides."
        + (f" Seeds are missing in {lacking} of {len(results)} cells." if lacking else "")
    )
