"""The data of FakeLab: made up by name, in the kind that the task's objective is for."""

import dataclasses
from collections.abc import Callable

import numpy as np

from ltx.core import identity
from ltx.core.errors import UsageError
from ltx.core.objectives.objective import Targets
from ltx.core.task import Task
from ltx.data import sampling

SPLITS = {"train": 200, "validation": 100, "test": 100}
IMAGE, NUMBERS, LENGTH, TOKENS = (4, 4, 1), (8,), 6, 10
Pair = tuple[np.ndarray, np.ndarray]
Draw = Callable[[int], Pair]


@dataclasses.dataclass(frozen=True)
class FakeData:
    """Which inputs and targets the examples of a task have.

    `tokens` is how many tokens inputs are drawn from, 0 for numbers. `image` says whether
    `Task.image` may set their shape.
    """

    task: Task
    input_shape: tuple[int, ...]
    tokens: int
    targets: Targets

    @classmethod
    def of(cls, task: Task) -> "FakeData":
        """Images with class numbers, where the objective accepts those; see FakeLab."""
        targets = _targets(task)
        if len(targets.shape) == 1 and targets.classes > 2:
            return cls(task, (LENGTH,), TOKENS, targets)
        if "tokens" in task.data:
            if task.image:
                raise UsageError(f"Task.image: {task.data!r} holds no images; leave it out")
            return cls(task, (LENGTH,), TOKENS, targets)
        are_images = task.image or targets == Targets(classes=targets.classes)
        return cls(task, (task.image or IMAGE) if are_images else NUMBERS, 0, targets)

    @property
    def classes(self) -> int:
        """The number of classes that training sees, 0 for other targets than one class."""
        return len(self.task.classes) or self.targets.classes

    @property
    def outputs(self) -> tuple[int, ...]:
        """The shape of a model's outputs."""
        seen = dataclasses.replace(self.targets, classes=self.classes)
        return self.task.objective.outputs(seen)

    def splits(self, sealed: bool) -> dict[str, Pair]:
        """The inputs and targets of each split; none of the test where `sealed`."""
        draw = self._problem(identity.generator(0, "fake data", self.task.data))
        names = [name for name in SPLITS if name != "test" or not sealed]
        return {name: self._sampled(name, *draw(SPLITS[name])) for name in names}

    def _problem(self, rng: np.random.Generator) -> Draw:
        """Draws examples of what there is to learn, which `rng` makes up first."""
        targets = self.targets
        if self._is_next_token:
            return _chains(rng)
        if targets == Targets(classes=targets.classes):
            return (
                _spoken_classes(rng, targets.classes)
                if self.tokens
                else _clusters(rng, targets.classes, int(np.prod(self.input_shape)))
            )
        inputs = self.tokens or int(np.prod(self.input_shape))
        size = int(np.prod(targets.shape))
        slopes = rng.normal(0, inputs**-0.5, (2, inputs, size))

        def draw(count: int) -> Pair:
            if self.tokens:
                drawn = rng.integers(TOKENS, size=(count, LENGTH))
                features = (drawn[..., None] == np.arange(TOKENS)).sum(axis=1) - LENGTH / TOKENS
            else:
                drawn = features = rng.uniform(-1, 1, (count, inputs)).astype(np.float32)
            if targets.floating:
                values = np.sin(2 * features @ slopes[0]) + features @ slopes[1] / 2
                values = values.astype(np.float32)
            else:
                values = (features @ slopes[0] + rng.normal(0, 0.3, (count, size)) > 0).astype(int)
            return drawn, values.reshape(count, *targets.shape)

        return draw

    @property
    def _is_next_token(self) -> bool:
        return len(self.targets.shape) == 1 and self.targets.classes > 2

    def _sampled(self, split: str, inputs: np.ndarray, targets: np.ndarray) -> Pair:
        """The split as the task wants it: some classes, a subset, corrupted."""
        task, seed = self.task, self.task.split_seed
        if task.classes:
            numbers = sampling.renumbered(targets, task.classes)
            inputs, targets = inputs[numbers >= 0], numbers[numbers >= 0]
        if split == "train":
            strata = targets if sampling.has_strata(targets) else np.zeros(len(targets), np.int32)
            rows = sampling.subset(strata, task.subset, seed)
            inputs, targets = inputs[rows], targets[rows]
        if split != "test" and task.corrupt == "random_labels":
            targets = sampling.permuted(targets, seed, split)
        if split != "test" and task.corrupt == "shuffled_pixels":
            shaped = inputs.reshape(-1, *self.input_shape)
            inputs = sampling.shuffled(shaped, np.arange(len(inputs)), seed).reshape(inputs.shape)
        return inputs, targets


def _targets(task: Task) -> Targets:
    """The first kind of targets that the objective takes; UsageError where it takes none."""
    classes = int(task.data.partition("/")[2] or 4)
    kinds = (
        Targets(classes=classes),
        Targets(floating=True),
        Targets((3,), classes=2),
        Targets((2,), floating=True),
        Targets((LENGTH,), classes=TOKENS),
    )
    for kind in kinds:
        try:
            task.objective.outputs(kind)
        except UsageError:
            continue
        if kind.shape or kind.floating:
            if task.classes:
                raise UsageError(f"Task.classes: targets of {task.data!r} are no class numbers")
        else:
            sampling.check_classes(f"Task.classes of {task.data!r}", task.classes, classes)
        return kind
    raise task.objective.refuse(
        "targets that FakeLab has", "class numbers, numbers, yes or no by label, and next tokens"
    )


def _clusters(rng: np.random.Generator, classes: int, inputs: int) -> Draw:
    """Numbers around a centre for each class."""
    centres = rng.normal(0, 1, (classes, inputs))

    def draw(count: int) -> Pair:
        labels = rng.integers(classes, size=count)
        numbers = centres[labels] + rng.normal(0, 1.5, (count, inputs))
        return numbers.astype(np.float32), labels

    return draw


def _spoken_classes(rng: np.random.Generator, classes: int) -> Draw:
    """Tokens of which each class has its own frequencies."""
    frequencies = _normalised(rng.normal(0, 1.5, (classes, TOKENS)))

    def draw(count: int) -> Pair:
        labels = rng.integers(classes, size=count)
        tokens = [_drawn(rng, frequencies[labels]) for _ in range(LENGTH)]
        return np.stack(tokens, axis=1), labels

    return draw


def _chains(rng: np.random.Generator) -> Draw:
    """Chains of tokens from 1 and the next of each, padded with 0 to one length."""
    chances = _normalised(rng.normal(0, 2, (TOKENS, TOKENS)))
    chances[:, 0] = 0
    chances /= chances.sum(axis=1, keepdims=True)

    def draw(count: int) -> Pair:
        chain = [rng.integers(1, TOKENS, size=count)]
        for _ in range(LENGTH):
            chain.append(_drawn(rng, chances[chain[-1]]))
        tokens = np.stack(chain, axis=1)
        lengths = rng.integers(LENGTH - 1, LENGTH + 1, size=count)
        real = np.arange(LENGTH) < lengths[:, None]
        return tokens[:, :-1] * real, tokens[:, 1:] * real

    return draw


def _normalised(logits: np.ndarray) -> np.ndarray:
    weights = np.exp(logits)
    shares: np.ndarray = weights / weights.sum(axis=-1, keepdims=True)
    return shares


def _drawn(rng: np.random.Generator, chances: np.ndarray) -> np.ndarray:
    """One index for each row of probabilities."""
    beyond = rng.random((len(chances), 1)) > np.cumsum(chances, axis=1)[:, :-1]
    return np.asarray(beyond.sum(axis=1))
