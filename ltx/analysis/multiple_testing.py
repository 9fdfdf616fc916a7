"""Multiple testing: the claims of all cells of a study, each claim corrected over the cells."""

import dataclasses
from collections.abc import Callable, Iterable, Mapping, Sequence

from ltx.analysis.paired_tests import ALPHA, Interval, Paired, holm

INCONCLUSIVE = "inconclusive"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Settled:
    """What is shown of one cell, and why.

    `verdict` is the claim that is shown, INCONCLUSIVE if none is, "" for a cell without tests.
    `p` holds the p-value of each claim, corrected over `claims` cells. `more_seeds` would settle
    what is open: 0 where nothing is, infinity where more than 100 are needed or the effect points
    the other way, NaN where there are too few seeds to estimate it.
    """

    verdict: str
    reason: str
    more_seeds: float
    p: dict[str, float]
    claims: int

    @property
    def decisive_p(self) -> float | None:
        """The p of the verdict; the smallest where nothing is shown, None without tests."""
        return self.p.get(self.verdict, min(self.p.values(), default=None))


@dataclasses.dataclass(frozen=True)
class CorrectedTests:
    """Corrected p-values, {claim: one per cell}, and the threshold each plain p had to meet."""

    p: Mapping[str, Sequence[float]]
    thresholds: Mapping[str, float]
    cells: int

    @classmethod
    def of(cls, plain: Mapping[str, Sequence[float]]) -> "CorrectedTests":
        """Correct by Holm the p-values of each claim by itself; all claims have the same cells.

        The order of the claims is that of preference: `settle` takes the first that is shown.
        """
        corrected = {claim: holm(p) for claim, p in plain.items()}
        return cls(
            {claim: p for claim, (p, _) in corrected.items()},
            {claim: threshold for claim, (_, threshold) in corrected.items()},
            max(map(len, plain.values()), default=0),
        )

    def settle(
        self, cell: int, reason: Callable[[str], str], more_seeds: Callable[[str], float]
    ) -> Settled:
        """The outcome of the cell of this index; `reason` and `more_seeds` are of its verdict."""
        p = {claim: values[cell] for claim, values in self.p.items()}
        verdict = first_shown(p, [*p, INCONCLUSIVE])
        return Settled(
            verdict=verdict,
            reason=reason(verdict),
            more_seeds=more_seeds(verdict),
            p=p,
            claims=self.cells,
        )

    def untested(self) -> Settled:
        """The outcome of a cell about which nothing is claimed, as the dense network."""
        return Settled(verdict="", reason="", more_seeds=0.0, p={}, claims=self.cells)

    def interval(self, paired: Paired, lower: str, upper: str) -> Interval | None:
        """The interval whose ends decide these claims; None where no seed has both arms."""
        if not paired.count:
            return None
        return paired.interval(self.thresholds[lower], self.thresholds[upper])

    def more_seeds(self, paired: Paired, bound: float, above: str, below: str) -> float:
        """How many more would show one of two claims, on the side where the mean lies now."""
        if paired.mean < bound:
            needed = paired.seeds_below(bound, self.thresholds[below])
        else:
            needed = paired.seeds_above(bound, self.thresholds[above])
        return max(needed - paired.count, 1.0)


def first_shown(p: Mapping[str, float], claims: Sequence[str]) -> str:
    """The first claim with p of at most ALPHA, or else the last, which claims nothing."""
    return next((claim for claim in claims if p.get(claim, 1.0) <= ALPHA), claims[-1])


def span(counts: Iterable[int]) -> str:
    """The least and the greatest, as in "3 to 5"; one number where they are the same."""
    ordered = sorted(counts)
    return " to ".join(map(str, dict.fromkeys((ordered[0], ordered[-1]))))
