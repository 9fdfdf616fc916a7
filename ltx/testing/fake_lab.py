"""FakeLab: a lab of a tiny network in numpy, for testing finders in milliseconds."""

import dataclasses
import functools
import math
from collections.abc import Iterable

import numpy as np

from ltx.core import identity
from ltx.core.cost import Ledger
from ltx.core.errors import UsageError
from ltx.core.lab import Lab
from ltx.core.mask import Mask, MaskLearner
from ltx.core.objectives.classification import Classification
from ltx.core.prunable import Channels, Weight
from ltx.core.recipe import Recipe
from ltx.core.run import History, Metrics, Run, finite_metrics, timed
from ltx.core.state import State, first_not_finite
from ltx.core.task import Task
from ltx.core.validation import check_choice
from ltx.data import sampling
from ltx.testing.fake_convnet import ConvNetwork
from ltx.testing.fake_data import FakeData
from ltx.testing.fake_network import DenseNetwork

RECIPE = Recipe(
    optimizer="momentum", learning_rate=0.1, batch_size=20, length="60it", eval_every="10it"
)
_STARTS = {"equal": 0.25, "zero": 0.0}
NETWORKS = ("dense", "convolution", "ranks")
_KEPT = np.float32(0.9)  # the share of the running statistics that a training step keeps
# What overflows is reported once, as DivergedError.
_UNWARNED = np.errstate(over="ignore", invalid="ignore")


class FakeLab(Lab):
    """A small network on synthetic data, trained in numpy.

    It fulfils the whole contract of `Lab` without TensorFlow. The data depend on the task's `data`
    name, so that transfer between two names is transfer between two problems. Their kind is what
    the task's objective takes: 4x4x1 images, or those of `Task.image`, of 4 classes, or N for a
    name that ends in `/N`; else 8 numbers with the value of a smooth function, or with a yes or no
    for each of 3 labels; else 6 tokens out of 10, each with the next one. With "tokens" in the
    name inputs are tokens, and the first weight has a row for each of them. `network`: "dense", one
    hidden layer of 12 units, or with one of `layers` a linear model; for classes of images also
    "convolution", a convolution with BatchNorm and a dense layer, and "ranks", the same with
    kernels of three axes and of one axis between them. `start`: "drawn" weights, or an initial
    state whose kernels are all "equal" or all "zero", in which every score has ties.
    """

    def __init__(
        self,
        task: Task | None = None,
        seed: int = 0,
        *,
        sealed: bool = True,
        ledger: Ledger | None = None,
        layers: int = 2,
        start: str = "drawn",
        network: str = "dense",
    ) -> None:
        check_choice("FakeLab.network", network, NETWORKS)
        self.task = task or Task(data="fake", model="fake", recipe=RECIPE)
        self.task.recipe.check_scales((), self.task.label)
        self.seed, self.sealed, self.ledger = seed, sealed, ledger or Ledger()
        self.layers, self.start, self.network = layers, start, network
        if self.task.recipe.label_smoothing and not self.task.objective.softmax:
            raise UsageError(
                f"Recipe.label_smoothing: {type(self.task.objective).__name__} has no labels to"
                " smooth; set it to 0"
            )
        self._examples = FakeData.of(self.task)
        self._net = self._network()

    def _network(self) -> DenseNetwork | ConvNetwork:
        data, objective = self._examples, self.task.objective
        if self.network == "dense":
            shape = self.input_shape
            return DenseNetwork(objective, data.outputs, data.tokens, shape, self.layers)
        if data.tokens or type(objective).losses is not Classification.losses:
            raise UsageError(f"FakeLab.network {self.network!r}: it is for classes of images alone")
        height, width, channels = self.input_shape
        return ConvNetwork((height, width, channels), self.classes, ranks=self.network == "ranks")

    @property
    def input_shape(self) -> tuple[int, ...]:
        return self._examples.input_shape

    @property
    def classes(self) -> int:
        return self._examples.classes

    @property
    def prunable(self) -> tuple[Weight, ...]:
        return self._net.prunable

    @property
    def channels(self) -> tuple[Channels, ...]:
        return self._net.channels

    @property
    def head(self) -> tuple[str, ...]:
        return ("output/kernel", "output/bias")

    @property
    def stem(self) -> tuple[str, ...]:
        layer, _, _ = self.prunable[0].name.rpartition("/")
        names = [*(weight.name for weight in self.prunable), *self._net.others()[0]]
        return tuple(name for name in names if name.startswith(f"{layer}/"))

    @property
    def outputs_logits(self) -> bool:
        return True

    @property
    def epoch(self) -> int:
        return sampling.steps_per_epoch(len(self._data["train"][1]), self.task.recipe.batch_size)

    @property
    def fingerprint(self) -> str:
        network = [] if self.network == "dense" else [self.network]
        return identity.identity({"fake": self.task, "net": [self.layers, self.start, *network]})

    def init(self, stream: str = "init") -> State:
        rng = self.rng("weights", stream)
        weights, statistics = self._net.others()
        for weight in self.prunable:
            *reading, last = weight.shape
            weights[weight.name] = rng.normal(
                0, np.sqrt(2 / (math.prod(reading) + last)), weight.shape
            )
            # Other streams stay random, so that a control that draws fresh weights differs.
            if stream == "init" and self.start != "drawn":
                weights[weight.name] = np.full(weight.shape, _STARTS[self.start])
        return State(_single(weights), _single(statistics))

    @timed
    @_UNWARNED
    def run_training(self, state: State, mask: Mask, stop: int, stream: str) -> Run:
        recipe, whole, every = (
            self.task.recipe,
            self.steps(),
            max(1, self.steps(self.task.recipe.eval_every)),
        )
        state = state.masked(mask)
        weights = {name: array.copy() for name, array in state.weights.items()}
        velocity = {
            name: state.slots.get(f"momentum:{name}", 0 * array) for name, array in weights.items()
        }
        statistics = dict(state.statistics)
        images, labels = self._data["train"]
        table = sampling.batch_table(
            self.seed, stream, len(labels), recipe.batch_size, state.step, stop
        )
        rates = recipe.learning_rates(state.step, stop, self.epoch)
        points = []
        for step, (rows, rate) in enumerate(zip(table, rates, strict=True), state.step + 1):
            arrays = {**weights, **statistics}
            gradients = mask.apply(self._net.gradients(arrays, images[rows], labels[rows]))
            statistics = self._moved(statistics, arrays, images[rows])
            for name, gradient in gradients.items():
                velocity[name] = np.float32(recipe.momentum) * velocity[name] - rate * gradient
                weights[name] = weights[name] + velocity[name]
            if step % every == 0 or step == whole:
                metrics = self._measured({**weights, **statistics}, "validation")
                finite_metrics(self.task, metrics, f"the validation loss at step {step}")
                points.append((step, metrics.loss, metrics.value))
        slots = {f"momentum:{name}": array for name, array in velocity.items()}
        history = History(*map(tuple, zip(*points, strict=True)))
        return Run(State(weights, statistics, slots, stop), history).finite(self.task)

    @timed
    @_UNWARNED
    def run_mask_training(
        self, state: State, mask: Mask, method: MaskLearner, stop: int, stream: str
    ) -> Run:
        recipe = dataclasses.replace(self.task.recipe, learning_rate=method.learning_rate)
        every, whole = max(1, self.steps(recipe.eval_every)), self.steps()
        scores = {name: state.slots[f"score:{name}"] for name in mask}
        velocities = {name: state.slots[f"score_momentum:{name}"] for name in mask}
        fixed, statistics = mask.apply(state.weights), dict(state.statistics)
        images, labels = self._data["train"]
        table = sampling.batch_table(
            self.seed, stream, len(labels), recipe.batch_size, state.step, stop
        )
        rates, points = recipe.learning_rates(state.step, stop, self.epoch), []
        for step, (rows, rate) in enumerate(zip(table, rates, strict=True), state.step + 1):
            sampled = method.sample_mask(scores, mask, self.rng("mask", stream, step))
            arrays = {**sampled.apply(fixed), **statistics}
            gradients = self._net.gradients(arrays, images[rows], labels[rows])
            statistics = self._moved(statistics, arrays, images[rows])
            for name, slope in method.score_gradient(scores).items():
                downhill = rate * gradients[name] * fixed[name] * slope
                velocities[name] = np.float32(method.momentum) * velocities[name] - downhill
                scores[name] = scores[name] + velocities[name]
            if step % every == 0 or step == whole:
                learned = method.mask(scores, mask).apply(fixed)
                metrics = self._measured({**learned, **statistics}, "validation")
                finite_metrics(self.task, metrics, f"the validation loss at step {step}")
                points.append((step, metrics.loss, metrics.value))
        slots = {f"score:{name}": array for name, array in scores.items()}
        slots |= {f"score_momentum:{name}": array for name, array in velocities.items()}
        history = History(*map(tuple, zip(*points, strict=True)))
        reached = state.replace(statistics=statistics, slots=slots, step=stop)
        return Run(reached, history).finite(self.task)

    def _moved(
        self, statistics: dict[str, np.ndarray], arrays: dict[str, np.ndarray], images: np.ndarray
    ) -> dict[str, np.ndarray]:
        """The running statistics after a training step on these images."""
        batch = self._net.batch_statistics(arrays, images) if statistics else {}
        return {n: _KEPT * old + (1 - _KEPT) * batch[n] for n, old in statistics.items()}

    def _measured(self, arrays: dict[str, np.ndarray], split: str) -> Metrics:
        return self._net.measured(arrays, *self._data[split])

    @_UNWARNED
    def compute_gradients(
        self, state: State, mask: Mask, batches: int, stream: str
    ) -> dict[str, np.ndarray]:
        arrays, inputs = _masked(state, mask), self._batches(batches, stream)
        return _mean([self._net.gradients(arrays, *batch) for batch in inputs], mask)

    @_UNWARNED
    def compute_hessian_gradient(
        self, state: State, mask: Mask, batches: int, temperature: float, stream: str
    ) -> dict[str, np.ndarray]:
        arrays, inputs = _masked(state, mask), self._batches(batches, stream)
        each = [self._net.gradients(arrays, *batch, temperature) for batch in inputs]
        vector = mask.apply(_mean(each, mask))
        each = [self._net.hessian_times(vector, arrays, *b, temperature) for b in inputs]
        return _mean(each, mask)

    @_UNWARNED
    def recompute_statistics(self, state: State, mask: Mask, batches: int, stream: str) -> State:
        if not state.statistics:
            return state
        arrays, inputs = _masked(state, mask), self._batches(batches, stream)
        each = [self._net.batch_statistics(arrays, images) for images, _ in inputs]
        return state.replace(statistics=_mean(each, state.statistics))

    def _batches(self, count: int, stream: str) -> list[tuple[np.ndarray, np.ndarray]]:
        images, labels = self._data["train"]
        size = self.task.recipe.batch_size
        table = sampling.batch_table(self.seed, stream, len(labels), size, 0, count)
        return [(images[rows], labels[rows]) for rows in table]

    @_UNWARNED
    def compute_synaptic_flow(self, state: State, mask: Mask) -> dict[str, np.ndarray]:
        tokens, shape = self._examples.tokens, self.input_shape
        inputs = np.ones((1, *shape), np.float32)
        if tokens:
            inputs = np.repeat(np.arange(tokens)[:, None], shape[0], axis=1)
        given = _masked(state, mask)
        flows = self._net.synaptic_flow(given, inputs)
        if first_not_finite(flows) is None:
            return flows
        exact = {name: array.astype(np.float64) for name, array in given.items()}
        return self._net.synaptic_flow(exact, inputs)

    def compute_effective(self, mask: Mask) -> Mask:
        return Mask(self._net.effective(mask))

    @_UNWARNED
    def run_evaluation(self, state: State, mask: Mask, split: str) -> Metrics:
        self.check_split(split)
        return self._measured(_masked(state, mask), split)

    def open_sibling(self, task: Task) -> Lab:
        return type(self)(
            task,
            self.seed,
            sealed=self.sealed,
            ledger=self.ledger,
            layers=self.layers,
            start=self.start,
            network=self.network,
        )

    @functools.cached_property
    def _data(self) -> dict[str, tuple[np.ndarray, np.ndarray]]:
        splits = self._examples.splits(self.sealed)
        return {name: (self._net.shaped(x), targets) for name, (x, targets) in splits.items()}


def _mean(each: list[dict[str, np.ndarray]], names: Iterable[str]) -> dict[str, np.ndarray]:
    return {name: np.mean([arrays[name] for arrays in each], axis=0) for name in names}


def _masked(state: State, mask: Mask) -> dict[str, np.ndarray]:
    """The masked weights and the statistics."""
    return {**mask.apply(state.weights), **state.statistics}


def _single(arrays: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    return {name: array.astype(np.float32) for name, array in arrays.items()}
