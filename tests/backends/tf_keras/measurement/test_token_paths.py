"""Synaptic flow and paths from tokens, through embeddings."""

import numpy as np
import pytest

import ltx
from ltx.backends.tf_keras import inputs
from ltx.backends.tf_keras.masking import MaskedModel
from ltx.backends.tf_keras.measurement.signal_paths import SignalPaths
from ltx.backends.tf_keras.models import builder
from ltx.core.errors import UsageError
from ltx.core.mask import Mask
from ltx.data.dataset import InputSpec

TEXT = InputSpec((4,), "int32", 300)


def masked(name="conv1d", spec=TEXT, **args):
    return MaskedModel(builder.build_for(name, spec, (3,), args), spec)


def small():
    return masked(filters=(2,), sizes=(3,), embedding=2)


def ones(model):
    return {name: np.ones(mask.shape, np.bool_) for name, mask in model.masks.items()}


@pytest.mark.parametrize("read", ["max", "mean", "all"])
def test_every_weight_of_a_dense_network_is_on_a_path(read):
    model = masked(filters=(3, 2), sizes=(3, 3), embedding=4, read=read)
    assert SignalPaths(model, TEXT, "it").dense.density == 1


def test_a_path_leads_from_the_row_of_a_token_to_the_output():
    model = small()
    mask = ones(model)
    mask["embedding/embeddings"][:, 1] = False
    mask["embedding/embeddings"][7] = False
    mask["conv_1/kernel"][:, 0, 0] = False  # feature 0 reads dimension 1 alone, which is pruned
    found = SignalPaths(model, TEXT, "it").effective(Mask(mask))
    assert found["embedding/embeddings"].sum() == 299
    assert not found["embedding/embeddings"][7].any()
    assert found["conv_1/kernel"][:, 0, 1].all()
    assert found["conv_1/kernel"].sum() == 3
    assert found["logits/kernel"].tolist() == [[False] * 3, [True] * 3]


@pytest.mark.parametrize(
    ("name", "why"), [("gru", "how the layer of gru_1/cell/kernel uses it"), ("lstm", "lstm_1")]
)
def test_recurrent_layers_are_refused_in_one_line(name, why):
    model = masked(name, units=3)
    with pytest.raises(UsageError, match=why) as error:
        SignalPaths(model, TEXT, "it").effective(Mask(ones(model)))
    assert "\n" not in str(error.value)


def test_attention_is_refused_in_one_line():
    with pytest.raises(UsageError, match="attention does not follow from paths"):
        SignalPaths(masked("text_transformer", width=4), TEXT, "it")


def test_tokens_come_in_batches_each_once():
    batches = list(inputs.flow_batches(TEXT))
    assert [len(batch) for batch in batches] == [256, 44]
    assert np.concatenate(batches)[:, 0].tolist() == list(range(300))
    assert [batch.shape for batch in inputs.flow_batches(InputSpec((3,), "float32"))] == [(1, 3)]


@pytest.mark.parametrize("vocabulary", [9, 300])
def test_synaptic_flow_of_tokens_is_that_of_each_alone(tmp_path, vocabulary):
    rng = np.random.default_rng(0)
    texts = rng.integers(1, vocabulary, size=(60, 4)).astype(np.int32)
    texts[0, 0] = vocabulary - 1
    path = tmp_path / "texts.npz"
    np.savez(path, inputs=texts, targets=rng.integers(0, 2, 60))
    args = {"filters": (2,), "sizes": (3,), "embedding": 2}
    task = ltx.Task(data=f"arrays:{path}", model="conv1d", model_args=args, test=0.2)
    lab = ltx.KerasLab(task, 0)
    state, mask = lab.init(), lab.dense()
    flow = lab.synaptic_flow(state, mask)
    # The features are sums over the window of a text of one token; the largest is of the middle.
    w = {name: np.abs(array) for name, array in state.weights.items()}
    features = np.einsum("vd,kdf->vf", w["embedding/embeddings"], w["conv_1/kernel"])
    assert (w["conv_1/bias"] == 0).all()
    total, padding = features.sum(axis=0), features[0]  # a text of padding keeps one position
    for column in flow["logits/kernel"].T:
        assert (column <= total * 1.001).all()
        assert (column >= (total - padding) * 0.999).all()
    rows = flow["embedding/embeddings"][1:]
    expected = w["conv_1/kernel"].sum(0) @ w["logits/kernel"].sum(axis=1)
    np.testing.assert_allclose(rows, np.tile(expected, (len(rows), 1)), 1e-3)
