"""Bench: what a watched lab sees, and what it changes nothing about."""

import dataclasses
import random

import numpy as np
import pytest

from ltx import Finder, Lab, Mask, UsageError, require_finder
from ltx.testing import FakeLab, WatchedLab
from ltx.testing.harness import (
    CALLS,
    DenseOnly,
    EndlessError,
    ExampleFinder,
    FinderHarness,
    example,
    find,
    generators,
)


@pytest.mark.parametrize("finder", [ExampleFinder(), DenseOnly()])
def test_a_watched_lab_gives_what_the_lab_gives(finder: ExampleFinder | DenseOnly) -> None:
    assert list(finder.find(WatchedLab(seed=3))) == list(finder.find(FakeLab(seed=3)))


def test_siblings_share_the_watch() -> None:
    lab = WatchedLab()
    sibling = lab.on(data="elsewhere")
    sibling.train(sibling.init(), sibling.dense(), "7it")
    assert lab.watch.steps == 7


def test_it_knows_what_the_lab_gave_for_which_step() -> None:
    lab = WatchedLab()
    state = lab.train(lab.init(), lab.dense(), "7it").state
    array = state.weights["hidden/kernel"]
    assert lab.watch.gave(7, "weights", "hidden/kernel", array)
    assert not lab.watch.gave(0, "weights", "hidden/kernel", array)
    assert not lab.watch.gave(7, "weights", "output/kernel", array)
    assert not lab.watch.gave(7, "weights", "hidden/kernel", array + np.float32(1e-7))


def test_a_changed_byte_is_seen() -> None:
    lab = WatchedLab()
    mask: Mask = lab.dense()
    assert lab.watch.changed() == []
    array = mask["hidden/kernel"]
    array.setflags(write=True)
    array[0, 0] = False
    assert lab.watch.changed() == ["a mask that the lab gave"]


def test_a_run_is_made_once() -> None:
    bench = FinderHarness(ExampleFinder(), WatchedLab)
    assert bench.found(seed=1) is bench.found(seed=1)
    assert bench.found(seed=1) is not bench.found(seed=2)


def test_a_lab_on_the_bench_has_had_enough_at_some_point() -> None:
    lab: Lab = FinderHarness(DenseOnly(), WatchedLab).lab()
    state, mask = lab.init(), lab.dense()
    for _ in range(CALLS):
        lab.train(state, mask, "0it")
    with pytest.raises(EndlessError):
        lab.train(state, mask, "0it")


@pytest.mark.parametrize(
    ("name", "draw"),
    [("random", random.random), ("numpy.random", np.random.random)],
)
def test_shared_generators_are_told_apart(name: str, draw: object) -> None:
    before = generators()
    draw()  # type: ignore[operator]
    after = generators()
    assert [key for key in after if after[key] != before[key]] == [name]


def test_the_generator_of_a_loaded_tensorflow_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    import tensorflow as tf
    from tensorflow.python.eager.context import context

    for name in ("_seed", "_rng"):  # to be put back
        monkeypatch.setattr(context(), name, getattr(context(), name, None), raising=False)
    seen = [generators()["tf.random"]]
    tf.random.set_seed(3)
    seen.append(generators()["tf.random"])
    tf.random.normal([1])
    seen.append(generators()["tf.random"])
    assert len(set(seen)) == 3


@pytest.mark.parametrize("layers", [1, 2])
@pytest.mark.parametrize("start", ["drawn", "equal", "zero"])
def test_every_lab_of_the_bench_keeps_the_contract(layers: int, start: str) -> None:
    lab = FinderHarness(ExampleFinder(), WatchedLab).lab(0, layers, start)
    found = find(ExampleFinder(), lab)
    assert found.tickets[0].density == 1
    values = {float(v) for w in lab.prunable for v in lab.init().weights[w.name].flat}
    assert (len(values) == 1) == (start != "drawn")
    other = lab.init("another").weights
    assert all(np.unique(other[w.name]).size > 1 for w in lab.prunable)
    flow = lab.synaptic_flow(lab.init(), lab.dense())
    second = lab.hessian_gradient(lab.init(), lab.dense())
    for weight in lab.prunable:
        assert flow[weight.name].shape == second[weight.name].shape == weight.shape


@dataclasses.dataclass(frozen=True)
class NeedsAnother(ExampleFinder):
    of: Finder | None = None

    def __post_init__(self) -> None:
        require_finder(self.of, "outer")


def test_a_class_that_cannot_be_made_says_how_to_make_it() -> None:
    with pytest.raises(
        UsageError, match=r"NeedsAnother\.example: outer\.of: .*return cls\(of=of\)"
    ):
        example(NeedsAnother)
    assert example(ExampleFinder) == ExampleFinder()
