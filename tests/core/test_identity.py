"""Identity: pinned hashes, and what they do and do not depend on."""

import dataclasses
import subprocess
import sys
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

import ltx
from ltx.config import plugins
from ltx.core import identity
from ltx.core.engine import Engine
from ltx.evaluation.instability import Stability

# None of these may change: every stored ticket, trial and memo entry is found by such a hash. A
# new field needs a default that leaves the behaviour, and so the hash, as it was.
GOLDEN = {
    "Task()": "90d358c4078748fd",
    "Recipe()": "79e8559f546cb973",
    "Pruning()": "4a54192b596c0857",
    "Magnitude()": "6237ba5b07c75c98",
    "Random()": "b0581088945d2b02",
    "Snip()": "03fcaa41775fca7b",
    "Grasp()": "dec3bc8e61afefbd",
    "Synflow()": "4b1b4015f94784fb",
    "Criterion()": "6061aa04fba9f8a5",
    "BatchNormScale()": "7c34a7fe255efab3",
    "Unstructured()": "b8b6cad3e28e9d67",
    "ByChannel()": "526cb982db4e9e41",
    "Blocks()": "2cd1e1f534cc4db1",
    "NofM()": "6269e6b3216afaa5",
    "Pruning(structure=ByChannel())": "4e1efb363a5b1b31",
    "Engine()": "f2d95db5aa32b518",
    "Stability()": "b54eb54f69baec61",
    "imp()": "3bc712b646efb74f",
    "early_rewind()": "d9bf00ae900bf4d6",
    "oneshot()": "83f61ce5edb8eb39",
    "snip()": "2526c6b5da09af89",
    "grasp()": "9ef14bcd2b983b15",
    "synflow()": "03edb0dcab1e0b8f",
    "early_bird()": "19f8507279a51a0d",
    "gradual()": "b615e89dec63322d",
    "rigl()": "170d358addc6470c",
    "set()": "b63092920ab01698",
    "EdgePopup()": "c9c2f74b78e48cca",
    "Bernoulli()": "045c55d5682b98a7",
    "supermask()": "e40a2e7b109ab2bd",
    "random_reinit(of=imp())": "bf287dee4f1cf0bd",
    "transfer(of=imp(), source='mnist')": "88c160ea957df202",
    "transfer(of=imp(), source=Task(), carry='sign')": "faed25202e997e9b",
    "subset(of=imp())": "6e10ba23e5bf8666",
    "corrupted(of=imp())": "60e1b368df7de8e8",
    "random_reinit(of=imp(), mask='uniform')": "bb54f36d013f2f01",
    "Task(subset=0.1, corrupt='random_labels', classes=(0, 1))": "23f9b76760e88158",
    "Task(data='mnist', recipe=Recipe(drops=('50%',), schedule='step'))": "bacf5438c61cc62a",
    "imp(levels=3, pruning=Pruning(scope='global', keep='conv_1/*'))": "ac61ec90f5652de5",
}

SCORES = ("Magnitude", "Random", "Snip", "Grasp", "Synflow", "Criterion", "BatchNormScale")
STRUCTURES = ("Unstructured", "ByChannel", "Blocks", "NofM")

FINDERS = (
    *("imp", "early_rewind", "random_reinit", "transfer", "oneshot", "snip", "grasp", "synflow"),
    *("early_bird", "gradual", "rigl", "set", "supermask", "subset", "corrupted"),
)


def golden_names() -> dict[str, Any]:
    finders = {n: plugins.load(n) for n in FINDERS}
    names = ("Task", "Recipe", "Pruning", "EdgePopup", "Bernoulli", *SCORES, *STRUCTURES)
    core = {n: getattr(ltx, n) for n in names}
    return {**finders, **core, "Engine": Engine, "Stability": Stability}


@pytest.mark.parametrize("made", GOLDEN)
def test_identities_of_old_stay(made: str) -> None:
    assert identity.identity(eval(made, golden_names())) == GOLDEN[made]


# A default that changes keeps the hash of what is stored, which then stands for another value.
DEFAULTS = {
    "Task": "('digits', 'lenet_300_100', Recipe(), {}, None, 'resize', 0.1, 0, 1.0, 'none', ())",
    "Recipe": "('adam', 0.0012, 0.9, 'constant', '0it', (), 0.1, 60, '50000it', 0.0, 0.0, 0.0,"
    " 'none', '100it')",
    "Pruning": "(0.2, 'layer', None, None, None, (), None, Unstructured())",
    "Blocks": "(4, 1, 'average')",
    "NofM": "(2, 4)",
    "Criterion": "('large_final',)",
    "Random": "('score',)",
    "Snip": "(1,)",
    "Grasp": "(1, 200.0)",
    "Engine": "('one', 'auto', 'float32', 'auto', True, 2048)",
    "imp": "(12, Pruning(rate=0.2), Magnitude())",
    "oneshot": "(0.1, Magnitude(), 1, 'global', (), Unstructured())",
    "snip": "(0.1, 1)",
    "grasp": "(0.1, 1, 200.0)",
    "synflow": "(0.1, 100)",
    "early_bird": "((0.5, 0.3, 0.1), '5%', 5, 0.3, 'init', 'global', Magnitude())",
    "gradual": "(0.1, '0%', '75%', '100it', 'layer', Magnitude())",
    "rigl": "(0.1, '100it', '75%', 0.3, 'erk')",
    "set": "(0.1, '1ep', 0.3, 'erk')",
    "EdgePopup": "(0.5, 0.1, 0.9)",
    "Bernoulli": "(0.5, 100, 0)",
    "supermask": "(None, None, 'init')",
    "early_rewind": "(12, '1%', 'weights', Pruning(rate=0.2, scope='global'), Magnitude())",
}


@pytest.mark.parametrize("name", DEFAULTS)
def test_defaults_of_old_stay(name: str) -> None:
    cls = golden_names()[name]
    expected = eval(DEFAULTS[name], golden_names())
    made = cls()
    assert (
        tuple(getattr(made, f.name) for f in dataclasses.fields(cls))[: len(expected)] == expected
    )


@dataclasses.dataclass(frozen=True)
class Before:
    rate: float = 0.2
    name: str = "x"


def after() -> type:
    return dataclasses.make_dataclass(
        "Before",
        [
            ("rate", float, 0.2),
            ("name", str, "x"),
            ("extra", dict, dataclasses.field(default_factory=dict)),
        ],
        frozen=True,
        namespace={"__module__": __name__},
    )


def test_a_new_field_with_a_default_moves_nothing() -> None:
    assert identity.identity(Before(rate=0.5)) == identity.identity(after()(rate=0.5))
    assert identity.identity(Before()) != identity.identity(after()(extra={"a": 1}))


def test_a_field_that_is_not_compared_is_not_seen() -> None:
    assert identity.identity(Engine(resident_mb=1)) == identity.identity(Engine())


def test_classes_of_one_name_in_two_packages_differ() -> None:
    assert identity.describe(Before()) == {"is": f"{__name__}:Before"}
    assert identity.describe(ltx.Recipe()) == {"is": "Recipe"}


@given(rate=st.sampled_from([1, 2, 0.5]), momentum=st.sampled_from([0, 0.5]))
def test_equal_values_have_equal_identities(rate: float, momentum: float) -> None:
    one = ltx.Recipe(learning_rate=rate, momentum=momentum)
    other = ltx.Recipe(learning_rate=float(rate), momentum=float(momentum))
    assert one == other
    assert identity.identity(one) == identity.identity(other)


def test_numpy_scalars_are_plain_numbers() -> None:
    assert identity.identity([np.int64(3), np.float64(0.5), np.bool_(True)]) == identity.identity(
        [3, 0.5, True]
    )


@pytest.mark.parametrize("value", [object(), {1, 2}, lambda: 0, np.zeros(2), b"bytes", ltx.Task])
def test_what_has_no_plain_content_has_no_identity(value: object) -> None:
    with pytest.raises(TypeError, match="identity"):
        identity.identity({"value": value})


def test_order_of_names_does_not_matter() -> None:
    assert identity.identity({"a": 1, "b": 2}) == identity.identity({"b": 2, "a": 1})
    a, b = np.zeros(2), np.ones(3)
    assert identity.digest({"a": a, "b": b}) == identity.digest({"b": b, "a": a})


@pytest.mark.parametrize(
    "other",
    [
        {"b": np.arange(6, dtype=np.int32)},
        {"a": np.arange(6, dtype=np.int32).reshape(2, 3)},
        {"a": np.arange(6, dtype=np.uint32)},
        {"a": np.arange(1, 7, dtype=np.int32)},
        {"a": np.arange(6, dtype=np.int32), "b": np.zeros(0)},
        {},
    ],
)
def test_a_digest_sees_names_shapes_dtypes_and_bytes(other: dict[str, np.ndarray]) -> None:
    assert identity.digest({"a": np.arange(6, dtype=np.int32)}) != identity.digest(other)


@given(hnp.arrays(np.float32, hnp.array_shapes(min_dims=0, min_side=0)))
def test_a_digest_does_not_see_the_layout(array: np.ndarray) -> None:
    assert identity.digest({"a": np.asfortranarray(array)}) == identity.digest({"a": array})


def test_frozen_arrays_cannot_be_changed_by_anyone() -> None:
    given_array = np.arange(6.0).reshape(2, 3)
    view = given_array.view()
    view.flags.writeable = False
    frozen = identity.freeze({"own": given_array, "view": view, "turned": given_array.T})
    given_array[:] = -1
    np.testing.assert_array_equal(frozen["own"], np.arange(6.0).reshape(2, 3))
    np.testing.assert_array_equal(frozen["turned"], np.arange(6.0).reshape(2, 3).T)
    np.testing.assert_array_equal(frozen["view"], np.arange(6.0).reshape(2, 3))
    with pytest.raises(ValueError, match="read-only"):
        frozen["own"][0] = 0


def test_freezing_what_is_frozen_copies_nothing() -> None:
    frozen = identity.freeze({"a": np.zeros(3)})
    assert identity.freeze(frozen)["a"] is frozen["a"]


def test_generators_are_the_same_in_every_process() -> None:
    code = "from ltx.core import identity; print(identity.generator(3, 'a', 1).integers(2**60))"
    seen = {
        subprocess.run(
            [sys.executable, "-c", code],
            env={"PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in ("0", "1")
    }
    assert seen == {f"{identity.generator(3, 'a', 1).integers(2**60)}\n"}


def test_every_seed_and_stream_has_its_own_generator() -> None:
    streams: list[tuple[int, tuple[object, ...]]] = [
        *((seed, ("a",)) for seed in (0, 1)),
        *((0, stream) for stream in (("b",), ("a", "b"), ("a", 1), ())),
    ]
    drawn = {identity.generator(seed, *stream).integers(2**60) for seed, stream in streams}
    assert len(drawn) == len(streams)
