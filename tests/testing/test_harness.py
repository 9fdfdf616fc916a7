"""FinderHarness: what a traced lab records, and that it changes no result."""

import dataclasses
import random

import numpy as np
import pytest

from ltx import Finder, Lab, Mask, UsageError, require_finder
from ltx.testing import FakeLab, WatchedLab
from ltx.testing.example_finders import DenseOnly, ExampleFinder, example
from ltx.testing.harness import CALLS, EndlessError, FinderHarness, find, generators


@pytest.mark.parametrize("finder", [ExampleFinder(), DenseOnly()])
def test_a_traced_lab_returns_what_the_lab_returns(finder: ExampleFinder | DenseOnly) -> None:
    assert list(finder.find(WatchedLab(seed=3))) == list(finder.find(FakeLab(seed=3)))


def test_siblings_share_the_trace() -> None:
    lab = WatchedLab()
    sibling = lab.on(data="elsewhere")
    sibling.train(sibling.init(), sibling.dense(), "7it")
    assert lab.trace.steps == 7


def test_it_records_what_the_lab_returned_for_which_step() -> None:
    lab = WatchedLab()
    state = lab.train(lab.init(), lab.dense(), "7it").state
    array = state.weights["hidden/kernel"]
    assert lab.trace.returned(7, "weights", "hidden/kernel", array)
    assert not lab.trace.returned(0, "weights", "hidden/kernel", array)
    assert not lab.trace.returned(7, "weights", "output/kernel", array)
    assert not lab.trace.returned(7, "weights", "hidden/kernel", array + np.float32(1e-7))


def test_a_changed_byte_is_seen() -> None:
    lab = WatchedLab()
    mask: Mask = lab.dense()
    assert lab.trace.changed() == []
    array = mask["hidden/kernel"]
    array.setflags(write=True)
    array[0, 0] = False
    assert lab.trace.changed() == ["a mask that the lab returned"]


def test_a_search_is_run_once() -> None:
    harness = FinderHarness(ExampleFinder(), WatchedLab)
    assert harness.search(seed=1) is harness.search(seed=1)
    assert harness.search(seed=1) is not harness.search(seed=2)


def test_a_lab_of_the_harness_ends_a_finder_that_calls_it_too_often() -> None:
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
def test_global_generators_are_distinguished(name: str, draw: object) -> None:
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
def test_every_lab_of_the_harness_keeps_the_contract(layers: int, start: str) -> None:
    lab = FinderHarness(ExampleFinder(), WatchedLab).lab(layers=layers, start=start)
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


def test_a_class_without_an_example_says_how_to_make_it() -> None:
    with pytest.raises(
        UsageError, match=r"NeedsAnother\.example: outer\.of: .*return cls\(of=of\)"
    ):
        example(NeedsAnother)
    assert example(ExampleFinder) == ExampleFinder()
