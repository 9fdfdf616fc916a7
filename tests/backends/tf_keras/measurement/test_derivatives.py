"""Derivatives: second derivatives and flows of models that the labs' own do not resemble."""

import dataclasses

import numpy as np
import pytest

import ltx
from ltx.backends.tf_keras.lab import KerasLab
from ltx.core.engine import Engine
from ltx.core.errors import UsageError
from ltx.pruning.scores import Synflow

RECIPE = ltx.Recipe(batch_size=30, length="24it", eval_every="8it")


def lab(model: str, **engine: object) -> KerasLab:
    made = dataclasses.replace(Engine(), **engine)
    return KerasLab(ltx.Task(model=model, recipe=RECIPE), 0, engine=made)


def flat(arrays: dict, mask: ltx.Mask) -> np.ndarray:
    return np.concatenate([arrays[name].ravel() for name in mask]).astype(np.float64)


@pytest.mark.parametrize("model", ["tiny.convnet", "tiny.dropout"])
def test_products_see_batchnorm_pooling_and_the_same_noise_as_gradients(model: str) -> None:
    made = lab(model)
    mask, state = made.dense(), made.init()
    product = flat(made.hessian_gradient(state, mask, 2), mask)
    along = made.gradients(state, mask, 2)
    size = np.linalg.norm(flat(along, mask))
    ends = []
    for step in (3e-5, -3e-5):
        weights = {n: state.weights[n] + np.float32(step / size) * along[n] for n in mask}
        moved = state.replace(weights={**state.weights, **weights})
        ends.append(flat(made.gradients(moved, mask, 2), mask))
    expected = (ends[0] - ends[1]) / 6e-5 * size
    assert np.linalg.norm(product - expected) < 0.02 * np.linalg.norm(expected)


def test_compiled_and_plain_give_the_same() -> None:
    answers = []
    for mode in ("xla", "graph"):
        made = lab("tiny.dense", compile=mode)
        mask, state = made.dense(), made.init()
        answers.append(
            (
                flat(made.hessian_gradient(state, mask), mask),
                flat(made.synaptic_flow(state, mask), mask),
            )
        )
    for xla, graph in zip(*answers, strict=True):
        np.testing.assert_allclose(xla, graph, rtol=1e-3, atol=1e-5)


def test_statistics_are_part_of_the_flow() -> None:
    made = lab("resnet_20")
    state, mask = made.init(), made.dense()
    flow = made.synaptic_flow(state, mask)
    assert all(array.min() >= 0 and array.max() > 0 for array in flow.values())
    wider = {n: a * 4 if "variance" in n else a for n, a in state.statistics.items()}
    assert wider
    narrow = made.synaptic_flow(state.replace(statistics=wider), mask)
    assert flat(narrow, mask).sum() < flat(flow, mask).sum() / 4


def test_a_flow_needs_logits() -> None:
    made = lab("tiny.convnet")
    with pytest.raises(UsageError, match=r"ends in softmax.*leave its softmax away"):
        made.synaptic_flow(made.init(), made.dense())
    with pytest.raises(UsageError, match=r"ends in softmax.*leave its softmax away"):
        Synflow().check(made)
    assert not made.outputs_logits


@pytest.mark.parametrize("mode", ["xla", "graph"])
def test_derivatives_of_an_embedding_are_dense(mode: str) -> None:
    made = lab("output_models.embedded", compile=mode)
    start, mask = made.init(), made.dense()
    shape = {"embedding/embeddings": (8, 2)}
    for arrays in (
        made.gradients(start, mask, batches=2),
        made.hessian_gradient(start, mask, batches=1),
        made.synaptic_flow(start, mask),
    ):
        assert {name: arrays[name].shape for name in shape} == shape
        assert arrays["embedding/embeddings"].any()
    flow = made.synaptic_flow(start, mask)["embedding/embeddings"]
    kernel = np.abs(start.weights["head/kernel"]).reshape(-1, 2, 10).sum((0, 2))
    np.testing.assert_allclose(flow[4], kernel, rtol=1e-5)  # the token of a pixel of 1
    assert not np.delete(flow, 4, axis=0).any()
