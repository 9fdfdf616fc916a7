"""Pruning by the kinds of weights: embeddings are left alone, global thresholds are warned of."""

import logging
from types import SimpleNamespace

import numpy as np
import pytest
from ltx_plugins.oneshot import OneShot

from ltx import ByToken, Magnitude, Mask, NofM, Pruning, UsageError, Weight
from ltx.core import identity
from ltx.core.validation import warn_once

TEXT = (
    Weight("embedding/embeddings", (10, 4), kind="embedding", uses=0),
    Weight("gru/cell/kernel", (4, 9), kind="recurrent", uses=6),
    Weight("gru/cell/recurrent_kernel", (3, 9), kind="recurrent", uses=6),
    Weight("logits/kernel", (3, 2), is_output=True),
)
LAB = SimpleNamespace(prunable=TEXT, channels=())
TABLE = "embedding/embeddings"


def normal(seed: int = 0) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(seed)
    return {w.name: np.abs(rng.normal(size=w.shape)).astype(np.float32) for w in TEXT}


@pytest.mark.parametrize("scope", ["layer", "global", "erk", "smart"])
def test_embeddings_are_left_alone_by_default(scope: str) -> None:
    mask = Pruning.to(0.5, scope)(LAB, Mask.ones(TEXT), normal())
    assert mask[TABLE].all()
    others = sum(keep.sum() for name, keep in mask.items() if name != TABLE)
    assert others == round(0.5 * (36 + 27 + 6))


@pytest.mark.parametrize("scope", ["layer", "global"])
def test_embeddings_are_pruned_where_that_is_set(scope: str) -> None:
    mask = Pruning(rate=0.5, scope=scope, embeddings=True)(LAB, Mask.ones(TEXT), normal())
    assert 0 < mask[TABLE].sum() < 40
    if scope == "layer":
        assert mask[TABLE].sum() == 20


def test_the_setting_is_hashed_only_where_it_is_set() -> None:
    assert identity.describe(Pruning()) == {"is": "Pruning"}
    assert identity.describe(Pruning(embeddings=True)) == {"is": "Pruning", "embeddings": True}
    assert "embeddings" not in identity.describe(OneShot(density=0.3))  # type: ignore[operator]


@pytest.mark.parametrize("scope", ["layer", "global"])
def test_whole_tokens_are_pruned_by_their_mean(scope: str) -> None:
    scores = normal()
    pruning = Pruning(rate=0.3, scope=scope, structure=ByToken()).check(LAB)
    mask = pruning(LAB, Mask.ones(TEXT), scores)
    dropped = np.flatnonzero(~mask[TABLE].any(axis=1))
    assert sorted(dropped) == sorted(np.argsort(scores[TABLE].mean(axis=1))[:3])
    assert mask[TABLE].all(axis=1).sum() == 7
    assert all(mask[w.name].all() for w in TEXT[1:])
    assert ByToken().misfits(LAB, mask) == []
    partial = {**mask, TABLE: mask[TABLE] & (np.arange(4) > 0)}
    assert ByToken().misfits(LAB, Mask(partial)) == [TABLE]


def test_one_token_is_left() -> None:
    mask = Mask.ones(TEXT)
    for _ in range(12):
        mask = Pruning(rate=0.9, structure=ByToken())(LAB, mask, normal())
    assert mask[TABLE].any(axis=1).sum() == 1


def test_tokens_need_an_embedding() -> None:
    lab = SimpleNamespace(prunable=TEXT[1:], channels=())
    with pytest.raises(UsageError, match="ByToken: this model has no embedding"):
        Pruning(structure=ByToken()).check(lab)
    with pytest.raises(UsageError, match=r"Pruning.embeddings = False leaves no weight to prune"):
        Pruning().check(SimpleNamespace(prunable=TEXT[:1], channels=()))


def test_a_global_threshold_over_recurrent_or_attention_weights_is_warned_of(
    caplog: pytest.LogCaptureFixture,
) -> None:
    warn_once.cache_clear()
    plain = SimpleNamespace(prunable=(TEXT[0], TEXT[3]), channels=())
    with caplog.at_level(logging.WARNING, "ltx"):
        Pruning().check(LAB)
        Pruning.to(0.5, "erk").check(LAB)
        Pruning.to(0.5, structure=NofM()).check(LAB)
        Pruning(scope="global").check(plain)
        assert caplog.records == []
        for _ in range(2):
            Pruning(scope="global").check(LAB, Magnitude())
    assert len(caplog.records) == 1
    assert "with recurrent weights" in caplog.text
    assert "scope layer prunes each by itself" in caplog.text


def test_kinds_other_than_convolutions_have_the_dense_rate() -> None:
    pruning = Pruning(rate=0.2, conv_rate=0.1, dense_rate=0.4)
    assert {pruning.rate_of(weight) for weight in TEXT[:3]} == {0.4}


@pytest.mark.parametrize("value", [1, "yes", None])
def test_embeddings_is_true_or_false(value: object) -> None:
    with pytest.raises(UsageError, match=r"Pruning\.embeddings"):
        Pruning(embeddings=value)  # type: ignore[arg-type]
