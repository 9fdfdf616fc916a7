"""Select the lowest of many values, in exact counts and little memory."""

from collections.abc import Mapping

import numpy as np


def prune_lowest(
    scores: Mapping[str, np.ndarray], mask: Mapping[str, np.ndarray], count: int
) -> dict[str, np.ndarray]:
    """The masks without the `count` lowest-scored survivors of all tensors together.

    Ties are broken in a fixed pseudo-random order, which favours no layer and no part of a layer
    and is the same on every machine. Besides the new masks it needs the memory of the survivors'
    scores, none of which may be NaN.
    """
    if count == 0:
        return dict(mask)
    values = _survivors(scores, mask)
    total = values.size
    values.partition(count - 1)
    threshold = values[count - 1]
    del values
    # In C order, whatever that of the scores, so that ties can be dropped in place.
    left = {name: np.greater_equal(scores[name], threshold, order="C") for name in mask}
    for name, keep in mask.items():
        left[name] &= keep
    missing = count - total + sum(int(np.count_nonzero(keep)) for keep in left.values())
    _drop_ties(scores, left, threshold, missing)
    return left


def _survivors(scores: Mapping[str, np.ndarray], mask: Mapping[str, np.ndarray]) -> np.ndarray:
    """The scores of all survivors in one array, without an intermediate copy."""
    sizes = {name: int(np.count_nonzero(keep)) for name, keep in mask.items()}
    dtype = np.result_type(*(scores[name].dtype for name in mask))
    values, start = np.empty(sum(sizes.values()), dtype), 0
    for name, size in sizes.items():
        part = values[start : start + size]
        if size == mask[name].size:
            part.reshape(mask[name].shape)[...] = scores[name]
        elif scores[name].dtype == dtype:
            np.compress(mask[name].reshape(-1), scores[name].reshape(-1), out=part)
        else:
            part[:] = scores[name][mask[name]]
        start += size
    return values


def _drop_ties(
    scores: Mapping[str, np.ndarray],
    left: dict[str, np.ndarray],
    threshold: np.generic,
    missing: int,
) -> None:
    """Remove `missing` of the survivors whose score equals the threshold from `left`, in place."""
    counts = {
        name: int(np.count_nonzero((scores[name] == threshold) & keep))
        for name, keep in left.items()
    }
    small = sum(keep.size for keep in left.values()) < 2**31
    ties = np.empty(sum(counts.values()), np.int32 if small else np.int64)
    start = filled = 0
    for name, keep in left.items():
        if counts[name]:
            here = np.flatnonzero((scores[name] == threshold) & keep)
            here += start
            ties[filled : filled + here.size] = here
            filled += here.size
        start += keep.size
    if missing < ties.size:
        np.random.default_rng(ties.size).shuffle(ties)
        ties = ties[:missing]
        ties.sort()
    start = 0
    for keep in left.values():
        first, last = np.searchsorted(ties, (start, start + keep.size))
        keep.reshape(-1)[ties[first:last] - start] = False
        start += keep.size
