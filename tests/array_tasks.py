"""Tasks of every kind of data and objective that KerasLab trains, each on a tiny file of arrays."""

import dataclasses
from pathlib import Path

import numpy as np

from ltx import (
    Classification,
    MultiLabel,
    NextToken,
    Objective,
    Ordinal,
    Recipe,
    Regression,
    Task,
)

COUNT, LENGTH, TOKENS = 320, 7, 12
RECIPE = Recipe(
    optimizer="momentum", learning_rate=0.05, batch_size=20, length="60it", eval_every="10it"
)
OBJECTIVES: dict[str, Objective] = {
    "images": Classification(),
    "numbers": Regression(),
    "tokens": Classification(detailed=True),
    "two_inputs": Classification(),
    "multi_label": MultiLabel(),
    "ordinal": Ordinal(),
    "next_token": NextToken(),
}
MODELS = {"tokens": "tiny.tokens", "two_inputs": "tiny.two_inputs", "next_token": "tiny.next_token"}
PREPROCESSING: dict[str, dict[str, object]] = {"numbers": {"targets": "standard"}}


def arrays(kind: str) -> dict[str, np.ndarray]:
    """The arrays of a file for `arrays:FILE.npz`."""
    rng = np.random.default_rng(7)
    numbers = rng.normal(3, 2, (COUNT, 8))
    ids = rng.integers(1, TOKENS, (COUNT, LENGTH))
    scores = (numbers - 3) @ rng.normal(0, 0.4, (8, 3))
    noisy = scores + rng.normal(0, 0.3, scores.shape)
    if kind == "images":
        images = rng.integers(0, 200, (COUNT, 5, 5, 1))
        labels = rng.integers(3, size=COUNT)
        images[np.arange(COUNT), labels] += 55
        return {"inputs": images.astype(np.uint8), "targets": labels}
    targets = {
        "numbers": 40 + 5 * np.sin(noisy[:, 0]) + noisy[:, 1],
        "multi_label": (noisy > 0).astype(int),
        "ordinal": np.digitize(noisy[:, 0], (-1, 0, 1)),
    }
    if kind in targets:
        return {"inputs": numbers, "targets": targets[kind]}
    if kind == "tokens":
        return {"inputs": ids, "targets": (ids < 4).sum(axis=1).clip(0, 3)}
    if kind == "two_inputs":
        labels = (noisy[:, 0] > 0) + (ids[:, 0] > 6).astype(int)
        return {"inputs/ids": ids, "inputs/numbers": numbers, "targets": labels}
    steps = rng.integers(1, 3, (COUNT, LENGTH + 1)).cumsum(axis=1)
    text = (steps + rng.integers(TOKENS, size=(COUNT, 1))) % (TOKENS - 1) + 1
    real = np.arange(LENGTH) < rng.integers(3, LENGTH + 1, (COUNT, 1))
    return {"inputs": text[:, :-1] * real, "targets": text[:, 1:] * real}


def array_task(kind: str, folder: Path) -> Task:
    """The task of a kind, with its file of arrays in the folder."""
    path = folder / f"{kind}.npz"
    if not path.exists():
        np.savez(path, **arrays(kind))
    return Task(
        data=f"arrays:{path}",
        model=MODELS.get(kind, "mlp"),
        model_args={} if kind in MODELS else {"widths": (16,)},
        recipe=RECIPE,
        objective=OBJECTIVES[kind],
        validation=0.25,
        test=0.25,
        preprocessing=PREPROCESSING.get(kind, {}),
    )


def changed(task: Task, **settings: object) -> Task:
    """The task with other settings of its recipe."""
    return dataclasses.replace(task, recipe=dataclasses.replace(task.recipe, **settings))
