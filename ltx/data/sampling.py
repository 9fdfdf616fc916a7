"""Sampling: which examples training uses, in which order, and how controls corrupt them."""

import functools
import numbers

import numpy as np

from ltx.core import identity
from ltx.core.errors import UsageError


def check_classes(name: str, classes: tuple[int, ...], known: int) -> None:
    """Raise UsageError for a class number of `known` or more."""
    if wrong := [number for number in classes if number >= known]:
        raise UsageError(
            f"{name}: there is no class {wrong[0]}: the set has {known}, 0 to {known - 1}"
        )


def renumbered(labels: np.ndarray, classes: tuple[int, ...]) -> np.ndarray:
    """The index of each label in `classes`, int32; -1 for labels that are not in it."""
    index = np.full(max(int(labels.max(initial=0)), *classes) + 1, -1, np.int32)
    index[list(classes)] = np.arange(len(classes))
    return index[labels]


def subset(labels: np.ndarray, size: int | float, seed: int) -> np.ndarray:
    """The positions of `size` of the examples, a count or a share, int64 ascending.

    Subsets are stratified: every class has nearly its share, as a small sample without a class
    would measure the sample, not its size. A smaller subset is part of every larger one.
    """
    whole = isinstance(size, numbers.Integral)
    count = int(size) if whole else round(float(size) * len(labels))
    if not 1 <= count <= len(labels):
        raise UsageError(
            f"Task.subset: {size!r} is {count} of the {len(labels)} training examples; expected 1"
            f" to {len(labels)}"
        )
    if count == len(labels):
        return np.arange(count)
    drawn = identity.generator(seed, "subset").permutation(len(labels))
    return np.sort(drawn[_by_stratum(labels[drawn])[:count]])


def has_strata(targets: np.ndarray) -> bool:
    """Whether targets are class numbers, by which a split can be stratified."""
    return targets.ndim == 1 and targets.dtype.kind in "iu"


def stratified(targets: np.ndarray) -> np.ndarray:
    """An order of positions whose prefixes are stratified by class; as they are without classes."""
    return _by_stratum(targets) if has_strata(targets) else np.arange(len(targets))


def _by_stratum(labels: np.ndarray) -> np.ndarray:
    """An order of positions in which every prefix is stratified by label."""
    key = np.empty(len(labels))
    for label in np.unique(labels):
        (positions,) = np.nonzero(labels == label)
        key[positions] = (np.arange(len(positions)) + 0.5) / len(positions)
    return np.argsort(key, kind="stable")


def permuted(labels: np.ndarray, seed: int, split: str) -> np.ndarray:
    """A permutation of the labels."""
    return identity.generator(seed, "labels", split).permutation(labels)


def shuffled(inputs: np.ndarray, rows: np.ndarray, seed: int) -> np.ndarray:
    """Permute the positions of each example by a permutation of its own, which follows its row.

    Positions are pixels of images [n, height, width, channels], else the first axis of an example:
    steps of signals, tokens of texts, columns of tables. The channels of a position stay together.
    """
    count = len(inputs)
    if not count:
        return inputs
    size = int(np.prod(inputs.shape[1:3])) if inputs.ndim == 4 else inputs.shape[1]
    positions = inputs.reshape(count, size, -1)
    orders = [identity.generator(seed, "pixels", int(row)).permutation(size) for row in rows]
    return np.take_along_axis(positions, np.stack(orders)[:, :, None], axis=1).reshape(inputs.shape)


def steps_per_epoch(examples: int, batch_size: int) -> int:
    """The number of whole batches in one epoch; the remainder of its shuffle is not used."""
    if batch_size > examples:
        raise UsageError(
            f"Recipe.batch_size: {batch_size} is more than the {examples} training examples"
        )
    return examples // batch_size


def batch_table(
    seed: int, stream: str, examples: int, batch_size: int, start: int, stop: int
) -> np.ndarray:
    """The positions of the examples of steps `start` to `stop`, int32 [steps, batch].

    Every epoch has its own permutation, so training can be resumed at any step.
    """
    epoch = steps_per_epoch(examples, batch_size)
    table = np.empty((stop - start, batch_size), np.int32)
    step = start
    while step < stop:
        number, offset = divmod(step, epoch)
        count = min(epoch - offset, stop - step)
        shuffled = _permutation(seed, stream, number, examples)
        rows = shuffled[offset * batch_size : (offset + count) * batch_size]
        table[step - start : step - start + count] = rows.reshape(count, batch_size)
        step += count
    return table


@functools.lru_cache(maxsize=4)
def _permutation(seed: int, stream: str, epoch: int, examples: int) -> np.ndarray:
    return identity.generator(seed, stream, "epoch", epoch).permutation(examples)
