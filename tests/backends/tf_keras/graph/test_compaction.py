"""Compaction: the same function from fewer numbers, for any mask, and the same training."""

import dataclasses

import numpy as np
import pytest
import tf_keras
import tiny
import wirings
from layer_kinds import Subclassed
from wirings import IMAGE, NETWORKS, L, conv, ticket_of

from ltx import Mask, State, Task, UsageError
from ltx.backends.tf_keras.graph.compaction import compact
from ltx.backends.tf_keras.graph.variables import named_variables
from ltx.backends.tf_keras.masking import MaskedModel
from ltx.backends.tf_keras.models import builder
from ltx.core.recipe import Recipe


@pytest.fixture(autouse=True)
def _fresh_names_and_weights():
    tf_keras.backend.reset_uids()
    tf_keras.utils.set_random_seed(0)


def half(size):
    return np.random.default_rng(size).permutation(size) < size // 2


def settled(ticket, seed=0):
    """The ticket as after a training: no bias or statistic is as it was made."""
    rng = np.random.default_rng(seed)
    weights, statistics = (
        {
            name: array + (rng.normal(0, 0.3, array.shape) if array.ndim == 1 else 0)
            for name, array in group.items()
        }
        for group in (ticket.state.weights, ticket.state.statistics)
    )
    statistics = {name: np.abs(array) for name, array in statistics.items()}
    float32 = [
        {n: a.astype("float32") for n, a in group.items()} for group in (weights, statistics)
    ]
    return dataclasses.replace(ticket, state=State(*float32))


def masked_output(model, ticket, inputs):
    """What the whole model makes of the inputs under the ticket's mask."""
    arrays = {**ticket.mask.apply(ticket.state.weights), **ticket.state.statistics}
    for entry in named_variables(model):
        entry.variable.assign(arrays[entry.name])
    return model(inputs).numpy()


def check_same_function(model, ticket):
    inputs = np.random.default_rng(1).normal(size=(4, *model.input_shape[1:])).astype("float32")
    before = [entry.variable.numpy() for entry in named_variables(model)]
    smaller = compact(model, ticket)
    for entry, array in zip(named_variables(model), before, strict=True):
        np.testing.assert_array_equal(entry.variable, array)
    expected = masked_output(model, ticket, inputs)
    np.testing.assert_allclose(smaller(inputs), expected, 0, 1e-5 * np.abs(expected).max())
    return smaller


MASKS = {
    "half the channels": {"dead": half},
    "a twentieth": {"density": 0.05},
    "half the channels, a fifth of them": {"dead": half, "density": 0.2},
}


@pytest.mark.parametrize("mask", MASKS)
@pytest.mark.parametrize("network", NETWORKS, ids=lambda network: network.__name__)
def test_any_mask_leaves_the_function_as_it_was(network, mask):
    model = network()
    ticket = settled(ticket_of(model, **MASKS[mask]))
    smaller = check_same_function(model, ticket)
    assert smaller.count_params() <= model.count_params()
    if NETWORKS[network] and "dead" in MASKS[mask]:
        assert smaller.count_params() < model.count_params()


@pytest.mark.parametrize("mask", [{"dead": half}, {"density": 0.01}], ids=["channels", "weights"])
@pytest.mark.parametrize("name", ["lenet_300_100", "conv_2", "resnet_20"])
def test_the_papers_networks_keep_their_function(name, mask):
    model = builder.build(name, (16, 16, 3), 10)
    smaller = check_same_function(model, settled(ticket_of(model, **mask)))
    assert smaller.count_params() < model.count_params()


def test_half_the_channels_are_an_exact_number_of_parameters():
    def size(name, **mask):
        model = builder.build(name, (16, 16, 1), 10)
        return compact(model, ticket_of(model, **mask)).count_params()

    def lenet(inputs, one, two):
        return inputs * one + one + one * two + two + two * 10 + 10

    assert size("lenet_300_100") == lenet(256, 300, 100)
    assert size("lenet_300_100", dead=half) == lenet(256, 150, 50)
    convolutions = 9 * 32 + 32 + 9 * 32 * 32 + 32
    assert size("conv_2", dead=half) == convolutions + lenet(64 * 32, 128, 128)
    # Per block two 3x3 kernels, and four BatchNorm numbers a channel.
    blocks = [(8, 8), (8, 8), (8, 8), (8, 16), (16, 16), (16, 16), (16, 32), (32, 32), (32, 32)]
    total = 9 * 8 + 4 * 8 + sum(9 * a * b + 9 * b * b + 8 * b for a, b in blocks)
    shortcuts = 8 * 16 + 4 * 16 + 16 * 32 + 4 * 32
    assert size("resnet_20", dead=half) == total + shortcuts + 32 * 10 + 10


def test_a_channel_goes_from_a_sum_only_when_all_agree():
    model = wirings.residual()
    ticket = ticket_of(model)

    def left(*closed):
        mask = {name: keep.copy() for name, keep in ticket.mask.items()}
        for name, index in closed:
            mask[name][index] = False
        smaller = compact(model, dataclasses.replace(ticket, mask=Mask(mask)))
        return smaller.get_layer("a").filters

    taken = [("b/kernel", np.s_[:, :, 1]), ("logits/kernel", np.s_[1])]
    assert [left(*taken[:1]), left(*taken[1:]), left(*taken)] == [4, 4, 3]
    # Made from nothing the channel is constant, which the padded convolution cannot take over.
    assert left(("a/kernel", np.s_[..., 1]), ("c/kernel", np.s_[..., 1])) == 4


def test_a_constant_moves_into_the_bias_behind_it():
    model = wirings.plain()
    ticket = settled(ticket_of(model))
    mask = {name: keep.copy() for name, keep in ticket.mask.items()}
    mask["b/kernel"][:, [1, 4]] = False
    ticket = dataclasses.replace(ticket, mask=Mask(mask))
    smaller = check_same_function(model, ticket)
    assert smaller.get_layer("b").units == 4
    emitted = np.tanh(ticket.state.weights["b/bias"][[1, 4]])
    moved = emitted @ ticket.state.weights["logits/kernel"][[1, 4]]
    expected = ticket.state.weights["logits/bias"] + moved
    np.testing.assert_allclose(smaller.get_layer("logits").bias, expected, 1e-4, 1e-6)


def test_without_a_bias_to_take_a_constant_the_channel_stays():
    image = L.Input((5,))
    hidden = L.Dense(4, "sigmoid", name="a")(image)
    model = tf_keras.Model(image, L.Dense(3, use_bias=False, name="logits")(hidden))
    ticket = ticket_of(model)
    mask = {name: keep.copy() for name, keep in ticket.mask.items()}
    mask["a/kernel"][:, 2] = False
    smaller = check_same_function(model, dataclasses.replace(ticket, mask=Mask(mask)))
    assert smaller.get_layer("a").units == 4


@pytest.mark.parametrize("inside", [False, True])
def test_a_norm_that_always_trains_has_no_constants(inside):
    image = L.Input(IMAGE)
    x = L.GlobalMaxPooling2D()(conv(image, 4, "a"))
    norm = L.BatchNormalization(name="norm")
    around = tf_keras.Sequential([L.Input((4,)), norm])
    x = around(x, training=True) if inside else norm(x, training=True)
    model = tf_keras.Model(image, L.Dense(3, name="logits")(x))
    ticket = settled(ticket_of(model))
    mask = {name: keep.copy() for name, keep in ticket.mask.items()}
    mask["a/kernel"][..., 0] = False
    smaller = check_same_function(model, dataclasses.replace(ticket, mask=Mask(mask)))
    assert smaller.get_layer("a").filters == 4


def test_a_chain_of_dead_channels_goes_whole():
    model = builder.build("lenet_300_100", (4, 4, 1), 10)
    ticket = settled(ticket_of(model))
    mask = {name: keep.copy() for name, keep in ticket.mask.items()}
    mask["logits/kernel"][10:] = False  # nobody takes the rest of the second layer
    mask["dense_2/kernel"][5:, :10] = False  # whose first ten take five of the first
    smaller = check_same_function(model, dataclasses.replace(ticket, mask=Mask(mask)))
    assert (smaller.get_layer("dense_1").units, smaller.get_layer("dense_2").units) == (5, 10)


def test_of_a_layer_that_died_one_channel_stays():
    model = wirings.residual()
    ticket = settled(ticket_of(model))
    mask = {name: keep & (name != "b/kernel") for name, keep in ticket.mask.items()}
    mask["c/kernel"] = np.zeros_like(mask["c/kernel"])
    smaller = check_same_function(model, dataclasses.replace(ticket, mask=Mask(mask)))
    assert smaller.get_layer("b").filters == 1


def test_weights_that_may_yet_learn_are_no_dead_weights():
    model = wirings.plain()
    ticket = ticket_of(model)
    zeros = {name: np.zeros_like(array) for name, array in ticket.state.weights.items()}
    ticket = dataclasses.replace(ticket, state=ticket.state.replace(weights=zeros))
    assert compact(model, ticket).count_params() == model.count_params()


def unread(model, name, share):
    """A ticket under which nobody reads the first `share` of the places that a kernel takes."""
    mask = dict(ticket_of(model).mask)
    mask[name] = mask[name].copy()
    mask[name][: round(share * len(mask[name]))] = False
    return settled(dataclasses.replace(ticket_of(model), mask=Mask(mask)))


def test_dead_inputs_go_where_they_are_many(tmp_path):
    model = builder.build("lenet_300_100", (8, 8, 1), 10)
    few = check_same_function(model, unread(model, "dense_1/kernel", 0.2))
    assert few.get_layer("dense_1").kernel.shape == (64, 300)
    many = check_same_function(model, unread(model, "dense_1/kernel", 0.75))
    assert many.get_layer("dense_1").kernel.shape == (16, 300)
    many.save(tmp_path / "many.keras")
    again = tf_keras.models.load_model(tmp_path / "many.keras")
    inputs = np.random.default_rng(0).normal(size=(2, 8, 8, 1)).astype("float32")
    np.testing.assert_array_equal(again(inputs), many(inputs))


def test_places_of_live_maps_are_no_dead_inputs():
    model = wirings.plain()
    ticket = unread(model, "b/kernel", 0.5)
    assert check_same_function(model, ticket).get_layer("b").kernel.shape == (64, 6)


@pytest.mark.parametrize("network", [wirings.nested, wirings.gated, wirings.sequential])
def test_the_result_is_saved_and_loaded(network, tmp_path):
    model = network()
    smaller = compact(model, ticket_of(model, half))
    smaller.save(tmp_path / "smaller.keras")
    again = tf_keras.models.load_model(tmp_path / "smaller.keras")
    inputs = np.ones((2, *IMAGE), "float32")
    np.testing.assert_array_equal(again(inputs), smaller(inputs))
    assert again.count_params() < model.count_params()


def test_the_result_trains_by_fit():
    model = builder.build("conv_2", (8, 8, 1), 4)
    smaller = compact(model, ticket_of(model, half))
    smaller.compile("adam", tf_keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    rng = np.random.default_rng(0)
    labels = rng.integers(4, size=64)
    images = rng.normal(labels[:, None, None, None], 0.1, (64, 8, 8, 1))
    losses = smaller.fit(images, labels, epochs=3, verbose=0).history["loss"]
    assert losses[-1] < losses[0]


def test_training_compacted_is_training_masked():
    from ltx.backends.tf_keras.lab import KerasLab

    recipe = Recipe(optimizer="momentum", learning_rate=0.1, batch_size=32, length="6it")
    recipe = dataclasses.replace(recipe, eval_every="2it", weight_decay=1e-3)
    whole = KerasLab(Task(data="digits", model="tiny.residual", recipe=recipe), 0)
    model = tiny.residual(whole.input_shape, 10)
    mask = whole.dense()
    for channels in whole.channels:
        mask = Mask(channels.drop(mask, np.arange(channels.size) % 2 == 1))
    ticket = dataclasses.replace(ticket_of(model), mask=mask, state=whole.init())

    def state_of(smaller):
        masked = MaskedModel(smaller)
        groups = (masked.weights, masked.statistics)
        return State(*({n: v.numpy() for n, v in group.items()} for group in groups))

    small = KerasLab(Task(data="digits", model="wirings.halved", recipe=recipe), 0)
    start = state_of(compact(model, ticket))
    run, expected = small.train(start, small.dense()), whole.train(ticket.state, mask)
    assert run.history.loss == pytest.approx(expected.history.loss, rel=1e-4)
    ended = state_of(compact(model, ticket, expected.state))
    for group in ("weights", "statistics"):
        for name, array in getattr(ended, group).items():
            got = getattr(run.state, group)[name]
            np.testing.assert_allclose(got, array, rtol=1e-3, atol=1e-4)
            before = getattr(start, group)[name]
            if name != "conv_2/bias":  # BatchNorm takes a bias before it away
                assert not np.allclose(got, before, rtol=1e-3, atol=1e-4)


def test_a_ticket_of_another_model_is_refused():
    ticket = ticket_of(wirings.plain())
    with pytest.raises(UsageError, match="build the model that the ticket was found in"):
        compact(wirings.residual(), ticket)
    weights = {**ticket.state.weights, "a/bias": np.zeros(5, np.float32)}
    with pytest.raises(UsageError, match=r"a/bias of shape \(5,\).* has \(4,\)"):
        compact(wirings.plain(), dataclasses.replace(ticket, state=State(weights)))
    del weights["a/bias"]
    with pytest.raises(UsageError, match="no a/bias"):
        compact(wirings.plain(), dataclasses.replace(ticket, state=State(weights)))


def test_a_model_without_a_graph_is_refused():
    ticket = ticket_of(wirings.plain())
    for model in (Subclassed(), tf_keras.Sequential([L.Dense(3)])):
        with pytest.raises(UsageError, match="functional or Sequential"):
            compact(model, ticket)
