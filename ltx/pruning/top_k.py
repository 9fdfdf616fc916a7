"""Selection: which of many values are the lowest, in exact counts, fast and lean."""

from collections.abc import Mapping

import numpy as np


def prune_lowest(
    scores: Mapping[str, np.ndarray], mask: Mapping[str, np.ndarray], count: int
) -> dict[str, np.ndarray]:
    """The masks without the `count` lowest-scored survivors of all tensors together.

    Among equal scores the order is a fixed pseudo-random one, so that ties favour no layer and no
    corner of a layer, and fall alike on every machine. Beside the new masks it takes the memory of
    the survivors' scores; none of those may be NaN.
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
    """The scores of all survivors in one array, written there without one in between."""
    sizes = {name: int(np.count_nonzero(keep)) for name, keep in mask.items()}
    dtype = np.result_type(*(scores[name].dtype for name in mask))
    values, start = np.empty(sum(sizes.values()), dtype), 0
    for name, size in sizes.items():
        place = values[start : start + size]
        if size == mask[name].size:
            place.reshape(mask[name].shape)[...] = scores[name]
        elif scores[name].dtype == dtype:
            np.compress(mask[name].reshape(-1), scores[name].reshape(-1), out=place)
        else:
            place[:] = scores[name][mask[name]]
        start += size
    return values


def _drop_ties(
    scores: Mapping[str, np.ndarray],
    left: dict[str, np.ndarray],
    threshold: np.generic,
    missing: int,
) -> None:
    """Take `missing` of the survivors that score exactly the threshold out of `left`."""
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
