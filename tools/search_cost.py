"""The cost of finding a ticket, as a share of one dense training, and the ticket's accuracy.

Run by tools/benchmark.py, by the names early_bird, at_init and collapse.
"""

import dataclasses
import statistics
import time
from collections.abc import Iterator, Sequence

import ltx
from ltx.backends.tf_keras.lab import KerasLab
from ltx.config import plugins

DENSE_SHARE = 0.35  # of a training, for an early-bird ticket
AT_INIT_SHARE = 0.02  # of a training, for a ticket found before it
POINTS = 0.5  # of test accuracy, by which an early-bird ticket may be below a one-shot one
COMPRESSION = 1000

# Learning rates fall to zero; otherwise the noise of the last step would exceed the effect.
LENET = ltx.Task(
    data="fashion_mnist",
    recipe=ltx.Recipe(batch_size=60, schedule="cosine", length="3000it", eval_every="3000it"),
)
CONVNET = ltx.Task(
    data="fashion_mnist",
    model="convnet",
    image=(14, 14, 1),
    recipe=ltx.Recipe(
        optimizer="momentum",
        learning_rate=0.05,
        batch_size=64,
        schedule="cosine",
        length="800it",
        eval_every="800it",
    ),
)


def early_bird(seeds: int) -> Iterator[str]:
    """Early-bird tickets against one-shot magnitude pruning at the same density."""
    by_channel = {"structure": ltx.ByChannel(), "score": ltx.BatchNormScale()}
    yield from _early_bird("LeNet, weights", LENET, (0.5, 0.3), seeds)
    yield from _early_bird("BatchNorm convnet, weights", CONVNET, (0.5, 0.3), seeds)
    yield from _early_bird(
        "BatchNorm convnet, channels", CONVNET, (0.7, 0.5), seeds, l1=1e-4, **by_channel
    )


def _early_bird(  # type: ignore[no-untyped-def]
    what: str, task: ltx.Task, densities: Sequence[float], seeds: int, l1: float = 0.0, **units
) -> Iterator[str]:
    finder = plugins.load("early_bird")(densities=tuple(densities), l1=l1, **units)
    score, structure = finder.score, finder.structure
    gaps: dict[float, list[float]] = {density: [] for density in densities}
    shares: dict[float, list[float]] = {density: [] for density in densities}
    for seed in range(seeds):
        lab = KerasLab(task, seed, sealed=False)
        finder.check(lab)
        whole = lab.cost(lab.steps(), lab.dense()).dense_flops
        # Both search with the same penalty, and both tickets train without it.
        slim = lab.on(recipe=dataclasses.replace(task.recipe, scale_l1=l1))
        for density, ticket in zip(densities, list(finder.find(lab))[1:], strict=True):
            shares[density].append(ticket.cost.dense_flops / whole)
            pruning = ltx.Pruning.to(density, structure=structure)
            imp = plugins.load("imp")(levels=1, pruning=pruning, score=score)
            [_, oneshot] = imp.find(slim)
            gaps[density].append(_test(lab, ticket) - _test(lab, oneshot))
    for density in densities:
        name = f"early_bird, {what}, density {density:g}"
        yield _row(f"{name}: share of a dense training", shares[density], DENSE_SHARE)
        yield _row(f"{name}: points above imp's one shot", gaps[density], -POINTS)


def _test(lab: ltx.Lab, ticket: ltx.Ticket) -> float:
    end = lab.train(ticket.state, ticket.mask).state
    return 100 * lab.evaluate(end, ticket.mask, "test").value


def at_init(rounds: int) -> Iterator[str]:
    """The cost of SNIP, GraSP and SynFlow in steps, FLOPs and seconds."""
    lab = KerasLab(LENET, 0)
    times: list[float] = []
    for number in range(1 + rounds):  # the first compiles
        started = time.perf_counter()
        run = lab.train(lab.init(str(number)), lab.dense())
        times[:] = [*times, time.perf_counter() - started][-rounds:]
    dense = lab.cost(run.state.step, lab.dense())
    for name in ("snip", "grasp", "synflow"):
        finder = plugins.load(name)(density=0.1)
        for _ in range(1 + rounds):
            before, started = lab.spent, time.perf_counter()
            list(finder.find(lab))
            seconds = time.perf_counter() - started
            cost = lab.spent - before
        what = f"{name}, LeNet, against {dense.steps} dense steps"
        yield _row(f"{what}: steps", [cost.steps / dense.steps], AT_INIT_SHARE)
        yield _row(f"{what}: FLOPs", [cost.dense_flops / dense.dense_flops], AT_INIT_SHARE)
        yield _row(f"{what}: seconds", [seconds / statistics.median(times)], AT_INIT_SHARE)


def collapse(rounds: int) -> Iterator[str]:
    """The number of layers without weights when one weight in a thousand survives."""
    del rounds  # masks at initialisation depend on the seed alone
    for model in ("conv_6", "vgg_11"):
        task = ltx.Task(model=model, image=(32, 32, 3), recipe=ltx.Recipe(batch_size=128))
        lab = KerasLab(task, 0)
        for name in ("oneshot", "snip", "grasp", "synflow"):
            ticket = list(plugins.load(name)(density=1 / COMPRESSION).find(lab))[-1]
            method = "magnitude" if name == "oneshot" else name
            what = f"{method}, {model} at {COMPRESSION}x: empty layers of {len(ticket.mask)}"
            bound = "0" if name == "synflow" else ""
            yield f"| {what} | {len(ticket.mask.empty())} | | | {bound} |"
            share = lab.effective(ticket.mask).density
            what = f"{method}, {model} at {COMPRESSION}x: weights on a path, %"
            yield f"| {what} | {100 * share:.4f} | | | |"


def _row(what: str, values: Sequence[float], bound: float) -> str:
    middle = f"{statistics.mean(values):.4f}"
    if len(values) > 1:
        middle += f" [{min(values):.2f}, {max(values):.2f}]"
    return f"| {what} | {middle} | | | {bound:.2f} |"
