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
]


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
    gradients = lab.gradients(state, mask)
    assert all(np.isfinite(array).all() for array in gradients.values())
    flow = lab.synaptic_flow(state, mask)
    assert all(np.isfinite(array).all() for array in flow.values())
