"""Traversal: values follow the tensors, and models without a graph are refused."""

import numpy as np
import pytest
import tf_keras
import wirings
from layer_kinds import Subclassed
from wirings import IMAGE, NETWORKS, L

from ltx import UsageError
from ltx.backends.tf_keras.graph.traversal import check_graph, is_graph, is_plain, walk


def called(node, values):
    """What Keras itself does at a node, for layers that take their tensors in order."""
    given = values if isinstance(node.call_args[0], list) else values[0]
    made = node.layer(given)
    return made if isinstance(made, list) else [made]


NAMES = ("residual", "concatenated", "shared", "nested")


@pytest.mark.parametrize("network", [n for n in NETWORKS if n.__name__ in NAMES])
def test_a_walk_that_calls_the_layers_is_a_call_of_the_model(network):
    model = network()
    inputs = np.random.default_rng(0).normal(size=(2, *IMAGE)).astype("float32")
    np.testing.assert_array_equal(walk(model, [inputs], called)[0], model(inputs))


def test_inputs_and_outputs_keep_their_order():
    a, b = L.Input((2,), name="a"), L.Input((3,), name="b")
    model = tf_keras.Model([b, a], [L.ReLU()(a), b])
    assert walk(model, ["b", "a"], lambda node, values: [f"relu {values[0]}"]) == ["relu a", "b"]


def test_a_call_with_more_than_tensors_is_not_plain():
    image = L.Input(IMAGE)
    plain = L.Add()([image, L.ReLU()(image)])
    mixed = L.Add()([image, np.ones((1, *IMAGE), "float32")])
    assert is_plain(plain.node)
    assert not is_plain(mixed.node)


def test_a_model_without_a_graph_is_refused():
    assert is_graph(wirings.plain())
    for wrong in (Subclassed(), tf_keras.Sequential([L.Dense(3)]), L.Dense(3)):
        assert not is_graph(wrong)
        with pytest.raises(UsageError, match=rf"compact: .* got a {type(wrong).__name__}"):
            check_graph(wrong, "compact")
