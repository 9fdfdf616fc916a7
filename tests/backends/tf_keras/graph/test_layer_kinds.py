"""Kinds: every layer is of one kind, and those that let channels pass have no weights."""

from itertools import combinations

import tf_keras

from ltx.backends.tf_keras.graph import layer_kinds

GROUPS = {
    name: group
    for name, group in vars(layer_kinds).items()
    if name.isupper() and name not in ("PASSING", "ELEMENTWISE")
}
WEIGHTED = ("DENSE", "CONVOLUTIONS", "TRANSPOSED", "DEPTHWISE", "SEPARABLE", "NORMS")


def test_a_layer_is_of_one_kind_only() -> None:
    for (one, first), (other, second) in combinations(GROUPS.items(), 2):
        assert not {*first} & {*second}, (one, other)


def test_what_passes_channels_on_weighs_nothing() -> None:
    weighted = tuple(kind for name in WEIGHTED for kind in GROUPS[name])
    assert not any(issubclass(kind, weighted) for kind in layer_kinds.PASSING)


def test_no_elementwise_activation_mixes_channels() -> None:
    one, other = ([0.5, 1.0], [0.5, 9.0])
    for activation in layer_kinds.ELEMENTWISE:
        first, second = (activation(tf_keras.backend.constant([x])).numpy() for x in (one, other))
        assert first[0, 0] == second[0, 0], activation
