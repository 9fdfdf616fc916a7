"""Signal paths: they equal those found neuron by neuron, in every kind of network."""

import itertools
from collections.abc import Callable, Iterator

import numpy as np
import pytest
import tf_keras
import tiny
import wirings
from layer_kinds import Prunable, around

from ltx import Mask, UsageError
from ltx.backends.tf_keras.masking import MaskedModel
from ltx.backends.tf_keras.measurement.signal_paths import SignalPaths
from ltx.backends.tf_keras.models import builder
from ltx.data.dataset import InputSpec

L = tf_keras.layers
Neurons = np.ndarray  # their numbers, in the shape of a layer's output for one image


class Graph:
    """Single neurons, and the edges between them: two neurons and a weight's place, if any."""

    def __init__(self) -> None:
        self.count, self.edges = 0, []  # type: ignore[var-annotated]

    def neurons(self, *shape: int) -> Neurons:
        made = np.arange(self.count, self.count + int(np.prod(shape))).reshape(shape)
        self.count += made.size
        return made

    def conv(
        self,
        name: str,
        taken: Neurons,
        units: int,
        size: int,
        stride: int = 1,
        same: bool = True,
        depthwise: bool = False,
    ) -> Neurons:
        """By TensorFlow's padding: what is too much of it goes to the end."""
        high, wide, channels = taken.shape
        sizes = [(-(-n // stride) if same else (n - size) // stride + 1) for n in (high, wide)]
        before = [
            max((out - 1) * stride + size - n, 0) // 2 if same else 0
            for out, n in zip(sizes, (high, wide), strict=True)
        ]
        made = self.neurons(*sizes, channels * units if depthwise else units)
        for row, column in np.ndindex(*sizes):
            for tap in itertools.product(range(size), repeat=2):
                at = (row * stride + tap[0] - before[0], column * stride + tap[1] - before[1])
                if not (0 <= at[0] < high and 0 <= at[1] < wide):
                    continue
                for source, unit in np.ndindex(channels, units):
                    target = source * units + unit if depthwise else unit
                    place = (name, (*tap, source, unit))
                    self.edges.append((taken[at][source], made[row, column, target], place))
        return made

    def dense(self, name: str, taken: Neurons, units: int) -> Neurons:
        made = self.neurons(units)
        for row, unit in np.ndindex(taken.size, units):
            self.edges.append((taken.ravel()[row], made[unit], (name, (row, unit))))
        return made

    def joined(self, *parts: Neurons) -> Neurons:
        made = self.neurons(*parts[0].shape)
        for part in parts:
            self.edges += [(a, b, None) for a, b in zip(part.ravel(), made.ravel(), strict=True)]
        return made

    def pool(self, taken: Neurons) -> Neurons:
        made = self.neurons(taken.shape[0] // 2, taken.shape[1] // 2, taken.shape[2])
        for row, column, channel in np.ndindex(*made.shape):
            for source in taken[2 * row : 2 * row + 2, 2 * column : 2 * column + 2, channel].flat:
                self.edges.append((source, made[row, column, channel], None))
        return made

    def effective(self, mask: Mask, inputs: Neurons, outputs: Neurons) -> dict[str, np.ndarray]:
        there = [e for e in self.edges if e[2] is None or mask[e[2][0]][e[2][1]]]
        reached, reaching = set(inputs.flat), set(outputs.flat)
        # Neurons are numbered from the image on, so that one pass each way is enough.
        for source, target, _ in sorted(there, key=lambda e: e[0]):
            if source in reached:
                reached.add(target)
        for source, target, _ in sorted(there, key=lambda e: -e[1]):
            if target in reaching:
                reaching.add(source)
        found = {name: np.zeros_like(keep) for name, keep in mask.items()}
        for source, target, place in there:
            if place and source in reached and target in reaching:
                found[place[0]][place[1]] = True
        return found


def residual(graph: Graph) -> tuple[tf_keras.Model, Neurons, Neurons]:
    image = graph.neurons(5, 5, 2)
    x = graph.conv("conv_1/kernel", image, 8, 3)
    y = graph.conv("conv_2/kernel", x, 6, 3)
    y = graph.conv("conv_3/kernel", y, 8, 1)
    return (
        tiny.residual((5, 5, 2), 3),
        image,
        graph.dense("logits/kernel", graph.joined(x, y), 3),
    )


def mixed(graph: Graph) -> tuple[tf_keras.Model, Neurons, Neurons]:
    """Strides, both paddings, a depthwise kernel, sigmoids, a maximum and a softmax."""
    image = L.Input((7, 7, 2))
    x = L.Conv2D(3, 3, 2, padding="same", activation="sigmoid", name="a")(image)
    x = L.DepthwiseConv2D(3, padding="same", depth_multiplier=2, name="b")(x)
    x = L.MaxPooling2D()(L.LeakyReLU()(x))
    x = L.Conv2D(4, 2, activation="softplus", bias_initializer="ones", name="c")(x)
    x = L.Dense(5, "tanh", name="d")(L.Flatten()(x))
    model = tf_keras.Model(image, L.Dense(3, "softmax", name="e")(x))
    first = graph.neurons(7, 7, 2)
    y = graph.conv("a/kernel", first, 3, 3, stride=2)
    y = graph.conv("b/depthwise_kernel", y, 2, 3, depthwise=True)
    y = graph.conv("c/kernel", graph.pool(y), 4, 2, same=False)
    return model, first, graph.dense("e/kernel", graph.dense("d/kernel", y, 5), 3)


def masks(shapes: dict[str, tuple[int, ...]]) -> Iterator[Mask]:
    rng = np.random.default_rng(0)
    for density in (1.0, 0.5, 0.2, 0.1, 0.05, 0.05, 0.03, 0.03):
        yield Mask({name: rng.random(shape) < density for name, shape in shapes.items()})


@pytest.mark.parametrize("make", [residual, mixed])
@pytest.mark.parametrize("precision", ["float32", "float16"])
def test_they_are_those_of_single_neurons(make: Callable, precision: str) -> None:
    graph = Graph()
    tf_keras.mixed_precision.set_global_policy(builder.PRECISIONS[precision])
    try:
        model, inputs, outputs = make(graph)
    finally:
        tf_keras.mixed_precision.set_global_policy("float32")
    masked = MaskedModel(model)
    paths = SignalPaths(masked, InputSpec(model.input_shape[1:]), "it")
    densities = []
    for mask in masks({name: tuple(m.shape) for name, m in masked.masks.items()}):
        found, expected = paths.effective(mask), graph.effective(mask, inputs, outputs)
        for name in mask:
            np.testing.assert_array_equal(found[name], expected[name], name)
        densities.append((found.density, mask.density))
    assert any(0 < few < 0.9 * many for few, many in densities)


def test_the_model_computes_afterwards_what_it_did() -> None:
    masked = MaskedModel(tiny.residual((6, 6, 1), 3))
    image = np.random.default_rng(0).random((4, 6, 6, 1), np.float32)
    before, weights = masked.model(image).numpy(), masked.model.get_weights()
    looks = [dict(vars(layer)) for layer in masked.model.layers]
    paths = SignalPaths(masked, InputSpec((6, 6, 1)), "it")
    paths.effective(paths.dense)
    assert not np.array_equal(masked.model(image).numpy(), before)  # other values
    masked.model.set_weights(weights)
    np.testing.assert_array_equal(masked.model(image).numpy(), before)
    for layer, look in zip(masked.model.layers, looks, strict=True):
        assert [vars(layer).get(n) for n in ("call", "activation")] == [
            look.get(n) for n in ("call", "activation")
        ]


@pytest.mark.slow
def test_a_hundred_layers_neither_overflow_nor_fade() -> None:
    image = x = L.Input((4, 4, 1))
    for _ in range(100):
        x = L.ReLU()(L.Conv2D(8, 3, padding="same")(x))
    model = tf_keras.Model(image, L.Dense(2)(L.GlobalMaxPooling2D()(x)))
    masked = MaskedModel(model)
    paths = SignalPaths(masked, InputSpec((4, 4, 1)), "it")
    assert paths.dense.density == 1
    # One channel goes on from layer to layer, in the last corner of the kernel's middle.
    thin = {name: np.zeros(m.shape, np.bool_) for name, m in masked.masks.items()}
    for keep in thin.values():
        keep.reshape(-1, *keep.shape[-2:])[keep[..., 0, 0].size // 2, 0, 0] = True
    assert paths.effective(Mask(thin)) == Mask(thin)
    thin[list(thin)[50]][:] = False
    assert not paths.effective(Mask(thin)).kept


def test_a_weight_that_sees_nothing_but_padding_is_on_no_path() -> None:
    image = L.Input((1, 1, 1))
    x = L.Flatten()(L.Conv2D(2, 3, padding="same", name="conv")(image))
    paths = SignalPaths(
        MaskedModel(tf_keras.Model(image, L.Dense(2, name="e")(x))), InputSpec((1, 1, 1)), "it"
    )
    assert paths.dense["conv/kernel"].sum(axis=(2, 3)).tolist() == [[0, 0, 0], [0, 2, 0], [0, 0, 0]]
    assert paths.dense["e/kernel"].all()


def test_one_use_of_a_shared_layer_is_enough() -> None:
    image = L.Input((2, 2, 1))
    shared = L.Dense(4, name="shared")
    x = L.Flatten()(image)
    model = tf_keras.Model(image, L.Dense(2, name="e")(shared(shared(x))))
    paths = SignalPaths(MaskedModel(model), InputSpec((2, 2, 1)), "it")
    mask = {"shared/kernel": np.zeros((4, 4), np.bool_), "e/kernel": np.ones((4, 2), np.bool_)}
    mask["shared/kernel"][0, 1] = mask["shared/kernel"][1, 2] = True
    mask["shared/kernel"][3, 0] = True  # the first use's 3 -> 0 goes on by the second's 0 -> 1
    found = paths.effective(Mask(mask))
    assert np.argwhere(found["shared/kernel"]).tolist() == [[0, 1], [1, 2], [3, 0]]
    assert np.argwhere(found["e/kernel"])[:, 0].tolist() == [1, 1, 2, 2]


@pytest.mark.parametrize("make", [wirings.concatenated, wirings.dense_block, wirings.sequential])
def test_every_weight_of_a_dense_network_is_on_a_path(make: Callable) -> None:
    masked = MaskedModel(make())
    assert SignalPaths(masked, InputSpec(wirings.IMAGE), "it").dense.density == 1


def attention() -> tf_keras.Model:
    image = L.Input((4, 4, 1))
    x = L.Reshape((4, 4))(image)
    return tf_keras.Model(image, L.Dense(2)(L.Flatten()(L.MultiHeadAttention(2, 3)(x, x))))


def recurrent() -> tf_keras.Model:
    image = L.Input((4, 4, 1))
    return tf_keras.Model(image, L.Dense(2)(L.LSTM(3)(L.Reshape((4, 4))(image))))


def gated() -> tf_keras.Model:
    """What a sigmoid lets out goes on even where nothing comes in; and no layer says so."""
    image = L.Input((4, 4, 1))
    x = L.Dense(3)(L.Flatten()(image))
    return tf_keras.Model(image, L.Dense(2)(L.Lambda(lambda v: 1 / (1 + v))(x)))


@pytest.mark.parametrize(
    ("model", "why"),
    [
        (attention, "attention"),
        (recurrent, "it is not known how the layer of lstm"),
        (gated, "depend on more than what arrives"),
        (lambda: around(Prunable(name="x"), (4, 4, 1)), "it is not known how the layer of x"),
    ],
)
def test_a_model_that_does_not_tell_is_refused(model: Callable, why: str) -> None:
    masked = MaskedModel(model())
    whole = Mask({name: np.ones(m.shape, np.bool_) for name, m in masked.masks.items()})
    with pytest.raises(UsageError, match=f"it: its effective weights cannot be determined.*{why}"):
        SignalPaths(masked, InputSpec((4, 4, 1)), "it").effective(whole)
