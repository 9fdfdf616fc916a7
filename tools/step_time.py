"""The time of one training step, against model.fit, an unmasked loop and a compact model.

Run by tools/benchmark.py, by the names lenet, resnet and compact. Contestants take turns, round by
round, so that drift of the machine affects all of them. The middle number is the median of the
rounds' ratios, the brackets hold the smallest and the largest.
"""

import dataclasses
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np

from ltx import Mask, Recipe, State, Task, Ticket
from ltx.core.engine import Engine
from ltx.core.identity import generator
from ltx.data import loading, sampling

if TYPE_CHECKING:
    import tf_keras

DENSITY = 0.2
LENET = Task(image=(28, 28, 1), recipe=Recipe(batch_size=60, learning_rate=1e-4))
RESNET = Task(
    model="resnet_20",
    image=(32, 32, 3),
    recipe=Recipe(optimizer="momentum", learning_rate=1e-3, batch_size=64),
)


def lenet(rounds: int) -> Iterator[str]:
    yield from _steps("LeNet-300-100, batch 60, ms", LENET, 1000, rounds, (0.30, 1.10))


def resnet(rounds: int) -> Iterator[str]:
    yield from _steps("ResNet-20, batch 64, ms", RESNET, 20, rounds, (0.85, 1.10))


def compact(rounds: int) -> Iterator[str]:
    for name, model, steps in (
        ("3 convolutions with BatchNorm", "step_time.convnet", 40),
        ("Conv-4", "conv_4", 20),
    ):
        times = compact_times(dataclasses.replace(RESNET, model=model), steps, rounds)
        what = f"{name}, half the channels compacted, batch 64, ms: step, against all"
        yield _row(what, times["compact"], times["dense"], 0.45)


def step_ratios(task: Task, steps: int, rounds: int) -> dict[str, list[float]]:
    """Milliseconds a step, round by round: ltx masked, the same loop unmasked, and model.fit."""
    contestants = {
        "ltx": _loop(task, masked=True, steps=steps),
        "bare": _loop(task, masked=False, steps=steps),
        "fit": _fit(task, steps),
    }
    return _in_turns(contestants, steps, rounds)


def compact_times(task: Task, steps: int, rounds: int) -> dict[str, list[float]]:
    """Milliseconds a step, round by round, of a whole network and of one with half its channels."""
    half = dataclasses.replace(task, model="step_time.half", model_args={"whole": task.model})
    contestants = {
        "compact": _loop(half, masked=True, steps=steps, density=1),
        "dense": _loop(task, masked=True, steps=steps, density=1),
    }
    return _in_turns(contestants, steps, rounds)


def convnet(input_shape: tuple[int, int, int], classes: int) -> "tf_keras.Model":
    """Three 3x3 convolutions of 32, 64 and 128 with BatchNorm, pooled in between."""
    import tf_keras

    image = x = tf_keras.Input(input_shape)
    for number, filters in enumerate((32, 64, 128)):
        if number:
            x = tf_keras.layers.MaxPool2D()(x)
        x = tf_keras.layers.Conv2D(filters, 3, padding="same", use_bias=False)(x)
        x = tf_keras.layers.ReLU()(tf_keras.layers.BatchNormalization()(x))
    x = tf_keras.layers.GlobalAveragePooling2D()(x)
    return tf_keras.Model(image, tf_keras.layers.Dense(classes)(x))


def half(input_shape: tuple[int, int, int], classes: int, whole: str) -> "tf_keras.Model":
    """The model of that name with every other channel dropped, compacted."""
    from ltx.backends.tf_keras import masking
    from ltx.backends.tf_keras.graph import channel_graph
    from ltx.backends.tf_keras.graph import compaction as compact
    from ltx.backends.tf_keras.models import builder

    model = builder.build(whole, input_shape, classes)
    masked = masking.MaskedModel(model)
    mask = masked.get_masks()
    for channels in channel_graph.channels(model, mask):
        mask = channels.drop(mask, np.arange(channels.size) % 2 == 1)
    weights, statistics = (
        {name: variable.numpy() for name, variable in group.items()}
        for group in (masked.weights, masked.statistics)
    )
    ticket = Ticket(Mask(mask), State(weights, statistics), 0, "benchmark", 0)
    return compact.compact(model, ticket)


def _in_turns(
    contestants: dict[str, Callable[[], None]], steps: int, rounds: int
) -> dict[str, list[float]]:
    for run in contestants.values():
        run()
    times: dict[str, list[float]] = {name: [] for name in contestants}
    for _ in range(rounds):
        for name, run in contestants.items():
            started = time.perf_counter()
            run()
            times[name].append((time.perf_counter() - started) / steps * 1e3)
    return times


def _loop(task: Task, masked: bool, steps: int, density: float = DENSITY) -> Callable[[], None]:
    from ltx.backends.tf_keras.guard import Guard
    from ltx.backends.tf_keras.program import Program

    class NoGuard(Guard):
        def report(self) -> tuple:
            return ()

        def check(self, report: tuple, step: int) -> None:
            del step
            assert report == ()

    class Bare(Program):
        """The same compiled loop without masks."""

        GUARD = NoGuard

        def _decayed_and_masked(self, gradients: list) -> list:
            return gradients

    program = (Program if masked else Bare)(
        task, Engine(), loading.load(task.data, image=task.image)
    )
    weights = program.masked.prunable
    mask = Mask({w.name: generator(0, w.name).random(w.shape) < density for w in weights})
    program.load(program.fresh(0), mask if masked else Mask.ones(weights))
    examples, batch = len(program.data.train), task.recipe.batch_size
    table = sampling.batch_table(0, "order", examples, batch, 0, steps)
    rates = task.recipe.learning_rates(0, steps, sampling.steps_per_epoch(examples, batch))
    seed = np.zeros(2, np.int32)

    def run() -> None:
        program.run(table, rates, 0, seed, steps)
        program.read(steps)

    return run


def _fit(task: Task, steps: int) -> Callable[[], None]:
    import tf_keras

    from ltx.backends.tf_keras import masking, optimizers, tfmot
    from ltx.backends.tf_keras.models import builder

    loaded = loading.load(task.data, image=task.image)
    masked = masking.MaskedModel(builder.build(task.model, loaded.image, loaded.classes))
    masked.set_masks(
        {w.name: generator(0, w.name).random(w.shape) < DENSITY for w in masked.prunable}
    )
    model = masked.wrapped()
    model.compile(
        optimizer=optimizers.make(task.recipe, masked.weights, set(), "float32"),
        loss=tf_keras.losses.SparseCategoricalCrossentropy(from_logits=True),
    )
    count = steps * task.recipe.batch_size
    rows = np.resize(np.arange(len(loaded.train)), count)
    images, labels = loaded.train.take(rows)
    images = ((images - loaded.mean) / loaded.std).astype(np.float32)
    callbacks = [tfmot.step_callback()]

    def run() -> None:
        model.fit(images, labels, batch_size=task.recipe.batch_size, callbacks=callbacks, verbose=0)

    return run


def _steps(
    name: str, task: Task, steps: int, rounds: int, bounds: tuple[float, float]
) -> Iterator[str]:
    times = step_ratios(task, steps, rounds)
    fit, bare = bounds
    yield _row(
        f"{name}: step, against model.fit + UpdatePruningStep", times["ltx"], times["fit"], fit
    )
    yield _row(f"{name}: step, against the unmasked loop", times["ltx"], times["bare"], bare)


def _row(what: str, ours: Sequence[float], theirs: Sequence[float], bound: float) -> str:
    ratios = [a / b for a, b in zip(ours, theirs, strict=True)]
    return (
        f"| {what} | {statistics.median(ours):.2f} | {statistics.median(theirs):.2f} "
        f"| {statistics.median(ratios):.2f} [{min(ratios):.2f}, {max(ratios):.2f}] | {bound:.2f} |"
    )
