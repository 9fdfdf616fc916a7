"""Mask overlap: how much two masks share, and how much random masks would."""

import dataclasses
import itertools
from collections.abc import Mapping, Sequence

import numpy as np

Bits = Mapping[str, np.ndarray]


@dataclasses.dataclass(frozen=True)
class Overlap:
    """Means over `pairs` of masks, and over random masks with the same counts in each layer.

    `shared` is the number of weights that both masks keep over the mean number that one keeps;
    `jaccard` is intersection over union. `chance_shared` and `chance_jaccard` are their expected
    values for random masks, `chance_spread` the standard deviation of `shared` of one random pair.
    """

    pairs: int
    shared: float
    chance_shared: float
    chance_spread: float
    jaccard: float
    chance_jaccard: float


def chance(size: np.ndarray, one: np.ndarray, other: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean and variance of the number of weights that two random masks both keep (hypergeometric).

    They keep `one` and `other` of `size` weights; int64 arrays.
    """
    mean = one * other / np.maximum(size, 1)
    # The denominator is 0 only where nothing can vary.
    variance = mean * (size - one) * (size - other) / np.maximum(size * (size - 1), 1)
    return mean, variance


def among(masks: Sequence[Bits], sizes: Mapping[str, int]) -> dict[str, Overlap]:
    """The overlaps of every two of these packed masks, by layer; in total under ""."""
    first, second = np.array(list(itertools.combinations(range(len(masks)), 2))).T
    counts = {}
    for name, size in sizes.items():
        rows = _words([mask[name] for mask in masks])
        kept = _ones(rows)
        both = np.concatenate([_ones(rows[n + 1 :] & rows[n]) for n in range(len(rows) - 1)])
        counts[name] = np.stack([np.full(len(both), size), kept[first], kept[second], both])
    return _overlaps(counts)


def between(
    ones: Sequence[Bits], others: Sequence[Bits], sizes: Mapping[str, int]
) -> dict[str, Overlap]:
    """The overlaps of each of these packed masks with that of the same index in `others`."""
    counts = {}
    for name, size in sizes.items():
        one, other = (_words([mask[name] for mask in masks]) for masks in (ones, others))
        both = _ones(one & other)
        counts[name] = np.stack([np.full(len(both), size), _ones(one), _ones(other), both])
    return _overlaps(counts)


def _words(packed: Sequence[np.ndarray]) -> np.ndarray:
    """Packed masks of one shape as rows of 64-bit words, padded with zeros."""
    rows = np.zeros((len(packed), -(-len(packed[0]) // 8) * 8), np.uint8)
    rows[:, : len(packed[0])] = packed
    return rows.view(np.uint64)


def _ones(rows: np.ndarray) -> np.ndarray:
    return np.bitwise_count(rows).sum(axis=1, dtype=np.int64)


def _overlaps(counts: Mapping[str, np.ndarray]) -> dict[str, Overlap]:
    """From int64 [4, pairs] for each layer: size, kept by the first, by the second, by both."""
    means, variances, overlaps = [], [], {}
    for name, layer in counts.items():
        mean, variance = chance(*layer[:3])
        means.append(mean)
        variances.append(variance)
        overlaps[name] = _overlap(layer, mean, variance)
    total = np.sum(list(counts.values()), axis=0)
    return {**overlaps, "": _overlap(total, np.sum(means, axis=0), np.sum(variances, axis=0))}


def _overlap(counts: np.ndarray, mean: np.ndarray, variance: np.ndarray) -> Overlap:
    _, one, other, both = counts
    kept = one + other
    # Two masks that keep nothing are equal: their overlap is 1.
    halves, either, expected = (np.maximum(n, 1) for n in (kept, kept - both, kept - mean))
    none = kept == 0
    return Overlap(
        pairs=len(both),
        shared=float(np.mean(2 * both / halves + none)),
        chance_shared=float(np.mean(2 * mean / halves + none)),
        chance_spread=float(np.mean(2 * np.sqrt(variance) / halves)),
        jaccard=float(np.mean(both / either + none)),
        chance_jaccard=float(np.mean(mean / expected + none)),
    )
