"""Channel graph: which channels a model has, and that dropping one changes nothing else."""

import numpy as np
import pytest
from layer_kinds import Subclassed
from wirings import IMAGE, NETWORKS, L, conv, ended

from ltx import UsageError
from ltx.backends.tf_keras.graph.channel_graph import channel_groups, channels
from ltx.backends.tf_keras.graph.variables import named_variables
from ltx.backends.tf_keras.masking import MaskedModel
from ltx.backends.tf_keras.models import builder

import tf_keras  # isort: skip


@pytest.fixture(autouse=True)
def _fresh_names_and_weights():
    tf_keras.backend.reset_uids()
    tf_keras.utils.set_random_seed(0)


def layer_names(axes):
    return " ".join(axis.name.rpartition("/")[0] for axis in axes)


@pytest.mark.parametrize("network", NETWORKS, ids=lambda network: network.__name__)
def test_channels_are_those_of_the_network(network):
    model = network()
    found = channels(model, MaskedModel(model).masks)
    assert [
        (c.size, layer_names(c.writers), layer_names(c.readers), {*c.scales, *c.followers})
        for c in found
    ] == NETWORKS[network]


@pytest.mark.parametrize("network", NETWORKS, ids=lambda network: network.__name__)
def test_dropping_channels_leaves_the_others_alone(network):
    model, rng = network(), np.random.default_rng(0)
    variables = {entry.name: entry.variable for entry in named_variables(model)}
    masked = MaskedModel(model)
    inputs = rng.normal(size=(4, *model.input_shape[1:])).astype("float32")
    for wire in channel_groups(model, masked.masks):
        dead = rng.permutation(wire.channels.size) < (wire.channels.size + 1) // 2
        before = model(inputs).numpy()
        masked.set_masks(wire.channels.drop(masked.get_masks(), dead))
        masked.apply()
        dropped = model(inputs).numpy()
        assert not np.allclose(dropped, before)
        for axis in wire.along:
            array = variables[axis.name].numpy()
            assert len(array) == len(axis.places(dead))
            array[axis.places(dead)] = 7
            variables[axis.name].assign(array)
        np.testing.assert_array_equal(model(inputs), dropped)
        for axis in wire.along:
            array = variables[axis.name].numpy()
            array[axis.places(~dead)] += 1
            variables[axis.name].assign(array)
        assert not wire.along or not np.allclose(model(inputs), dropped)


@pytest.mark.parametrize(
    ("name", "count"),
    [("lenet_300_100", 2), ("conv_6", 8), ("vgg_11", 8), ("resnet_20", 12), ("resnet_50", 37)],
)
def test_the_papers_networks_are_read_whole(name, count):
    model = builder.build(name, (32, 32, 3), 10)
    found = channels(model, MaskedModel(model).masks)
    assert len(found) == count
    made = {axis.name for c in found for axis in c.writers}
    taken = {axis.name for c in found for axis in c.readers}
    kernels = list(MaskedModel(model).masks)
    assert made == {*kernels} - {kernels[-1]}
    assert taken == {*kernels} - {kernels[0]}


def test_a_norm_behind_a_concatenation_has_its_entries_in_order():
    model = next(network for network in NETWORKS if network.__name__ == "concatenated")()
    first, second, _ = channel_groups(model, MaskedModel(model).masks)
    places = {axis.name: (axis.start, axis.size, axis.total) for axis in second.along}
    assert places["norm/gamma"] == (4, 2, 9)
    assert places["norm/gamma"] != places["b/bias"]
    assert {axis.start for axis in first.along} == {0}


def test_frozen_scales_are_no_scales():
    image = L.Input(IMAGE)
    x = L.BatchNormalization(trainable=False, name="norm")(conv(image, 4, "a"))
    model = ended(image, x)
    (found,) = channels(model, MaskedModel(model).masks)
    assert found.scales == ()
    assert "norm/gamma" in found.followers


def test_a_kernel_that_an_unknown_layer_borrows_is_left_alone():
    class Borrowing(L.Layer):
        def __init__(self, of):
            super().__init__()
            self.of = of

        def call(self, x):
            return x @ self.of.kernel

    image = L.Input((5,))
    first, second = L.Dense(5, name="a"), L.Dense(5, name="b")
    x = second(first(image))
    model = ended(image, Borrowing(second)(x))
    assert channels(model, ("a/kernel", "b/kernel", "logits/kernel")) == ()


@pytest.mark.parametrize("make", [Subclassed, lambda: tf_keras.Sequential([L.Dense(3)])])
def test_a_model_without_a_graph_is_refused(make):
    with pytest.raises(UsageError, match="functional or Sequential"):
        channels(make(), ())


def test_half_precision_changes_no_wiring():
    half, whole = (
        builder.build("resnet_20", IMAGE, 3, precision=p) for p in ("bfloat16", "float32")
    )
    assert channels(half, MaskedModel(half).masks) == channels(whole, MaskedModel(whole).masks)
