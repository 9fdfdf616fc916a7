"""Structures: units live and die whole, in exact counts, as TF-MOT lays them out."""

import itertools
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from ltx import (
    Blocks,
    ByChannel,
    Magnitude,
    Mask,
    NofM,
    Pruning,
    Structure,
    Unstructured,
    UsageError,
    Weight,
)
from ltx.core.prunable import Axis, Channels
from ltx.testing import FakeLab

# A convolution, a depthwise one, a flattening of 2x2 positions, a hidden layer, the logits.
WEIGHTS = (
    Weight("conv/kernel", (3, 3, 2, 5), kind="conv", uses=9),
    Weight("depth/kernel", (3, 3, 5, 1), kind="conv", uses=9),
    Weight("fc/kernel", (20, 7)),
    Weight("out/kernel", (7, 3), is_output=True),
)
MAPS = Channels(
    5,
    (Axis("conv/kernel", 3, 5), Axis("depth/kernel", 2, 5)),
    (Axis("fc/kernel", 0, 5, outer=4),),
)
NEURONS = Channels(7, (Axis("fc/kernel", 1, 7),), (Axis("out/kernel", 0, 7),))
LAB = SimpleNamespace(prunable=WEIGHTS, channels=(MAPS, NEURONS))
FLAT = SimpleNamespace(prunable=WEIGHTS[2:], channels=(NEURONS,))

# Few different values, so that ties are the rule and all-equal and all-zero scores come up.
levels = st.sampled_from([0.0, 1.0, 0.5, 2.0])


def scored(data: st.DataObject) -> dict[str, np.ndarray]:
    return {
        w.name: data.draw(hnp.arrays(np.float32, w.shape, elements=levels, fill=levels))
        for w in WEIGHTS
    }


def normal(weights: tuple[Weight, ...], seed: int = 0) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(seed)
    return {w.name: np.abs(rng.normal(size=w.shape)).astype(np.float32) for w in weights}


def count(units: dict[str, np.ndarray]) -> int:
    return sum(int(keep.sum()) for keep in units.values())


@given(st.data(), st.floats(0.01, 0.99), st.sampled_from(["layer", "global"]))
def test_rates_count_channels_and_spare_the_last(
    data: st.DataObject, rate: float, scope: str
) -> None:
    pruning = Pruning(rate, scope=scope, structure=ByChannel())
    mask = Mask.ones(WEIGHTS)
    for _ in range(3):
        before, old = ByChannel().alive(LAB, mask), mask
        mask = pruning(LAB, mask, scored(data))
        after = ByChannel().alive(LAB, mask)
        assert mask <= old
        assert all(keep.any() for keep in after.values())
        for channels in LAB.channels:
            gone = ~after[channels.name]
            assert all(not a.split(mask[a.name])[gone].any() for a in channels.writers)
            assert all(not a.split(mask[a.name])[gone].any() for a in channels.readers)
        if scope == "global":
            wanted = min(round(rate * count(before)), count(before) - 2)
            assert count(after) == count(before) - wanted
        else:
            for name, keep in before.items():
                kind = next(w for w in WEIGHTS if w.name == name)
                wanted = round(pruning.rate_of(kind) * keep.sum())
                assert after[name].sum() == keep.sum() - min(wanted, keep.sum() - 1)


@given(st.data(), st.floats(0.13, 0.99), st.sampled_from(["layer", "global"]))
def test_densities_count_channels(data: st.DataObject, density: float, scope: str) -> None:
    pruning = Pruning.to(density, scope, structure=ByChannel())
    mask = pruning(LAB, Mask.ones(WEIGHTS), scored(data))
    assert count(ByChannel().alive(LAB, mask)) == round(density * 12)
    assert pruning(LAB, mask, scored(data)) == mask
    # Every weight between two living channels is there.
    maps, neurons = (ByChannel().alive(LAB, mask)[c.name] for c in LAB.channels)
    assert mask["conv/kernel"].sum() == 18 * maps.sum()
    assert mask["fc/kernel"].sum() == 4 * maps.sum() * neurons.sum()
    assert mask["out/kernel"].sum() == 3 * neurons.sum()


def test_a_channel_is_worth_the_mean_of_what_makes_it() -> None:
    scores, dense = normal(WEIGHTS), Mask.ones(WEIGHTS)
    worth = ByChannel().scores(LAB, dense, scores)
    expected = [
        np.concatenate(
            [scores["conv/kernel"][..., c].ravel(), scores["depth/kernel"][:, :, c].ravel()]
        ).mean()
        for c in range(5)
    ]
    np.testing.assert_allclose(worth["conv/kernel"], expected, rtol=1e-6)
    mask = Pruning.to(0.5, structure=ByChannel())(LAB, dense, scores)
    wild = {n: np.where(mask[n], a, np.nan) for n, a in scores.items()}
    again = ByChannel().scores(LAB, mask, wild)["fc/kernel"]
    alive = mask["fc/kernel"].any(axis=0)
    for neuron in np.flatnonzero(alive):
        left = scores["fc/kernel"][mask["fc/kernel"][:, neuron], neuron]
        assert again[neuron] == pytest.approx(left.mean(), rel=1e-6)


def test_where_one_set_is_worth_nothing_its_best_channel_stays() -> None:
    scores = normal(WEIGHTS)
    scores["conv/kernel"][:], scores["depth/kernel"][:] = 0, 0
    scores["conv/kernel"][..., 3] = 1e-6
    mask = Pruning.to(0.5, structure=ByChannel())(LAB, Mask.ones(WEIGHTS), scores)
    alive = ByChannel().alive(LAB, mask)
    assert np.flatnonzero(alive["conv/kernel"]).tolist() == [3]
    assert alive["fc/kernel"].sum() == 5


def test_a_pattern_keeps_every_channel_that_its_weight_makes() -> None:
    pruning = Pruning.to(0.3, keep="depth/*", structure=ByChannel())
    mask = pruning(LAB, Mask.ones(WEIGHTS), normal(WEIGHTS))
    alive = ByChannel().alive(LAB, mask)
    assert alive["conv/kernel"].all()
    assert alive["fc/kernel"].sum() == round(0.3 * 7)


BLOCKS = [Blocks(4, 1), Blocks(3, 2, "max"), Blocks(1, 4), Blocks(7, 3, "average"), Blocks(1, 1)]


@given(st.data(), st.floats(0.1, 0.9), st.sampled_from(BLOCKS))
def test_blocks_are_whole_and_counted(data: st.DataObject, share: float, blocks: Blocks) -> None:
    scores, mask = scored(data), Mask.ones(FLAT.prunable)
    size = count(blocks.alive(FLAT, mask))
    for pruning in (
        Pruning(share, scope="global", structure=blocks),
        Pruning.to(share / 2, structure=blocks),
    ):
        before, old = count(blocks.alive(FLAT, mask)), mask
        if pruning.density is not None and round(pruning.density * size) < 1:
            return
        mask = pruning(FLAT, mask, scores)
        after = blocks.alive(FLAT, mask)
        assert mask <= old
        wanted = before - round(share * before)
        if pruning.density is not None:
            wanted = min(before, round(pruning.density * size))
        assert count(after) == wanted
        for name, keep in mask.items():
            for row, column in itertools.product(*map(range, after[name].shape)):
                rows = slice(row * blocks.height, (row + 1) * blocks.height)
                part = keep[rows, column * blocks.width : (column + 1) * blocks.width]
                assert part.all() == part.any() == after[name][row, column]


@pytest.mark.parametrize("scope", ["layer", "erk", "smart", "global"])
def test_blocks_share_a_density_by_every_rule(scope: str) -> None:
    blocks = Blocks(2, 2)
    mask = Pruning.to(0.4, scope, structure=blocks)(FLAT, Mask.ones(FLAT.prunable), normal(WEIGHTS))
    alive = blocks.alive(FLAT, mask)
    # 10 x 4 and 4 x 2 blocks.
    assert count(alive) == round(0.4 * 48)
    if scope == "erk":
        assert alive["out/kernel"].mean() > alive["fc/kernel"].mean()
    if scope == "smart":
        assert alive["out/kernel"].sum() == round(0.3 * 8)


@given(st.data(), st.sampled_from([(2, 4), (1, 4), (1, 2), (3, 8), (4, 5)]))
def test_of_every_m_weights_n_survive(data: st.DataObject, pair: tuple[int, int]) -> None:
    n, m = pair
    scores = scored(data)
    half = Mask({name: array > 0.5 for name, array in scored(data).items()})
    pruning = Pruning.to(n / m, structure=NofM(n, m))
    for before in (Mask.ones(WEIGHTS), half):
        after = pruning(LAB, before, scores)
        assert after <= before
        assert pruning(LAB, after, scores) == after
        for name, keep in after.items():
            had, has = np.moveaxis(before[name], -2, 0), np.moveaxis(keep, -2, 0)
            worth = np.moveaxis(scores[name], -2, 0)
            for start in range(0, len(has), m):
                group, old = has[start : start + m], had[start : start + m]
                assert (group.sum(axis=0) == np.minimum(old.sum(axis=0), n)).all()
                values = worth[start : start + m]
                least = np.where(group, values, np.inf).min(axis=0)
                assert (np.where(old & ~group, values, -np.inf).max(axis=0) <= least).all()


def test_infinities_that_cancel_are_refused() -> None:
    scores = normal(WEIGHTS)
    scores["fc/kernel"][0, 0], scores["fc/kernel"][1, 0] = np.inf, -np.inf
    for lab, structure in ((LAB, ByChannel()), (FLAT, Blocks())):
        mask = Mask.ones(lab.prunable)
        with pytest.raises(UsageError, match=r"score of fc/kernel: 1 (channels|blocks) .* NaN"):
            Pruning(structure=structure)(lab, mask, scores)
        scores["fc/kernel"][1, 0] = np.inf
        assert Pruning(structure=structure)(lab, mask, scores)["fc/kernel"][:, 0].any()
        scores["fc/kernel"][1, 0] = -np.inf


def test_ties_fall_evenly_and_always_alike() -> None:
    weights = (Weight("a", (64, 200)),)
    lab = SimpleNamespace(prunable=weights, channels=())
    mask = Pruning.to(0.5, structure=NofM())(lab, Mask.ones(weights), {"a": np.zeros((64, 200))})
    shares = mask["a"].reshape(16, 4, 200).mean(axis=(0, 2))
    assert shares == pytest.approx([0.5] * 4, abs=0.05)


# TF-MOT squeezes a single row or column of blocks away, and fails.
SHAPES = [(16, 12), (10, 7), (13, 5), (9, 6), (64, 33)]


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("blocks", BLOCKS)
@pytest.mark.parametrize("density", [0.5, 0.3])
def test_blocks_are_those_of_tfmot(shape: tuple, blocks: Blocks, density: float) -> None:
    name = {"average": "AVG", "max": "MAX"}[blocks.pooling]
    weights = np.random.default_rng(1).normal(size=shape).astype(np.float32)
    theirs = tfmot_mask(weights, 1 - density, (blocks.height, blocks.width), name, None)
    assert (pruned(weights, Pruning.to(density, structure=blocks)) == theirs).all()


@pytest.mark.parametrize("shape", [*SHAPES, (3, 3, 8, 5), (3, 3, 7, 5), (1, 2, 3, 4)])
@pytest.mark.parametrize("pair", [(2, 4), (1, 4), (3, 5)])
def test_groups_are_those_of_tfmot(shape: tuple, pair: tuple[int, int]) -> None:
    n, m = pair
    weights = np.random.default_rng(2).normal(size=shape).astype(np.float32)
    theirs = tfmot_mask(weights, 0.5, (1, 1), "AVG", (m - n, m))
    assert (pruned(weights, Pruning.to(n / m, structure=NofM(n, m))) == theirs).all()


def pruned(weights: np.ndarray, pruning: Pruning) -> np.ndarray:
    only = (Weight("kernel", weights.shape),)
    lab = SimpleNamespace(prunable=only, channels=())
    return pruning(lab, Mask.ones(only), {"kernel": np.abs(weights)})["kernel"]


def tfmot_mask(
    weights: np.ndarray, sparsity: float, block: tuple, pooling: str, m_by_n: tuple | None
) -> np.ndarray:
    """The mask that TF-MOT's own pruning makes of these weights."""
    import tensorflow as tf
    import tensorflow_model_optimization as tfmot
    from tensorflow_model_optimization.python.core.sparsity.keras import pruning_impl

    variable = tf.Variable(weights)
    made = pruning_impl.Pruning(
        lambda: 1,
        [(variable, tf.Variable(weights), tf.Variable(0.0))],
        tfmot.sparsity.keras.ConstantSparsity(sparsity, 0),
        block,
        pooling,
        m_by_n,
    )
    return np.asarray(made._maybe_update_block_mask(variable)[1]) != 0


IMPOSSIBLE = [
    ({"structure": ByChannel(), "scope": "erk", "density": 0.5}, LAB, "scope: ByChannel"),
    ({"structure": ByChannel(), "scope": "smart", "density": 0.5}, LAB, "scope: ByChannel"),
    ({"structure": ByChannel(), "density": 0.1}, LAB, r"0\.1 of 12 channels is less than 2"),
    (
        {"structure": ByChannel(), "keep": ("conv/*", "fc/*")},
        LAB,
        "leaves no channel to prune",
    ),
    (
        {"structure": Blocks()},
        LAB,
        "rank 2, got others: conv/kernel, depth/kernel; name them",
    ),
    ({"structure": NofM()}, LAB, r"NofM\(n=2, m=4\) has density 0\.5 and no other.*rate 0\.2"),
    ({"structure": NofM(1, 3), "density": 0.3}, LAB, r"density 0\.333333 and no other"),
    ({"structure": NofM(), "scope": "erk", "density": 0.5}, LAB, "scope: NofM"),
    ({"structure": "channels"}, LAB, "Pruning.structure: expected Structure, as in @ByChannel"),
    ({"structure": ByChannel}, LAB, "Pruning.structure"),
]


@pytest.mark.parametrize(("settings", "lab", "words"), IMPOSSIBLE)
def test_impossible_combinations_are_refused_before_any_training(
    settings: dict, lab: SimpleNamespace, words: str
) -> None:
    with pytest.raises(UsageError, match=words):
        Pruning(**settings).check(lab)


def test_a_model_without_channels_or_of_odd_rank_is_refused() -> None:
    lab = SimpleNamespace(prunable=WEIGHTS, channels=())
    with pytest.raises(UsageError, match="no channels to drop"):
        Pruning(structure=ByChannel()).check(lab)
    odd = SimpleNamespace(prunable=(Weight("conv1d/kernel", (3, 4, 5), kind="conv"),), channels=())
    with pytest.raises(UsageError, match=r"conv1d/kernel.*Pruning.keep"):
        Pruning.to(0.5, structure=NofM()).check(odd)


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: Blocks(height=0), "Blocks.height"),
        (lambda: Blocks(width=1.5), "Blocks.width"),
        (lambda: Blocks(pooling="AVG"), "Blocks.pooling"),
        (lambda: NofM(4, 4), "NofM.n"),
        (lambda: NofM(0, 4), "NofM.n"),
        (lambda: NofM(1, 1), "NofM.m"),
    ],
)
def test_bad_settings_are_refused_by_name(make: type, words: str) -> None:
    with pytest.raises(UsageError, match=words):
        make()


@pytest.mark.parametrize("structure", [Unstructured(), ByChannel(), Blocks(), NofM()])
def test_a_lab_trains_what_is_left(structure: Structure) -> None:
    lab = FakeLab()
    state = lab.init()
    pruning = Pruning.to(0.5, "layer", structure=structure)
    mask = pruning.check(lab)(lab, lab.dense(), Magnitude()(lab, state, lab.dense()))
    assert 0.2 < mask.density < 0.6
    assert structure.alive(lab, mask).keys() <= {w.name for w in lab.prunable}
    assert np.isfinite(lab.train(state, mask, "5it").state.weights["output/kernel"]).all()
