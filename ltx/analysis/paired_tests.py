"""Paired tests: differences between two arms by seed, intervals, p-values and sample sizes."""

import dataclasses
import functools
import math
from collections.abc import Mapping, Sequence

import numpy as np
from scipy import special

CONFIDENCE = 0.95
ALPHA = 0.05  # probability of a false claim in a whole study
POWER = 0.8
MOST = 100  # seeds: an effect that needs more is treated as absent
ROUNDING = 1e-9  # relative: a smaller spread is due to floating point, not to the seeds


@dataclasses.dataclass(frozen=True)
class Interval:
    """A mean over `count` seeds and its t-interval; ends are NaN if the spread is unknown."""

    mean: float
    low: float
    high: float
    count: int = 0

    @classmethod
    def of(cls, values: Sequence[float]) -> "Interval":
        """The 95% interval of the mean of these values; NaN among them are omitted."""
        known = [v for v in values if math.isfinite(v)]
        if not known:
            return cls(math.nan, math.nan, math.nan)
        mean = float(np.mean(known))
        if len(known) < 2:
            return cls(mean, math.nan, math.nan, len(known))
        reach = _reach(known, (1 - CONFIDENCE) / 2)
        return cls(mean, mean - reach, mean + reach, len(known))

    @property
    def reach(self) -> float:
        return (self.high - self.low) / 2


@dataclasses.dataclass(frozen=True)
class Paired:
    """Differences, ours less theirs, for each seed that both have: the seed's effect cancels.

    A claim on the mean is tested by the one-sided paired t-test. If all differences are the same
    there is no spread to estimate (accuracies are counts, and early stops come in steps of
    `eval_every`, so this happens by chance), and the sign test is used: n seeds on one side of the
    bound have p = 1/2^n.
    """

    values: tuple[float, ...]

    @classmethod
    def of(cls, ours: Mapping[int, float], theirs: Mapping[int, float]) -> "Paired":
        both = sorted(ours.keys() & theirs.keys())
        differences = (ours[seed] - theirs[seed] for seed in both)
        return cls(tuple(float(d) for d in differences if math.isfinite(d)))

    @property
    def count(self) -> int:
        return len(self.values)

    @property
    def mean(self) -> float:
        return float(np.mean(self.values)) if self.values else math.nan

    @property
    def tied(self) -> bool:
        """Whether several seeds differ by one and the same amount."""
        return self.count > 1 and bool(_tied(np.array(self.values)))

    def above(self, bound: float) -> float:
        """p of "the mean is at most `bound`": small if it is shown to be above."""
        return float(above(np.array(self.values), bound))

    def below(self, bound: float) -> float:
        """p of "the mean is at least `bound`"."""
        return self.turned.above(-bound)

    def at_most(self, bound: float) -> float:
        """p of "the mean is above `bound`"; unlike in `below`, all values may lie on the bound."""
        return float(at_most(np.array(self.values), bound))

    def interval(self, lower: float, upper: float) -> Interval:
        """The interval whose ends exclude a bound exactly if p is at most these levels."""
        ends = [math.nan, math.nan]
        if self.tied:
            ends = [self.mean if 0.5**self.count <= level else math.nan for level in (lower, upper)]
        elif self.count > 1:
            ends = [self.mean - _reach(self.values, lower), self.mean + _reach(self.values, upper)]
        return Interval(self.mean, ends[0], ends[1], self.count)

    def seeds_above(self, bound: float, level: float) -> float:
        """How many seeds in all would show, with 80% power, that the mean is above `bound`.

        Mean and spread are taken from the seeds at hand: with few of them it is a rough guess.
        Infinity if 100 would not suffice or the mean is on the wrong side, NaN with one seed.
        """
        if self.count < 2:
            return math.nan
        if self.mean <= bound:
            return math.inf
        if self.tied:
            return math.ceil(-math.log2(level))
        effect = (self.mean - bound) / float(np.std(self.values, ddof=1))
        enough = np.flatnonzero(_power(effect, level) >= POWER)
        return float(SEEDS[enough[0]]) if len(enough) else math.inf

    def seeds_below(self, bound: float, level: float) -> float:
        return self.turned.seeds_above(-bound, level)

    @property
    def turned(self) -> "Paired":
        """Theirs less ours."""
        return Paired(tuple(-v for v in self.values))


def above(values: np.ndarray, bound: float) -> np.ndarray:
    """p of "the mean over the last axis is at most `bound`", for many samples at once."""
    count = values.shape[-1]
    if count < 2:
        return np.ones(values.shape[:-1])
    distance = values.mean(axis=-1) - bound
    error = values.std(axis=-1, ddof=1) / math.sqrt(count)
    tied = _tied(values)
    student = special.stdtr(count - 1, -distance / np.where(tied, 1, error))
    beyond = distance > ROUNDING * max(1, abs(bound))
    return np.where(tied, np.where(beyond, 0.5**count, 1), student)


def at_most(values: np.ndarray, bound: float) -> np.ndarray:
    """p of "the mean over the last axis is above `bound`"; all values may lie on the bound."""
    kept = values.shape[-1] > 1 and _tied(values) & (values.mean(axis=-1) <= bound)
    return np.where(kept, 0.5 ** values.shape[-1], above(-values, -bound))


def _tied(values: np.ndarray) -> np.ndarray:
    return np.ptp(values, axis=-1) < ROUNDING * np.maximum(1, np.abs(values).max(axis=-1))


SEEDS = np.arange(2, MOST + 1)


def holm(p: Sequence[float]) -> tuple[list[float], float]:
    """The p-values corrected for one another, and the threshold that each plain one had to meet.

    Holm's procedure keeps the probability of even one false claim among them at 5%, however they
    depend on one another; and they do: all levels of a finder share its seeds and its dense
    network. A corrected p is at most 5% exactly if the plain one is at most the threshold.
    Reference: Holm (1979), A simple sequentially rejective multiple test procedure.
    """
    count = len(p)
    if not count:
        return [], ALPHA
    # In numpy: statsmodels' multipletests gives the same, but collects all garbage at every call.
    plain = np.asarray(p)
    order = np.argsort(plain)
    remaining = np.arange(count, 0, -1)
    corrected = np.empty(count)
    corrected[order] = np.minimum(np.maximum.accumulate(plain[order] * remaining), 1)
    not_shown = np.flatnonzero(plain[order] > ALPHA / remaining)
    shown = not_shown[0] if len(not_shown) else count
    return corrected.tolist(), ALPHA / max(count - int(shown), 1)


@functools.lru_cache(maxsize=1024)
def _power(effect: float, level: float) -> np.ndarray:
    """The power of the paired t-test with each of SEEDS, for a mean of `effect` deviations."""
    from statsmodels.stats.power import TTestPower

    # For far larger effects SciPy takes seconds, and the power is 1 with hardly any seed.
    effect = min(effect, 1000.0)
    return np.nan_to_num(TTestPower().power(effect, SEEDS, level, alternative="larger"))


def _reach(values: Sequence[float], level: float) -> float:
    error = float(np.std(values, ddof=1)) / math.sqrt(len(values))
    return error * float(-special.stdtrit(len(values) - 1, level))
