"""Models of signals and texts on a KerasLab: exact segments, masks that hold, the XLA loop."""

import numpy as np
import pytest

import ltx
from ltx.core.objectives.classification import Classification
from ltx.core.objectives.next_token import NextToken

BOTH = {"bidirectional": True}

# data, model, its arguments, mode, objective
CASES = [
    ("signal", "conv1d", {"filters": (3, 3, 3)}, "graph-loop", Classification()),
    ("signal", "gru", {"units": 3, "read": "all", **BOTH}, "xla-loop", Classification()),
    ("signal", "mlp", {"widths": (8, 8), "residual": True}, "xla-loop", Classification()),
    ("text", "gru", {"units": 4}, "xla-loop", Classification()),
    ("text", "lstm", {"units": 4, "read": "mean", **BOTH}, "xla-loop", Classification()),
    ("text", "conv1d", {"filters": (3, 3, 3)}, "graph-loop", Classification()),
    (
        *("text", "text_transformer", {"width": 8, "depth": 1, "dropout": 0.3}, "xla-loop"),
        Classification(),
    ),
    ("lines", "char_lm", {"width": 6, "embedding": 4}, "xla-loop", NextToken()),
    (
        *("lines", "char_lm", {"body": "transformer", "width": 6}, "xla-loop"),
        NextToken(),
    ),
    ("image", "vit_tiny", {"width": 6, "depth": 1}, "xla-loop", Classification()),
    (
        *("image", "mlp_mixer", {"width": 6, "depth": 1, "channel_units": 8}, "xla-loop"),
        Classification(),
    ),
    ("image", "mobilenet_v2", {"width": 0.1}, "graph-loop", Classification()),
    ("image", f"{__name__}.mixed", {}, "xla-loop", Classification()),
]


def mixed(input_shape, classes):
    """Layers that TF-MOT itself refuses: MultiHeadAttention, Bidirectional and EinsumDense."""
    import tf_keras

    L = tf_keras.layers
    image = L.Input(input_shape)
    x = L.Reshape((4, 16))(image)
    x = L.MultiHeadAttention(2, 3, name="attention")(x, x)
    x = L.EinsumDense("abc,cd->abd", (None, 4), name="einsum")(x)
    x = L.Bidirectional(L.RNN(L.GRUCell(3, name="cell"), name="gru"), name="both")(x)
    return tf_keras.Model(image, L.Dense(classes, name="logits")(x))


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    folder, rng = tmp_path_factory.mktemp("data"), np.random.default_rng(0)
    text = rng.integers(1, 9, (80, 6)).astype(np.int32)
    for row, length in zip(text, rng.integers(2, 7, 80), strict=True):
        row[length:] = 0
    text[0, 0] = 8
    arrays = {
        "signal": (rng.standard_normal((80, 12)).astype(np.float32), rng.integers(0, 3, 80)),
        "text": (text, rng.integers(0, 3, 80)),
        "lines": (text, np.pad(text[:, 1:], ((0, 0), (0, 1)))),
        "image": (rng.integers(0, 256, (80, 8, 8, 1)).astype(np.uint8), rng.integers(0, 3, 80)),
    }
    for name, (inputs, targets) in arrays.items():
        np.savez(folder / f"{name}.npz", inputs=inputs, targets=targets)
    return folder


def lab_of(files, case, **changes):
    data, model, args, _, objective = case
    recipe = ltx.Recipe(batch_size=8, length="6it", eval_every="3it", optimizer="adam")
    task = ltx.Task(
        data=f"arrays:{files / data}.npz",
        model=model,
        model_args=args,
        test=0.2,
        recipe=recipe,
        objective=objective,
        **changes,
    )
    return ltx.KerasLab(task, 0)


def half(lab):
    rng = np.random.default_rng(1)
    return ltx.Mask({w.name: rng.random(w.shape) < 0.5 for w in lab.prunable})


@pytest.mark.slow
@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case[1].rpartition('.')[2]}-{case[0]}")
def test_segments_equal_one_run_and_masks_hold(files, case):
    lab = lab_of(files, case)
    assert lab._program.mode == case[3]
    assert lab.unprunable == {}
    state, mask = lab.init(), half(lab)
    whole = lab.train(state, mask)
    first = lab.train(state, mask, "2it")
    parts = lab.train(first.state, mask)
    assert parts.state.id == whole.state.id
    assert lab.train(state, mask).state.id == whole.state.id
    for name, keep in mask.items():
        assert not whole.state.weights[name][~keep].any(), name
        changed = whole.state.weights[name] != state.weights[name]
        assert changed[keep].any(), name
    assert np.isfinite(whole.history.value).all()


@pytest.mark.slow
@pytest.mark.parametrize("case", [CASES[3], CASES[6], CASES[-1]], ids=["gru", "text", "mixed"])
def test_gradients_and_flow_are_finite(files, case):
    lab = lab_of(files, case)
    state, mask = lab.init(), half(lab)
    for arrays in (lab.gradients(state, mask), lab.synaptic_flow(state, mask)):
        assert all(np.isfinite(array).all() for array in arrays.values())
        assert any(array.any() for array in arrays.values())


@pytest.mark.slow
def test_what_tfmot_refuses_is_masked_by_its_schedule_too(files):
    lab = lab_of(files, CASES[-1])
    kinds = {weight.name: weight.kind for weight in lab.prunable}
    assert kinds["attention/query/kernel"] == "attention"
    assert kinds["both/forward_gru/cell/recurrent_kernel"] == "recurrent"
    assert kinds["einsum/kernel"] == "dense"
    state = lab.train(lab.init(), lab.dense()).state
    schedule = ltx.PolynomialDecay(0.25, 0, 6, 3)
    mask = lab.scheduled_mask(state, lab.dense(), schedule)
    theirs = schedule.mask(lab, {name: state.weights[name] for name in mask}, state.step)
    assert mask == theirs
    assert set(mask.densities()) == set(kinds)
    assert all(0.2 < density < 0.3 for density in mask.densities().values())


@pytest.mark.slow
@pytest.mark.parametrize("case", [CASES[3], CASES[6]], ids=["gru", "transformer"])
def test_tickets_are_found_layer_by_layer_without_embeddings(files, case):
    from ltx_plugins.imp import IMP

    lab = lab_of(files, case)
    tickets = list(IMP(levels=2).find(lab))
    table = tickets[-1].mask["embedding/embeddings"]
    assert table.all()
    assert tickets[-1].mask.empty() == []
    assert (tickets[2].mask & tickets[1].mask) == tickets[2].mask
