"""The synthetic images of FakeLab: noise around a centre for each class."""

import numpy as np

from ltx.core import identity
from ltx.core.task import Task
from ltx.data import sampling

_SPLITS = {"train": 200, "validation": 100, "test": 100}


def splits(
    task: Task, shape: tuple[int, int, int], classes: int, sealed: bool
) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Images, float32 [n, pixels], and labels of each split; no test split where `sealed`.

    `classes` is how many there are before `Task.classes` selects some.
    """
    rng = identity.generator(0, "fake data", task.data)
    inputs = int(np.prod(shape))
    centres = rng.normal(0, 1, (classes, inputs))
    result = {}
    for split, count in _SPLITS.items():
        if split == "test" and sealed:
            continue
        labels = rng.integers(classes, size=count)
        images = centres[labels] + rng.normal(0, 1.5, (count, inputs))
        result[split] = _sampled(task, split, shape, images.astype(np.float32), labels)
    return result


def _sampled(
    task: Task, split: str, shape: tuple[int, int, int], images: np.ndarray, labels: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """The split as the task wants it: some classes, a subset, corrupted."""
    seed = task.split_seed
    if task.classes:
        numbers = sampling.renumbered(labels, task.classes)
        images, labels = images[numbers >= 0], numbers[numbers >= 0]
    if split == "train":
        rows = sampling.subset(labels, task.subset, seed)
        images, labels = images[rows], labels[rows]
    if split != "test" and task.corrupt == "random_labels":
        labels = sampling.permuted(labels, seed, split)
    if split != "test" and task.corrupt == "shuffled_pixels":
        pixels = images.reshape(-1, *shape)
        images = sampling.shuffled(pixels, np.arange(len(images)), seed).reshape(images.shape)
    return images, labels
