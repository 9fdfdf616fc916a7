"""Transfer: how tickets carried to a task compare with tickets found there, source by source.

The note of a carried ticket says where it comes from: `source` and `source_task`, its density there
(`source_density`), what was carried (`carry`), under which `head` and `stem`, and the settings of
its finder (`of`). Native are the tickets of the same finder `of` on the target itself, at the same
level.

Both sides have the same head, which makes the outputs, and stem, which reads the inputs. Where
carried tickets get a new one, dense or random, native are the target's own tickets under the same:
what the study carries whole (by "rewind") from the target to itself. In a study without those, and
where both are carried too, they are the tickets as they were found. In every case the densities of
the two whole networks must agree, to within 5 % under a new head or stem and else 2 %. The tickets
that are native themselves have no gap.

The gap is by how much the carried tickets' test metric, such as their accuracy, is better than that
of the native ones, paired by seed. Three claims can be shown of it:

- better: more than the margin above native;
- as good: shown to lose less than the margin (the lower of the two one-sided tests of equivalence,
  as in ltx/analysis/verdict.py: the upper would count against a carried ticket that it is better);
- worse: more than the margin below native.

Inconclusive is what is none of these. For each claim the p-values of all cells, every target,
source, carry and level of the study, are corrected for one another by Holm, and the corrected p
decides: a p of at most 5% is shown.
"""

import dataclasses
from collections.abc import Iterable, Sequence

from ltx.analysis.carried_trials import CarriedTrials, Cell
from ltx.analysis.comparison import density, margin_of, metric_of, values
from ltx.analysis.grouping import Trials, group
from ltx.analysis.multiple_testing import INCONCLUSIVE, CorrectedTests, Settled, span
from ltx.analysis.paired_tests import Interval
from ltx.core.objectives.metric import ACCURACY, Metric
from ltx.store.store import Store
from ltx.study.record import StudyRecord

BETTER, AS_GOOD, WORSE = "better", "as good", "worse"
VERDICTS = (BETTER, AS_GOOD, WORSE, INCONCLUSIVE)


@dataclasses.dataclass(frozen=True, kw_only=True)
class TransferResult(Settled):
    """All seeds of one level of what `finder` carried to `task`, compared with native tickets.

    `native` is the label of the native finder, "" where the study has none, and `native_head` the
    new head that native tickets have as the carried ones, "" where they keep their own; so has
    `native_stem` the new stem. Values of the metric are means with their own 95% intervals, on the
    test split; None where there is no
    trial. `native_density` is None there. `gap` has the corrected interval whose ends decide "as
    good" and "worse"; None where no seed has both. `missing` are the seeds of the study that lack
    the carried trial or the native one.
    """

    task: str
    finder: str
    source: str
    carry: str
    level: int
    density: float
    value: Interval
    native: str
    native_head: str
    native_density: float | None
    native_value: Interval | None
    dense_value: Interval | None
    gap: Interval | None
    seeds: int
    missing: tuple[int, ...]
    margin: float
    native_stem: str = ""
    metric: Metric = ACCURACY

    @property
    def renewed(self) -> str:
        """The new layers of both sides in words, as in "fresh head and random stem"; or ""."""
        return in_words(self.native_head, self.native_stem)


def in_words(head: str, stem: str) -> str:
    """New layers in words, "" without any."""
    parts = (f"{how} {place}" for how, place in ((head, "head"), (stem, "stem")) if how)
    return " and ".join(parts)


def transfer_results(record: StudyRecord, store: Store) -> list[TransferResult]:
    """Every level but the dense one of all carried tickets, by target, source, finder and level.

    Tickets that are missing from the store are omitted, since only their notes say that they were
    carried; `StudyRecord.gaps` lists the trials that are missing.
    """
    trials = CarriedTrials(record, store)
    cells = [cell for arm in trials.arms() for cell in trials.cells(arm)]
    margins = [
        margin_of(record.margin, cell.arm.dense or cell.native or cell.trials) for cell in cells
    ]
    pairs = list(zip(cells, margins, strict=True))
    tests = CorrectedTests.of(
        {
            BETTER: [cell.gap.above(margin) for cell, margin in pairs],
            AS_GOOD: [cell.gap.above(-margin) for cell, margin in pairs],
            WORSE: [cell.gap.below(-margin) for cell, margin in pairs],
        }
    )
    return [_result(*pair, record, tests, index) for index, pair in enumerate(pairs)]


def _result(
    cell: Cell, margin: float, record: StudyRecord, tests: CorrectedTests, index: int
) -> TransferResult:
    arm, gap = cell.arm, cell.gap
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
        value=Interval.of(list(values(cell.trials).values())),
        native=arm.native,
        native_head=arm.head,
        native_density=density(cell.paired) if cell.paired else None,
        native_value=_mean(cell.paired),
        dense_value=_mean(arm.dense),
        gap=tests.interval(gap, AS_GOOD, WORSE),
        seeds=len(cell.trials),
        missing=tuple(s for s in record.seeds if s not in cell.trials or s not in cell.paired),
        margin=margin,
        native_stem=arm.stem,
        metric=metric_of(cell.trials),
        **vars(settled),
    )


def _mean(trials: Trials) -> Interval | None:
    return Interval.of(list(values(trials).values())) if trials else None


def _reason(cell: Cell, verdict: str, margin: float) -> str:
    """Why this verdict and no better one, in a few words."""
    metric = metric_of(cell.trials)
    points = metric.amount(margin)
    if verdict != INCONCLUSIVE:
        return {
            BETTER: f"gains more than {points}",
            AS_GOOD: f"loses less than {points}",
            WORSE: f"loses more than {points}",
        }[verdict]
    if not cell.arm.native:
        return "no finder of the study finds native tickets; add the one that is carried"
    if cell.arm.is_native:
        return (
            f"the target's own tickets under a {in_words(cell.arm.head, cell.arm.stem)}, which"
            " others are compared with"
        )
    if not cell.paired:
        return _unpaired(cell)
    if cell.gap.count < 2:
        return f"{('no seed', 'one seed')[cell.gap.count]} in common with {cell.arm.native}"
    return f"shown neither to keep the native {metric.name} nor to lose it"


def _unpaired(cell: Cell) -> str:
    """Why no native ticket of this level is compared, and what to do."""
    native = cell.arm.native
    if not cell.native:
        return f"{native} has no ticket at this level"
    apart = f"{density(cell.trials):.2%} dense here, {density(cell.native):.2%} in {native}"
    if cell.arm.is_renewed:
        return apart
    return f"{apart}; add a transfer from the target to itself under the same head and stem"


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
    margins = dict.fromkeys(one.metric.amount(one.margin) for one in results)
    if renewed := sorted({one.renewed for one in results if one.renewed}):
        text += f" Native tickets are under the same {' or '.join(renewed)}."
    return (
        f"{text} Gaps are paired over {span(pairs)} seeds, margin {' or '.join(margins)}; p,"
        f" corrected over {results[0].claims} cells (Holm), decides."
        + (f" Seeds are missing in {lacking} of {len(results)} cells." if lacking else "")
    )
