"""Words: what a study says of its cells, each word's p-values corrected for one another."""

import dataclasses
from collections.abc import Iterable, Mapping, Sequence

from ltx.analysis.paired_tests import ALPHA, Interval, Paired, holm


@dataclasses.dataclass(frozen=True)
class CorrectedTests:
    """The corrected p of each word for each cell, by place, and the level that it had to meet."""

    p: Mapping[str, Sequence[float]]
    levels: Mapping[str, float]
    cells: int

    @classmethod
    def of(cls, plain: Mapping[str, Sequence[float]]) -> "CorrectedTests":
        """Correct the p-values of each word by Holm; all have as many, one for each cell."""
        corrected = {word: holm(p) for word, p in plain.items()}
        return cls(
            {word: p for word, (p, _) in corrected.items()},
            {word: level for word, (_, level) in corrected.items()},
            max(map(len, plain.values()), default=0),
        )

    def at(self, place: int) -> dict[str, float]:
        """The corrected p of each word for the cell at this place."""
        return {word: p[place] for word, p in self.p.items()}

    def interval(self, paired: Paired, lower: str, upper: str) -> Interval | None:
        """The interval whose ends decide these words; None where no seed has both arms."""
        if not paired.count:
            return None
        return paired.interval(self.levels[lower], self.levels[upper])

    def more_seeds(self, paired: Paired, bound: float, above: str, below: str) -> float:
        """How many more would show one of two words, on whichever side the mean now lies."""
        if paired.mean < bound:
            needs = paired.seeds_below(bound, self.levels[below])
        else:
            needs = paired.seeds_above(bound, self.levels[above])
        return max(needs - paired.count, 1.0)


def first_shown(p: Mapping[str, float], words: Sequence[str]) -> str:
    """The first of the words that is shown, or else the last, which claims nothing."""
    return next((word for word in words if p.get(word, 1.0) <= ALPHA), words[-1])


def span(counts: Iterable[int]) -> str:
    """The least and the greatest, as in "3 to 5"; one number where they are the same."""
    ordered = sorted(counts)
    return " to ".join(map(str, dict.fromkeys((ordered[0], ordered[-1]))))
