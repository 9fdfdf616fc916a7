"""Sampling: which examples training uses, in which order, and how controls corrupt them."""

import functools
import numbers

import numpy as np

from ltx.core import identity
from ltx.core.errors import UsageError


def check_classes(name: str, classes: tuple[int, ...], known: int) -> None:
    """Refuse a class that a set of `known` classes lacks."""
    if wrong := [number for number in classes if number >= known]:
        raise UsageError(
            f"{name}: there is no class {wrong[0]}: the set has {known}, 0 to {known - 1}"
        )


def renumbered(labels: np.ndarray, classes: tuple[int, ...]) -> np.ndarray:
    """The place of each label in `classes`, int32; -1 for those that are not among them."""
    places = np.full(max(int(labels.max(initial=0)), *classes) + 1, -1, np.int32)
    places[list(classes)] = np.arange(len(classes))
    return places[labels]


def subset(labels: np.ndarray, size: int | float, seed: int) -> np.ndarray:
    """The positions of `size` of the examples, a count or a share, int64 ascending.

    Every class comes close to its share, because a small draw that misses a class says more about
    the draw than about its size; and a smaller subset is part of every larger one.
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
    return np.sort(drawn[_evenly(labels[drawn])[:count]])


def _evenly(labels: np.ndarray) -> np.ndarray:
    """An order of positions of which every beginning holds all labels by their shares."""
    key = np.empty(len(labels))
    for label in np.unique(labels):
        (places,) = np.nonzero(labels == label)
        key[places] = (np.arange(len(places)) + 0.5) / len(places)
    return np.argsort(key, kind="stable")


def permuted(labels: np.ndarray, seed: int, split: str) -> np.ndarray:
    """The same labels on other examples."""
    return identity.generator(seed, "labels", split).permutation(labels)


def shuffled(images: np.ndarray, rows: np.ndarray, seed: int) -> np.ndarray:
    """Each image's pixels at other places; `rows` number the images, each has an order of its own.

    A pixel keeps its channels together. `images` is [n, height, width, channels].
    """
    count, height, width, channels = images.shape
    size = height * width
    pixels = images.reshape(count, size, channels)
    orders = [identity.generator(seed, "pixels", int(row)).permutation(size) for row in rows]
    if not orders:
        return images
    return np.take_along_axis(pixels, np.stack(orders)[:, :, None], axis=1).reshape(images.shape)


def steps_per_epoch(examples: int, batch_size: int) -> int:
    """Whole batches in one pass; what is left over waits for the next pass's shuffle."""
    if batch_size > examples:
        raise UsageError(
            f"Recipe.batch_size: {batch_size} is more than the {examples} training examples"
        )
    return examples // batch_size


def batch_table(
    seed: int, stream: str, examples: int, batch_size: int, start: int, stop: int
) -> np.ndarray:
    """The example numbers of the steps from `start` to `stop`, int32 [steps, batch].

    Every epoch has a permutation of its own, so a training may be cut anywhere and goes on alike.
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
