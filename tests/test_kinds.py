"""Kinds: what holds for digits holds for every kind of data and objective, on tf_keras."""

import dataclasses
import math
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from array_tasks import OBJECTIVES, array_task, arrays, changed
from sklearn import metrics as sk

from ltx import DivergedError, Engine, Lab, Mask, Metrics, Run, Store, Task, UsageError, load_data
from ltx.data.dataset import Dataset
from ltx.store.event_log import Trained
from ltx.store.memo import MemoLab
from ltx.testing import LAB_CHECKS

Float = np.ndarray
each_kind = pytest.mark.parametrize("kind", OBJECTIVES)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("arrays")


def keras(kind: str, folder: Path, **settings: object) -> Lab:
    return lab_of(array_task(kind, folder), **settings)


def lab_of(task: Task, **settings: object) -> Lab:
    from ltx.backends.tf_keras.lab import KerasLab

    return KerasLab(task, 0, **settings)  # type: ignore[arg-type]


def half(lab: Lab) -> Mask:
    return Mask({n: lab.rng("half", n).random(k.shape) < 0.5 for n, k in lab.dense().items()})


def whole(lab: Lab) -> Run:
    return lab.train(lab.init(), half(lab))


# Training


@each_kind
def test_segments_equal_one_run(kind: str, folder: Path) -> None:
    lab = keras(kind, folder)
    mask, run = half(lab), whole(lab)
    for cut in (1, 10, 37):
        first = lab.train(lab.init(), mask, f"{cut}it")
        rest = lab.train(first.state, mask)
        assert (rest.state.id, first.history + rest.history) == (run.state.id, run.history)
    assert all(not run.state.weights[name][~keep].any() for name, keep in mask.items())
    metric = lab.task.objective.metric
    assert metric.gain(metric.best(*run.history.value), run.history.value[0]) > 0
    assert min(run.history.loss) < lab.evaluate(lab.init(), mask).loss


@each_kind
def test_streamed_data_are_those_of_the_device(kind: str, folder: Path) -> None:
    resident, streamed = (
        keras(kind, folder, engine=Engine(compile="graph", resident_mb=size)) for size in (2048, 0)
    )
    one, two = whole(resident), whole(streamed)
    assert [lab._program.mode for lab in (resident, streamed)] == ["graph-loop", "graph-stream"]  # type: ignore[attr-defined]
    assert one.state == two.state
    np.testing.assert_allclose(one.history.loss, two.history.loss, rtol=1e-5)
    np.testing.assert_allclose(one.history.value, two.history.value, rtol=1e-5)


@each_kind
def test_what_diverges_says_so(kind: str, folder: Path) -> None:
    lab = keras(kind, folder)
    wild = lab.on(recipe=changed(lab.task, learning_rate=3e38).recipe)
    with pytest.raises(DivergedError, match=r"is not finite; lower Recipe\.learning_rate"):
        whole(wild)


@each_kind
def test_the_test_split_is_sealed(kind: str, folder: Path) -> None:
    lab, state = keras(kind, folder), keras(kind, folder).init()
    with pytest.raises(UsageError, match="test split"):
        lab.evaluate(state, lab.dense(), "test")
    tested = keras(kind, folder, sealed=False).evaluate(state, lab.dense(), "test")
    assert tested.loss not in (lab.evaluate(state, lab.dense(), s).loss for s in ("train",))


# Blocks of TF-MOT are of kernels with two axes alone.
UNDEFINED = "TF-MOT divides into"


# Those that differ most from images, which test_lab_checks.py has.
@pytest.mark.slow
@pytest.mark.parametrize("check", LAB_CHECKS)
@pytest.mark.parametrize("kind", ["numbers", "two_inputs", "next_token"])
def test_the_contract_of_labs(kind: str, check: str, folder: Path) -> None:
    def make_lab(seed: int = 0, *, sealed: bool = True) -> Lab:
        from ltx.backends.tf_keras.lab import KerasLab

        return KerasLab(array_task(kind, folder), seed, sealed=sealed)

    if (kind, check) == ("next_token", "scheduled_masks"):
        with pytest.raises(UsageError, match=UNDEFINED):
            LAB_CHECKS[check](make_lab)
    else:
        LAB_CHECKS[check](make_lab)


def numbered(targets: Float) -> Float:
    targets[5] = 3
    return targets


def answered_alike(targets: Float) -> Float:
    return 0 * targets


@pytest.mark.parametrize(
    ("kind", "spoil", "words"),
    [
        ("multi_label", numbered, "MultiLabel expects targets of 0 and 1, got 3; choose another"),
        ("multi_label", answered_alike, "MultiLabel expects a label with both values in every"),
        ("next_token", lambda t: np.where(np.arange(len(t))[:, None] < 160, t, 0), "tokens to"),
    ],
)
def test_targets_that_an_objective_is_not_defined_for_are_refused_before_training(
    kind: str, spoil: Callable[[Float], Float], words: str, tmp_path: Path
) -> None:
    content = arrays(kind)
    inputs, targets = content["inputs"], spoil(content["targets"])
    # The last half is the test split, of which a finder's lab holds nothing.
    own = {"test_inputs": inputs[160:], "test_targets": targets[160:]}
    np.savez(tmp_path / f"{kind}.npz", inputs=inputs[:160], targets=targets[:160], **own)
    task = dataclasses.replace(array_task(kind, tmp_path), test=0)
    with pytest.raises(UsageError, match=f"^Task.objective: .*{words}"):
        lab_of(task)


# Work that is cached


@each_kind
def test_a_cached_training_is_not_repeated(kind: str, folder: Path, tmp_path: Path) -> None:
    store = Store(tmp_path)
    once = whole(MemoLab(keras(kind, folder), store))
    before = [event for event in store.events() if isinstance(event, Trained)]
    again = whole(MemoLab(keras(kind, folder), store))
    assert once == again == whole(keras(kind, folder))
    assert sum(event.stop - event.start for event in before) == 60
    assert [event for event in store.events() if isinstance(event, Trained)] == before


KILLED = """
import os, signal, sys
from pathlib import Path
sys.path[:0] = [sys.argv[3]]
from test_kinds import half, keras
from ltx import Store
from ltx.store.memo import MemoLab

def watch(step, end):
    if step == 40:
        os.kill(os.getpid(), signal.SIGKILL)

lab = MemoLab(keras(sys.argv[1], Path(sys.argv[2]), watch=watch), Store(sys.argv[4]), every=1e-9)
lab.train(lab.init(), half(lab))
"""


@pytest.mark.slow
@each_kind
def test_a_killed_training_goes_on_to_the_same_bytes(
    kind: str, folder: Path, tmp_path: Path
) -> None:
    array_task(kind, folder)
    arguments = (kind, str(folder), str(Path(__file__).parent), str(tmp_path))
    done = subprocess.run(
        [sys.executable, "-c", KILLED, *arguments],
        env=os.environ,
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert done.returncode == -signal.SIGKILL, done.stderr
    lab = MemoLab(keras(kind, folder), Store(tmp_path))
    assert whole(lab) == whole(keras(kind, folder))
    stretches = [e.start for e in Store(tmp_path).events() if isinstance(e, Trained)]
    assert stretches[-1] >= 20


# Evaluation


def outputs(lab: Lab, data: Dataset) -> tuple[Float, Float]:
    """The outputs of the lab's model for the validation split, in float64, and the targets."""
    state = whole(lab).state
    program = lab._program  # type: ignore[attr-defined]
    program.show(state, half(lab))
    inputs, targets = data.validation.inputs, data.validation.targets
    if data.mean is not None:
        inputs = ((inputs - data.mean) / data.std).astype(np.float32)
    return program.model(inputs, training=False).numpy().astype(np.float64), targets


def log_softmax(logits: Float) -> Float:
    shifted = logits - logits.max(axis=-1, keepdims=True)
    return np.asarray(shifted - np.log(np.exp(shifted).sum(axis=-1, keepdims=True)))


def classification(logits: Float, targets: Float, data: Dataset) -> dict[str, float]:
    chosen = log_softmax(logits)[np.arange(len(targets)), targets]
    said = logits.argmax(axis=-1)
    return {
        "loss": -chosen.mean(),
        "value": sk.accuracy_score(targets, said),
        "balanced accuracy": sk.balanced_accuracy_score(targets, said),
    }


def regression(values: Float, targets: Float, data: Dataset) -> dict[str, float]:
    error = (values[:, 0] - targets) * data.target_std
    true, said = (v * data.target_std + data.target_mean for v in (targets, values[:, 0]))
    return {
        "loss": np.square(values[:, 0] - targets).mean(),
        "value": math.sqrt(np.square(error).mean()),
        "R2": sk.r2_score(true, said),
        "MAE": sk.mean_absolute_error(true, said),
    }


def binary(logits: Float, answers: Float) -> float:
    return float((np.logaddexp(0, logits) - answers * logits).mean())


def multi_label(logits: Float, targets: Float, data: Dataset) -> dict[str, float]:
    return {
        "loss": binary(logits, targets),
        "value": sk.roc_auc_score(targets, logits, average="macro"),
        "exact match": sk.accuracy_score(targets, logits > 0),
    }


def ordinal(logits: Float, targets: Float, data: Dataset) -> dict[str, float]:
    said = (logits > 0).sum(axis=1)
    return {
        "loss": binary(logits, targets[:, None] > np.arange(3)),
        "value": sk.mean_absolute_error(targets, said),
        "accuracy": sk.accuracy_score(targets, said),
        "quadratic kappa": sk.cohen_kappa_score(targets, said, weights="quadratic"),
    }


def next_token(logits: Float, targets: Float, data: Dataset) -> dict[str, float]:
    real = targets != 0
    loss = sk.log_loss(targets[real], np.exp(log_softmax(logits))[real], labels=range(12))
    right = logits.argmax(axis=-1)[real] == targets[real]
    further = {"perplexity": math.exp(loss), "token accuracy": right.mean()}
    return {"loss": loss, "value": loss / math.log(2), **further}


EXACT: dict[str, Callable[[Float, Float, Dataset], dict[str, float]]] = {
    "images": classification,
    "tokens": classification,
    "two_inputs": classification,
    "numbers": regression,
    "multi_label": multi_label,
    "ordinal": ordinal,
    "next_token": next_token,
}


def flat(metrics: Metrics) -> Iterator[tuple[str, float]]:
    yield from {**dataclasses.asdict(metrics), **metrics.further}.items()


@each_kind
def test_an_evaluation_is_that_of_numpy_and_scikit_learn(kind: str, folder: Path) -> None:
    lab = keras(kind, folder)
    task = lab.task
    data = load_data(
        task.data,
        validation=task.validation,
        test=task.test,
        preprocessing=dict(task.preprocessing),
    )
    expected = EXACT[kind](*outputs(lab, data), data)
    got = dict(flat(lab.evaluate(whole(lab).state, half(lab))))
    del got["further"]
    known = {name: value for name, value in expected.items() if name in got}
    assert known.keys() >= {"loss", "value"}
    for name, value in known.items():
        assert got[name] == pytest.approx(value, rel=2e-6, abs=1e-7), name
