"""Objectives: metrics are those of scikit-learn, losses are finite wherever outputs are."""

import math

import numpy as np
import pytest
import scipy.special
from hypothesis import given
from hypothesis import strategies as st
from kinds import FAKE, targets_of
from sklearn import metrics as sk

from ltx import Classification, MultiLabel, NextToken, Objective, Ordinal, Regression
from ltx.core.objectives import exact_metrics
from ltx.core.objectives.array_ops import NUMPY
from ltx.testing.output_derivatives import derivatives, prepared

seeds = st.integers(0, 2**32 - 1)


def grid(rng: np.random.Generator, *shape: int) -> np.ndarray:
    """Few different values, so that there are ties."""
    return rng.integers(-2, 3, shape) / 2


@given(seeds)
def test_auc_counts_ties_as_half(seed: int) -> None:
    rng = np.random.default_rng(seed)
    scores, positive = grid(rng, 30), rng.random(30) < 0.4
    positive[:2] = True, False
    assert exact_metrics.auc(scores, positive) == pytest.approx(sk.roc_auc_score(positive, scores))


@given(seeds)
def test_balanced_accuracy_is_over_the_classes_that_occur(seed: int) -> None:
    rng = np.random.default_rng(seed)
    outputs, targets = rng.normal(size=(25, 4)), rng.integers(3, size=25)
    said = outputs.argmax(axis=1)
    expected = np.mean([(said[targets == n] == n).mean() for n in np.unique(targets)])
    assert exact_metrics.balanced_accuracy(outputs, targets) == pytest.approx(expected)
    assert expected == pytest.approx(
        sk.recall_score(
            targets, said, average=None, labels=np.unique(targets), zero_division=0
        ).mean()
    )


@given(seeds)
def test_a_tie_at_the_edge_of_the_top_five_is_a_miss(seed: int) -> None:
    rng = np.random.default_rng(seed)
    outputs, targets = (
        rng.permuted(np.tile(np.arange(9.0), (20, 1)), axis=1),
        rng.integers(9, size=20),
    )
    got = exact_metrics.top_accuracy(outputs, targets, 5)
    assert got == pytest.approx(sk.top_k_accuracy_score(targets, outputs, k=5, labels=range(9)))
    assert exact_metrics.top_accuracy(np.zeros((20, 9)), targets, 5) == 0
    tied = grid(rng, 20, 9)
    worst = [(row >= row[t]).sum() <= 5 for row, t in zip(tied, targets, strict=True)]
    assert exact_metrics.top_accuracy(tied, targets, 5) == pytest.approx(np.mean(worst))


@given(seeds, st.sampled_from([(), (1,), (3,)]))
def test_r2_is_that_of_scikit_learn(seed: int, shape: tuple[int, ...]) -> None:
    rng = np.random.default_rng(seed)
    targets = rng.normal(1000, 1, (20, *shape))
    outputs = targets.reshape(20, -1) + rng.normal(0, 0.5, (20, math.prod(shape)))
    values = Regression().metrics(outputs, targets)
    if len(shape) == 0 or shape == (1,):
        assert values["R2"] == pytest.approx(sk.r2_score(targets.reshape(20), outputs))
    flat = targets.reshape(20, -1)
    assert values["RMSE"] == pytest.approx(math.sqrt(sk.mean_squared_error(flat, outputs)))
    assert values["MAE"] == pytest.approx(sk.mean_absolute_error(flat, outputs))


def test_r2_of_constant_targets_is_left_out() -> None:
    values = Regression().metrics(np.arange(4.0)[:, None], np.full(4, 2.0))
    assert values.keys() == {"RMSE", "MAE"}


@given(seeds)
def test_ordinal_metrics_are_those_of_scikit_learn(seed: int) -> None:
    rng = np.random.default_rng(seed)
    outputs, targets = rng.normal(size=(30, 3)), rng.integers(4, size=30)
    said, values = (outputs > 0).sum(axis=1), Ordinal().metrics(outputs, targets)
    kappa = sk.cohen_kappa_score(targets, said, weights="quadratic", labels=range(4))
    assert values["quadratic kappa"] == pytest.approx(kappa)
    assert values["class MAE"] == pytest.approx(sk.mean_absolute_error(targets, said))


@given(seeds)
def test_macro_auc_leaves_labels_of_one_value_out(seed: int) -> None:
    rng = np.random.default_rng(seed)
    outputs, targets = grid(rng, 20, 3), rng.integers(2, size=(20, 3))
    targets[:2, :2], targets[:, 2] = [[0, 1], [1, 0]], 1
    values = MultiLabel().metrics(outputs, targets)
    expected = sk.roc_auc_score(targets[:, :2], outputs[:, :2], average="macro")
    assert values["macro AUC"] == pytest.approx(expected)


@given(seeds, st.integers(1, 7))
def test_perplexity_is_that_of_all_tokens_whatever_the_blocks(seed: int, size: int) -> None:
    rng = np.random.default_rng(seed)
    logs = prepared(NextToken(), rng.normal(0, 3, (12, 5, 6)))
    targets = rng.integers(1, 6, (12, 5)) * (np.arange(5) < rng.integers(1, 6, (12, 1)))
    blocks = [(logs[n : n + size], targets[n : n + size]) for n in range(0, 12, size)]
    loss, values = NextToken().measure(blocks)
    real = targets != 0
    expected = -np.take_along_axis(logs, targets[..., None], -1)[..., 0][real].mean()
    assert loss == pytest.approx(expected)
    assert values["perplexity"] == pytest.approx(math.exp(expected))
    assert values["bits a token"] == pytest.approx(expected / math.log(2))
    assert values["token accuracy"] == pytest.approx((logs.argmax(-1) == targets)[real].mean())


@given(seeds)
def test_the_loss_of_classes_is_that_of_scikit_learn(seed: int) -> None:
    rng = np.random.default_rng(seed)
    logits, targets = rng.normal(0, 2, (20, 4)), rng.integers(4, size=20)
    blocks = [(prepared(Classification(), logits), targets)]
    chances = scipy.special.softmax(logits, axis=1)
    expected = sk.log_loss(targets, chances, labels=range(4))
    assert Classification().measure(blocks)[0] == pytest.approx(expected)


@pytest.mark.parametrize("size", [0.0, 1.0, 88.0, 1e4, 1e15])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("objective", [pair[0] for pair in FAKE.values()], ids=list(FAKE))
def test_losses_and_gradients_are_finite_at_extreme_outputs(
    objective: Objective, dtype: type, size: float
) -> None:
    shape, targets = targets_of(objective)
    outputs = (size * np.random.default_rng(1).choice([-1, 1], shape)).astype(dtype)
    losses = objective.losses(NUMPY, prepared(objective, outputs), targets)
    assert losses.shape == (4,)
    assert losses.dtype == dtype
    assert np.isfinite(losses).all()
    with np.errstate(all="ignore"):
        assert np.isfinite(derivatives(objective, outputs, targets)[0]).all()
