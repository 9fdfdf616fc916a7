"""Claims of papers, and the rule by which the trials of a study decide on them.

All tests are one-sided and paired by seed (ltx/analysis/paired_tests.py). A claim of several parts
is shown where all of them are, so its p-value is the largest of theirs; it is refuted where one of
them is, so its p-value is the smallest of theirs times their number. The p-values of each verdict
are corrected by Holm over all claims of a page.
"""

import dataclasses
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ltx.analysis import comparison
from ltx.analysis.grouping import by_finder
from ltx.analysis.paired_tests import ALPHA, MOST, Paired, holm
from ltx.evaluation.trial import Trial
from ltx.study.record import StudyRecord

# The share of the paper's number above which an effect counts as reproduced.
SHARE = 0.5
REPRODUCED, DIRECTION, NOT_REPRODUCED = "reproduced", "in direction only", "not reproduced"
OPEN, MISSING, UNTESTABLE = "open", "missing", "not testable here"
WORDS = (REPRODUCED, DIRECTION, NOT_REPRODUCED, OPEN, MISSING, UNTESTABLE)
SPARSEST = -1
POINTS, PERCENT, TIMES, A_ROUND = "points", "%", "times", "points a round"


class MissingError(LookupError):
    """A study lacks trials that a claim needs."""


@dataclasses.dataclass(frozen=True)
class Part:
    """One comparison: values by seed, positive where the paper is right, and a bound on their mean.

    With `claimed`, the paper's number in the values' own unit, the mean must be shown above SHARE
    of it; without, above `bound`. With `reached` the bound itself suffices. Values are shares of 1,
    shown in `unit`; those of TIMES are ratios less 1.
    """

    what: str
    values: Paired
    bound: float = 0.0
    claimed: float | None = None
    unit: str = POINTS
    reached: bool = False

    @property
    def size(self) -> float:
        return self.bound if self.claimed is None else SHARE * self.claimed

    @property
    def shown(self) -> float:
        """p of "the effect is smaller than the claim asks"."""
        return self._above(self.size)

    @property
    def direction(self) -> float:
        """p of "there is no effect in the claimed direction"."""
        return self._above(self.bound)

    @property
    def refuted(self) -> float:
        """p of "the effect is at least as large as the claim asks"."""
        return self.values.below(self.size)

    def _above(self, bound: float) -> float:
        return self.values.turned.at_most(-bound) if self.reached else self.values.above(bound)


@dataclasses.dataclass(frozen=True)
class Fact:
    """A statement that is counted exactly and needs no test."""

    what: str
    holds: bool


class Arms:
    """A study's trials by task, finder and level."""

    def __init__(self, record: StudyRecord) -> None:
        self.record = record
        self._arms = by_finder(record.rows)

    def trials(self, finder: str, level: int = SPARSEST, task: str = "") -> Mapping[int, Trial]:
        """The trials of all seeds at a level, SPARSEST for the last; by default of the first task.

        Raises MissingError if a seed of the study has none.
        """
        there = self._there(finder, level, task)
        if lacking := set(self.record.seeds) - there.keys():
            raise MissingError(f"{finder}, level {level}: no trial of {len(lacking)} seeds")
        return there

    def _there(self, finder: str, level: int, task: str) -> Mapping[int, Trial]:
        arm = self._arms.get((task or self.record.tasks[0], finder), {})
        return arm.get(max(arm, default=0) if level == SPARSEST else level, {})

    def levels(self, finder: str) -> list[int]:
        return sorted(self._arms.get((self.record.tasks[0], finder), {}))

    def lead(
        self,
        ours: str,
        theirs: str = "",
        level: int = SPARSEST,
        at: int | None = None,
        task: str = "",
    ) -> Paired:
        """Accuracy over dense's, or over another finder's at level `at`, or at the same level."""
        other = (theirs, level if at is None else at) if theirs else (ours, 0)
        them = self.trials(*other, task)
        return Paired.of(comparison.values(self.trials(ours, level, task)), comparison.values(them))

    def stops(self, finder: str, level: int) -> dict[int, float]:
        return comparison.early_stops(self.trials(finder, level))

    def compared(self, finder: str, at: str) -> dict[int, Any]:
        """The instability of each seed's sparsest ticket, of copies that start from `at`.

        Raises MissingError if a seed has none.
        """
        last = max(self.levels(finder), default=0)
        found = {
            one.seed: one.instability
            for one in self.record.compared
            if (one.finder, one.instability.level, one.instability.at) == (finder, last, at)
        }
        if lacking := set(self.record.seeds) - found.keys():
            raise MissingError(f"{finder} at {at}: no copies of {len(lacking)} seeds were compared")
        return found

    def search(self, finder: str, level: int = SPARSEST, task: str = "") -> list[float]:
        """The cost of finding, in dense trainings, of the seeds that have both trials."""
        dense, found = self._there(finder, 0, task), self._there(finder, level, task)
        return [
            found[seed].found_for.dense_flops / whole
            for seed in sorted(found.keys() & dense.keys())
            if (whole := dense[seed].trained_for.dense_flops)
        ]


@dataclasses.dataclass(frozen=True)
class Claim:
    """A statement of a paper, its source, and the comparisons that test it.

    `here` says how our test differs from the paper's. Without `parts` the claim is not testable
    here, and `here` says why.
    """

    text: str
    source: str
    parts: Callable[[Arms], Sequence[Part | Fact]] | None = None
    here: str = ""


@dataclasses.dataclass(frozen=True)
class Judged:
    """The verdict on a claim, a word of WORDS.

    `p` is its corrected p-value, or the smallest one where nothing is shown. `more` is how many
    more seeds may settle an open claim: infinity where more than 100 would be needed, NaN where
    the seeds are too few to estimate it.
    """

    claim: Claim
    word: str
    parts: tuple[Part, ...] = ()
    facts: tuple[Fact, ...] = ()
    p: float = math.nan
    more: float = 0.0
    reason: str = ""


def judge(claims: Sequence[tuple[Claim, Arms | None]]) -> list[Judged]:
    """The verdict on each claim, all corrected for one another; None for a study not run."""
    opened = [_open(claim, arms) for claim, arms in claims]
    tested = [one for one in opened if one.word == OPEN and one.parts]
    sized = [one for one in tested if any(part.claimed is not None for part in one.parts)]
    tests = {REPRODUCED: _shown, DIRECTION: _direction, NOT_REPRODUCED: _refuted}
    p: dict[int, dict[str, float]] = {id(one): {} for one in tested}
    levels = {}
    for word, test in tests.items():
        many = sized if word == DIRECTION else tested
        corrected, levels[word] = holm([test(one) for one in many])
        for one, value in zip(many, corrected, strict=True):
            p[id(one)][word] = value
    return [_word(one, p.get(id(one), {}), levels) for one in opened]


def _open(claim: Claim, arms: Arms | None) -> Judged:
    if claim.parts is None:
        return Judged(claim, UNTESTABLE, reason=claim.here)
    if arms is None:
        return Judged(claim, MISSING, reason="not run")
    if not arms.record.finished:
        return Judged(claim, MISSING, reason="the study is not finished")
    try:
        found = claim.parts(arms)
    except MissingError as error:
        return Judged(claim, MISSING, reason=str(error))
    parts = tuple(one for one in found if isinstance(one, Part))
    facts = tuple(one for one in found if isinstance(one, Fact))
    return Judged(claim, OPEN, parts, facts)


def _word(one: Judged, p: Mapping[str, float], levels: Mapping[str, float]) -> Judged:
    if one.word != OPEN:
        return one
    if not all(fact.holds for fact in one.facts):
        return dataclasses.replace(one, word=NOT_REPRODUCED)
    if not one.parts:
        return dataclasses.replace(one, word=REPRODUCED)
    for word in (REPRODUCED, DIRECTION, NOT_REPRODUCED):
        if p.get(word, 1.0) <= ALPHA:
            return dataclasses.replace(one, word=word, p=p[word])
    return dataclasses.replace(one, p=min(p.values()), more=_more(one, levels))


def _shown(one: Judged) -> float:
    return max(part.shown for part in one.parts)


def _direction(one: Judged) -> float:
    return max(part.direction for part in one.parts)


def _refuted(one: Judged) -> float:
    return min(1.0, len(one.parts) * min(part.refuted for part in one.parts))


def _more(one: Judged, levels: Mapping[str, float]) -> float:
    """More seeds that show the claim if all parts point that way, or else refute one of them."""
    away = [part for part in one.parts if part.values.mean < part.size]
    if away:
        level = levels[NOT_REPRODUCED] / len(one.parts)
        needs = min(p.values.seeds_below(p.size, level) - p.values.count for p in away)
    else:
        level = levels[REPRODUCED]
        unsure = [part for part in one.parts if part.shown > level]
        needs = max(p.values.seeds_above(p.size, level) - p.values.count for p in unsure)
    return needs if math.isnan(needs) or needs > MOST else max(needs, 1.0)
