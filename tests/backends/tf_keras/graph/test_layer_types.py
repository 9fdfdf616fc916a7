"""Layer types: disjoint groups, and what a weight multiplies, for every kind of layer."""

from itertools import combinations

import pytest
import tf_keras
from layer_kinds import IMAGE, KINDS, Filtered, around

from ltx.backends.tf_keras.graph import layer_types, variables
from ltx.backends.tf_keras.masking import MaskedModel
from ltx.backends.tf_keras.models import builder

GROUPS = {
    name: group
    for name, group in vars(layer_types).items()
    if name.isupper() and name not in ("PASSING", "CONVOLVING", "ELEMENTWISE")
}
WEIGHTED = ("DENSE", "CONVOLUTIONS", "TRANSPOSED", "DEPTHWISE", "SEPARABLE", "CONV_LSTM", "NORMS")


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_layer_counts_its_multiplications(kind):
    tf_keras.backend.reset_uids()
    make, expected, category = KINDS[kind]
    model = make()
    owned = variables.named_variables(model)
    entries = {entry.name: entry for entry in owned if entry.name in expected}
    weights = [
        layer_types.weight(e.name, e.layer, e.shape, e.times, False) for e in entries.values()
    ]
    assert {weight.name: weight.uses for weight in weights} == expected
    assert {
        layer_types.kind(e.layer, e.shape, e.repeater, e.attends) for e in entries.values()
    } <= {category}
    assert all(weight.shape == entries[weight.name].variable.shape for weight in weights)
    owners = [(entry.layer, entry.shape) for entry in owned]
    assert layer_types.has_convolution(model, owners) is (category == "conv")


def test_output_units_lie_where_each_kind_of_layer_has_them():
    layers = tf_keras.layers
    for made, shape, kind, expected in (
        (layers.Dense(5), (4, 5), "kernel", (-1,)),
        (layers.Conv2D(5, 3), (3, 3, 4, 5), "kernel", (-1,)),
        (layers.Conv2DTranspose(5, 3), (3, 3, 5, 4), "kernel", (-2,)),
        (layers.DepthwiseConv2D(3, depth_multiplier=2), (3, 3, 4, 2), "depthwise_kernel", (-2, -1)),
        (
            layers.SeparableConv2D(5, 3, depth_multiplier=2),
            (3, 3, 4, 2),
            "depthwise_kernel",
            (-2, -1),
        ),
        (layers.SeparableConv2D(5, 3, depth_multiplier=2), (1, 1, 8, 5), "pointwise_kernel", (-1,)),
        (layers.EinsumDense("abc,cde->abde", (6, 2, 3)), (4, 2, 3), "kernel", (-2, -1)),
    ):
        made.build((None, 6, 6, 4) if len(shape) == 4 else (None, 6, 4))
        assert shape in [tuple(variable.shape) for variable in made.variables]
        assert layer_types.weight(f"x/{kind}", made, shape, 1, False).made == expected


def test_uses_of_a_residual_network_count_its_multiplications():
    masked = MaskedModel(builder.build("resnet_20", (32, 32, 3), 10))
    # He et al. 2015: 41 million multiply-adds at 32x32, projections included.
    macs = sum(weight.size * weight.uses for weight in masked.prunable)
    assert macs == pytest.approx(41e6, rel=0.02)


def test_a_custom_convolution_counts_as_one():
    masked = MaskedModel(around(Filtered(name="x"), IMAGE))
    assert masked.unprunable == {"x/filters": 3 * 3 * 4 * 2}
    assert masked.has_convolution
    model = around(Filtered(name="x", trainable=False), IMAGE)
    assert MaskedModel(model).has_convolution


def test_a_layer_is_of_one_kind_only() -> None:
    for (one, first), (other, second) in combinations(GROUPS.items(), 2):
        assert not {*first} & {*second}, (one, other)


def test_what_passes_channels_on_weighs_nothing() -> None:
    weighted = tuple(kind for name in WEIGHTED for kind in GROUPS[name])
    assert not any(issubclass(kind, weighted) for kind in layer_types.PASSING)


def test_no_elementwise_activation_mixes_channels() -> None:
    one, other = ([0.5, 1.0], [0.5, 9.0])
    for activation in layer_types.ELEMENTWISE:
        first, second = (activation(tf_keras.backend.constant([x])).numpy() for x in (one, other))
        assert first[0, 0] == second[0, 0], activation
