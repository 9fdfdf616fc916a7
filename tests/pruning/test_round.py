"""Pruning: exact counts, nested masks, fair ties, kept patterns and the papers' densities."""

from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from ltx import Magnitude, Mask, Pruning, Score, Snip, Synflow, UsageError, Weight
from ltx.core.validation import warn_once
from ltx.pruning.top_k import prune_lowest
from ltx.testing import FakeLab


def lab_of(weights: tuple[Weight, ...]) -> SimpleNamespace:
    """As much of a lab as pruning looks at."""
    return SimpleNamespace(prunable=weights, channels=())


WEIGHTS = (
    Weight("conv/kernel", (3, 3, 2, 4), kind="conv", uses=9),
    Weight("fc/kernel", (8, 6)),
    Weight("out/kernel", (6, 5), is_output=True),
)
LAB = lab_of(WEIGHTS)
LENET = (
    Weight("dense_1/kernel", (784, 300)),
    Weight("dense_2/kernel", (300, 100)),
    Weight("output/kernel", (100, 10), is_output=True),
)
# Percent of the weights left after k rounds of 20 %, 10 % in the output layer.
LADDER = {
    1: 80.04,
    2: 64.06,
    3: 51.28,
    4: 41.05,
    5: 32.87,
    6: 26.32,
    7: 21.07,
    8: 16.88,
    9: 13.52,
    10: 10.83,
    11: 8.68,
    12: 6.95,
    13: 5.57,
    15: 3.58,
    18: 1.85,
}

rates = st.floats(0.01, 0.99)
seeds = st.integers(0, 10)
# Few different values, so that ties are the rule and all-equal and all-zero scores come up.
levels = st.sampled_from([0.0, -1.0, 0.5, np.inf])


def scored(data: st.DataObject) -> dict[str, np.ndarray]:
    return {
        w.name: data.draw(hnp.arrays(np.float32, w.shape, elements=levels, fill=levels))
        for w in WEIGHTS
    }


def normal(weights: tuple[Weight, ...], seed: int = 0) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(seed)
    return {w.name: rng.normal(size=w.shape).astype(np.float32) ** 2 for w in weights}


@given(st.data(), rates, seeds)
def test_global_removes_exactly_the_share(data: st.DataObject, rate: float, seed: int) -> None:
    before = random_mask(seed)
    after = Pruning(rate, scope="global")(LAB, before, scored(data))
    assert after.kept == before.kept - round(rate * before.kept)
    assert after <= before


@given(st.data(), rates, seeds)
def test_layerwise_removes_exactly_the_share(data: st.DataObject, rate: float, seed: int) -> None:
    pruning, before = Pruning(rate), random_mask(seed)
    after = pruning(LAB, before, scored(data))
    for weight in WEIGHTS:
        had = int(before[weight.name].sum())
        assert after[weight.name].sum() == had - round(pruning.rate_of(weight) * had)
    assert after <= before


@given(st.data(), rates, st.sampled_from(["layer", "global"]), seeds)
def test_what_stays_is_worth_at_least_what_goes(
    data: st.DataObject, rate: float, scope: str, seed: int
) -> None:
    before, scores = random_mask(seed), scored(data)
    after = Pruning(rate, scope=scope)(LAB, before, scores)
    groups = [list(before)] if scope == "global" else [[name] for name in before]
    for names in groups:
        gone = np.concatenate([scores[n][before[n] & ~after[n]] for n in names])
        left = np.concatenate([scores[n][after[n]] for n in names])
        assert not gone.size or not left.size or gone.max() <= left.min()


@given(st.data(), rates, st.sampled_from(["layer", "global", "erk", "smart"]))
def test_a_density_is_reached_exactly(data: st.DataObject, density: float, scope: str) -> None:
    dense = Mask.ones(WEIGHTS)
    # Scope smart keeps 9 of the 30 in the output layer, and needs more than those.
    if round(density * dense.size) < (10 if scope == "smart" else 1):
        return
    pruning = Pruning.to(density, scope=scope)
    mask = pruning(LAB, dense, scored(data))
    assert mask.kept == round(density * dense.size)
    assert pruning(LAB, mask, scored(data)) == mask
    halved = Pruning(0.01, scope="global")(LAB, mask, scored(data))
    assert pruning(LAB, halved, scored(data)) <= halved


def test_a_density_is_of_what_may_be_pruned() -> None:
    pruning = Pruning.to(0.1, keep=("conv/*",))
    mask = pruning(LAB, Mask.ones(WEIGHTS), normal(WEIGHTS))
    assert mask.kept == 72 + round(0.1 * 78)


def test_a_density_of_less_than_one_weight_is_refused() -> None:
    with pytest.raises(UsageError, match=r"0\.001 of 150 weights is less than one"):
        Pruning.to(0.001).check(LAB)


def test_a_density_that_the_output_layer_uses_up_is_refused() -> None:
    with pytest.raises(UsageError, match=r"leaves nothing beside the 9 that scope smart keeps"):
        Pruning.to(0.06, "smart").check(LAB)
    assert Pruning.to(0.07, "smart").check(LAB)


def test_a_density_is_for_one_round() -> None:
    with pytest.raises(UsageError, match=r"3 rounds to one density"):
        Pruning.to(0.5).check(LAB, rounds=3)
    assert Pruning(0.5).check(LAB, rounds=3)


def random_mask(seed: int) -> Mask:
    """Dense for seed 0, else about half full."""
    rng = np.random.default_rng(seed)
    return Mask({w.name: rng.random(w.shape) < (0.5 if seed else 2) for w in WEIGHTS})


@pytest.mark.parametrize("value", [0.0, 1.0, -3.0])
def test_equal_scores_fall_evenly_on_layers_and_corners(value: float) -> None:
    weights = (Weight("a", (100, 100)), Weight("b", (50, 100)))
    scores = {w.name: np.full(w.shape, value, np.float32) for w in weights}
    mask = Pruning(0.5, scope="global")(lab_of(weights), Mask.ones(weights), scores)
    assert mask.kept == 7500
    for array in (mask["a"], mask["b"], mask["a"][:50], mask["a"][:, :50]):
        assert abs(array.mean() - 0.5) < 0.05


@pytest.mark.parametrize("scope", ["layer", "global"])
def test_the_same_scores_give_the_same_mask(scope: str) -> None:
    scores = {w.name: np.zeros(w.shape, np.float32) for w in WEIGHTS}
    dense = Mask.ones(WEIGHTS)
    masks = {Pruning(0.3, scope=scope)(LAB, dense, scores).id for _ in range(3)}
    turned = {name: np.asfortranarray(array) for name, array in reversed(scores.items())}
    masks.add(Pruning(0.3, scope=scope)(LAB, dense, turned).id)
    assert len(masks) == 1


def test_ties_fall_as_they_always_did() -> None:
    kept = prune_lowest({"a": np.zeros(20)}, {"a": np.ones(20, np.bool_)}, 10)["a"]
    assert np.flatnonzero(kept).tolist() == [3, 5, 6, 8, 11, 12, 15, 17, 18, 19]


def test_neither_scores_nor_mask_are_changed() -> None:
    scores, dense = normal(WEIGHTS), Mask.ones(WEIGHTS)
    before = {name: array.copy() for name, array in scores.items()}
    Pruning(0.5)(LAB, dense, scores)
    assert dense == Mask.ones(WEIGHTS)
    for name, array in scores.items():
        np.testing.assert_array_equal(array, before[name])


def test_the_papers_density_ladder() -> None:
    mask, pruning = Mask.ones(LENET), Pruning(rate=0.2)
    assert mask.size == 266_200
    for level in range(1, 19):
        before = mask
        mask = pruning(lab_of(LENET), mask, normal(LENET, level))
        assert mask <= before
        if level in LADDER:
            assert abs(100 * mask.density - LADDER[level]) < 0.05


def test_the_output_layer_goes_at_half_the_rate() -> None:
    pruning = Pruning(rate=0.2, conv_rate=0.1)
    assert [pruning.rate_of(w) for w in WEIGHTS] == [0.1, 0.2, 0.1]
    assert Pruning(dense_rate=0.4).rate_of(WEIGHTS[2]) == 0.2
    assert Pruning(output_rate=0.3).rate_of(WEIGHTS[2]) == 0.3
    assert Pruning(rate=0.2).rate_of(WEIGHTS[0]) == 0.2


@pytest.mark.parametrize("scope", ["layer", "global"])
def test_kept_patterns_stay_whole(scope: str) -> None:
    mask = Pruning(0.9, scope=scope, keep=("conv/*",))(LAB, Mask.ones(WEIGHTS), normal(WEIGHTS))
    assert mask["conv/kernel"].all()
    if scope == "global":
        assert mask.kept == 72 + 78 - round(0.9 * 78)


def test_one_pattern_may_be_plain_text() -> None:
    assert Pruning(keep="conv/*") == Pruning(keep=("conv/*",))  # type: ignore[arg-type]


def test_patterns_that_match_nothing_or_everything_are_refused() -> None:
    with pytest.raises(UsageError, match=r"'cnv/kernel': did you mean conv/kernel"):
        Pruning(keep=("cnv/kernel",)).check(LAB)
    with pytest.raises(UsageError, match="no weight to prune"):
        Pruning(keep=("*",)).check(LAB)


def test_values_of_pruned_weights_are_not_looked_at() -> None:
    mask = random_mask(1)
    scores = normal(WEIGHTS)
    wild = {n: np.where(mask[n], scores[n], np.nan) for n in mask}
    assert Pruning(0.3)(LAB, mask, wild) == Pruning(0.3)(LAB, mask, scores)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"fc/kernel": None}, "no values for fc/kernel"),
        ({"fc/kernel": np.zeros((6, 8))}, r"expected shape \(8, 6\), got \(6, 8\)"),
        ({"fc/kernel": np.full((8, 6), np.nan)}, "48 values are NaN"),
    ],
)
def test_scores_that_do_not_fit_are_refused(change: dict, words: str) -> None:
    scores = {n: a for n, a in {**normal(WEIGHTS), **change}.items() if a is not None}
    with pytest.raises(UsageError, match=words):
        Pruning()(LAB, Mask.ones(WEIGHTS), scores)


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"rate": 0}, "rate"),
        ({"rate": 1.0}, "rate"),
        ({"rate": float("nan")}, "rate"),
        ({"rate": None}, "rate"),
        ({"rate": True}, "rate"),
        ({"conv_rate": 1.5}, "conv_rate"),
        ({"output_rate": "half"}, "output_rate"),
        ({"scope": "local"}, "scope"),
        ({"scope": "global", "conv_rate": 0.1}, "conv_rate"),
        ({"keep": 3}, "keep"),
        ({"density": 0}, "density"),
        ({"density": 1.0}, "density"),
        ({"density": 0.1, "conv_rate": 0.1}, "conv_rate"),
        ({"scope": "erk"}, "scope"),
    ],
)
def test_bad_settings_are_refused_by_name(settings: dict, words: str) -> None:
    with pytest.raises(UsageError, match=rf"Pruning\.{words}"):
        Pruning(**settings)


def test_a_density_above_that_of_the_mask_is_warned_of(caplog: pytest.LogCaptureFixture) -> None:
    warn_once.cache_clear()
    lab = FakeLab()
    scores = Magnitude()(lab, lab.init(), lab.dense())
    half = Pruning.to(0.5)(lab, lab.dense(), scores)
    Pruning.to(0.5)(lab, half, scores)
    assert not caplog.messages
    for _ in range(2):
        assert Pruning.to(0.9)(lab, half, scores) == half
    assert len(caplog.messages) == 1
    assert caplog.messages[0].startswith("Pruning.density 0.9: prunes nothing of a mask that has")


@pytest.mark.parametrize("score", [Snip(), Synflow()])
def test_scores_that_are_all_equal_are_warned_of(
    score: Score, caplog: pytest.LogCaptureFixture
) -> None:
    warn_once.cache_clear()
    lab = FakeLab()
    init, mask = lab.init(), lab.dense()
    Pruning.to(0.5)(lab, mask, score(lab, init, mask))
    assert not caplog.messages
    head = {"output/kernel": np.zeros_like(init.weights["output/kernel"])}
    zeroed = init.replace(weights={**init.weights, **head})
    for _ in range(2):
        Pruning.to(0.5)(lab, mask, score(lab, zeroed, mask))
    assert len(caplog.messages) == 1
    assert "are all 0, so their order decides" in caplog.messages[0]
