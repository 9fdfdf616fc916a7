"""Exact metrics of a whole split in float64, where streaming approximations differ."""

import numpy as np


def auc(scores: np.ndarray, positive: np.ndarray) -> float:
    """The chance that a positive example scores above a negative one; ties count as half.

    `positive` is bool [n] with both values in it.
    """
    _, inverse, counts = np.unique(scores, return_inverse=True, return_counts=True)
    last = np.cumsum(counts)
    ranks = (last - (counts - 1) / 2)[inverse]  # mean ranks of ties, from 1
    positives = int(positive.sum())
    negatives = len(positive) - positives
    return float(
        (ranks[positive].sum() - positives * (positives + 1) / 2) / (positives * negatives)
    )


def balanced_accuracy(outputs: np.ndarray, targets: np.ndarray) -> float:
    """The mean over the classes that occur of the share of each that is classified correctly."""
    hits = outputs.argmax(-1) == targets
    return float(np.mean([hits[targets == label].mean() for label in np.unique(targets)]))


def top_accuracy(outputs: np.ndarray, targets: np.ndarray, count: int) -> float:
    """The share whose class is among the `count` highest outputs; a tie at the edge is a miss."""
    own = np.take_along_axis(outputs, targets[:, None], axis=-1)
    others = np.sum(outputs >= own, axis=-1) - 1
    return float((others < count).mean())


def r2(outputs: np.ndarray, targets: np.ndarray) -> float | None:
    """The share of the targets' variance that is explained; None of constant targets."""
    exact = targets.astype(np.float64)
    spread = np.square(exact - exact.mean(axis=0)).sum()
    return None if spread == 0 else float(1 - np.square(outputs - exact).sum() / spread)


def quadratic_kappa(predicted: np.ndarray, targets: np.ndarray, classes: int) -> float | None:
    """Cohen's kappa with quadratic weights; None where chance alone agrees everywhere."""
    table = np.zeros((classes, classes))
    np.add.at(table, (targets, predicted), 1)
    weights = np.square(np.subtract.outer(np.arange(classes), np.arange(classes)))
    chance = np.outer(table.sum(axis=1), table.sum(axis=0)) / table.sum()
    expected = float((weights * chance).sum())
    return None if expected == 0 else 1 - float((weights * table).sum()) / expected
