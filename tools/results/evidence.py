"""Evidence: the comparisons of trials, in one study, that a paper's claim stands for."""

import math
from collections.abc import Callable, Mapping, Sequence

import numpy as np
from claims import A_ROUND, PERCENT, SPARSEST, TIMES, Arms, Fact, MissingError, Part
from scipy import stats

from ltx.analysis import comparison
from ltx.analysis.paired_tests import Paired
from ltx.evaluation.mode_connectivity import TOLERANCE

# Frankle & Carbin's densities of LeNet-300-100 in percent, after each of the first 12 rounds.
LADDER = (80.04, 64.06, 51.28, 41.05, 32.87, 26.32, 21.07, 16.88, 13.52, 10.83, 8.68, 6.95)
CHANCE = 0.1  # ten classes
EARLY = 0.35  # of a dense training; our bound, since papers give "very early" no number


def as_good(
    arms: Arms, ours: str, theirs: str = "", level: int = SPARSEST, at: int | None = None
) -> Part:
    """Not less accurate than another finder, or than dense, by more than the study's margin."""
    what = f"{ours} over {theirs or 'dense'}"
    return Part(what, arms.lead(ours, theirs, level, at), bound=-(arms.record.margin or 0.0))


def better(arms: Arms, ours: str, theirs: str, level: int = SPARSEST) -> Part:
    return Part(f"{ours} over {theirs}", arms.lead(ours, theirs, level))


def early(arms: Arms, finder: str, levels: Sequence[int] = (SPARSEST,)) -> list[Fact]:
    """Found with every seed at the cost of at most EARLY dense trainings."""
    costs = [arms.search(finder, level) for level in levels]
    if not all(costs):
        raise MissingError(f"{finder}: no dense training to compare its search with")
    return [
        Fact(
            f"{finder} found within {max(cost):.2f} of a dense training; asked {EARLY}",
            max(cost) <= EARLY,
        )
        for cost in costs
    ]


def by_seed(
    ours: Mapping[int, float], theirs: Mapping[int, float], of: Callable[[float, float], float]
) -> Paired:
    """A number for each seed that both have; seeds whose training has no curve are omitted."""
    both = sorted(ours.keys() & theirs.keys())
    values = [of(ours[seed], theirs[seed]) if theirs[seed] else math.nan for seed in both]
    return Paired(tuple(value for value in values if math.isfinite(value)))


def ladder(arms: Arms) -> list[Fact]:
    found = [
        100 * trial.density
        for level, _ in enumerate(LADDER, 1)
        for trial in arms.trials("imp", level).values()
    ]
    papers = np.repeat(LADDER, len(arms.record.seeds))
    off = float(np.abs(np.array(found) - papers).max())
    return [Fact(f"off by {off:.3f} points at most; asked at most 0.05", off <= 0.05)]


def sooner(arms: Arms) -> list[Part]:
    ticket, dense = arms.stops("imp", 7), arms.stops("imp", 0)
    values = by_seed(ticket, dense, lambda ours, theirs: 1 - ours / theirs)
    return [Part("early stop before dense's", values, claimed=0.38, unit=PERCENT)]


def slower(arms: Arms) -> list[Part]:
    fresh, ticket = arms.stops("reinit", 7), arms.stops("imp", 7)
    values = by_seed(fresh, ticket, lambda ours, theirs: ours / theirs - 1)
    return [Part("reinit's early stop over the ticket's", values, claimed=1.51, unit=TIMES)]


def winning(level: int) -> Callable[[Arms], list[Part]]:
    """Dense's accuracy in at most dense's time."""

    def parts(arms: Arms) -> list[Part]:
        ticket, dense = arms.stops("imp", level), arms.stops("imp", 0)
        in_time = by_seed(ticket, dense, lambda ours, theirs: 1 - ours / theirs)
        return [
            as_good(arms, "imp", level=level),
            Part("early stop before dense's", in_time, unit=PERCENT, reached=True),
        ]

    return parts


def widening(arms: Arms) -> list[Part]:
    """The slopes of straight lines through all rounds, one a seed, which are to be positive."""
    levels = [level for level in arms.levels("reinit") if level]
    leads, late = [], []
    dense = arms.stops("imp", 0)
    for level in levels:
        ours = comparison.values(arms.trials("imp", level))
        leads.append({seed: ours[seed] - theirs for seed, theirs in _fresh(arms, level).items()})
        late.append({seed: s / dense[seed] for seed, s in arms.stops("reinit", level).items()})
    return [
        Part("lead of imp over reinit", slopes(levels, leads), unit=A_ROUND),
        Part("reinit's early stop, of dense's", slopes(levels, late), unit=A_ROUND),
    ]


def slopes(levels: Sequence[int], values: Sequence[Mapping[int, float]]) -> Paired:
    lines = [[by_level[seed] for by_level in values] for seed in sorted(values[0])]
    return Paired(tuple(float(stats.linregress(levels, line).slope) for line in lines))


def _fresh(arms: Arms, level: int) -> dict[int, float]:
    return comparison.values(arms.trials("reinit", level))


def untrained(arms: Arms) -> list[Part]:
    accuracy = comparison.values(arms.trials("imp_untrained"))
    over = Paired(tuple(value - CHANCE for value in accuracy.values()))
    return [Part("imp_untrained over chance", over, claimed=0.86 - CHANCE)]


def channels(arms: Arms) -> list[Part | Fact]:
    return [
        as_good(arms, "early_bird", "scales_50", level=2, at=1),
        as_good(arms, "early_bird", "scales_30", level=3, at=1),
        *early(arms, "early_bird", levels=(2, 3)),
    ]


def pairs(arms: Arms, *names: tuple[str, str]) -> list[Part]:
    return [as_good(arms, ours, theirs) for ours, theirs in names]


def all_better(arms: Arms, ours: Sequence[str], theirs: Sequence[str]) -> list[Part]:
    return [better(arms, one, other) for one in ours for other in theirs]


def of_other_sources(arms: Arms) -> list[Part]:
    """Carried tickets over native ones: by seed, the mean over all pairs of two different tasks.

    Native are those that are carried from the target to itself, which have the same head.
    """
    tasks = arms.record.tasks
    leads = [
        arms.lead(carried(source), carried(target), task=target)
        for target in tasks
        for source in tasks
        if source != target
    ]
    values = Paired(tuple(float(v) for v in np.mean([lead.values for lead in leads], axis=0)))
    return [Part(f"mean of {len(leads)} pairs", values, bound=-(arms.record.margin or 0.0))]


def of_the_larger(arms: Arms, small: str) -> list[Part]:
    """On each large data set, tickets of the other large ones over those of the small one."""
    large = [task for task in arms.record.tasks if task != small]
    return [
        Part(
            f"{other} over {small} on {target}",
            arms.lead(carried(other), carried(small), task=target),
        )
        for target in large
        for other in large
        if other != target
    ]


def carried(source: str) -> str:
    return f"from {source} rewind"


def stable(arms: Arms, finder: str) -> list[Part]:
    """The error barrier between two copies lies below the tolerance."""
    found = arms.compared(finder, "ticket")
    below = Paired(tuple(TOLERANCE - one.barrier.height for one in found.values()))
    return [Part(f"{100 * TOLERANCE:g} points less the barrier of {finder}", below)]


def closer(arms: Arms, finder: str, later: str) -> list[Part]:
    """Copies from a later step end closer together, relative to copies from step 0."""
    first, last = arms.compared(finder, "ticket"), arms.compared(finder, later)
    before, after = (
        {seed: one.to_order.distance for seed, one in found.items()} for found in (first, last)
    )
    values = by_seed(after, before, lambda ours, theirs: 1 - ours / theirs)
    return [Part(f"{finder}'s copies from {later}, nearer by", values, unit=PERCENT)]
