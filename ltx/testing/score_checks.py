"""Checks of what finders rely on in a score: its arrays, a function of its arguments alone.

Those of its settings are the checks of a finder's.
"""

import dataclasses
import functools
import random
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from ltx.core import identity, seal
from ltx.core.errors import UsageError
from ltx.core.mask import Mask
from ltx.core.state import State
from ltx.pruning.round import Pruning
from ltx.pruning.scores import Random
from ltx.testing.conduct_checks import require_same
from ltx.testing.harness import TracedLab, generators, quiet, require
from ltx.testing.other_process import run_in_subprocess

NETWORKS: tuple[dict[str, Any], ...] = (
    *({}, {"layers": 1}),
    *({"network": "convolution"}, {"network": "ranks"}),
)
Scores = Mapping[str, np.ndarray]


@dataclasses.dataclass(frozen=True)
class ScoreResult:
    """What a score did with a state under a half mask.

    `changed` names values whose bytes it changed, `drawn_from` the global random generators that it
    drew from or seeded.
    """

    lab: TracedLab
    state: State
    mask: Mask
    scores: Scores
    changed: list[str]
    drawn_from: list[str]


class ScoreHarness:
    """One score, and the labs to run it on; `make_lab` is that of a FinderHarness."""

    def __init__(self, score: Any, make_lab: Any) -> None:
        self.score, self.make_lab = score, make_lab

    @property
    def subject(self) -> Any:
        """What is checked."""
        return self.score

    @property
    def waived(self) -> Mapping[str, str]:
        return getattr(self.score, "waived", {})

    def lab(self, seed: int = 0, **settings: object) -> TracedLab:
        return self.make_lab(seed=seed, **settings)

    def accepted(self) -> Iterator[dict[str, Any]]:
        """The settings of the labs that the score's `check` does not refuse."""
        for settings in NETWORKS:
            try:
                getattr(self.score, "check", lambda lab: None)(self.lab(**settings))
            except UsageError:
                continue
            yield settings

    @functools.cached_property
    def home(self) -> dict[str, Any]:
        """The settings of the first lab that the score accepts."""
        settings = next(self.accepted(), None)
        if settings is None:
            raise AssertionError("check refuses dense networks, convolutions and BatchNorm alike")
        return settings

    def run(self, seed: int = 0, *, until: str = "20it", **settings: object) -> ScoreResult:
        """The scores of a state in training, or of an initial one that is not drawn."""
        lab = self.lab(seed, **settings)
        start = lab.init()
        mask = Pruning(0.5)(lab, lab.dense(), Random()(lab, start, lab.dense()))
        state = start if "start" in settings else lab.train(start, mask, until).state
        lab.trace.remember("the state", state)
        lab.trace.remember("the mask", mask)
        random.random()  # so that seeding them with their current seed does not go unnoticed
        np.random.random()
        before = generators()
        with seal.closed(), quiet():
            scores = self.score(lab, state, mask)
        drawn = [name for name, value in generators().items() if before.get(name, value) != value]
        return ScoreResult(lab, state, mask, scores, lab.trace.changed(), drawn)

    def fingerprint(self) -> object:
        """What two processes must agree on, as JSON values."""
        return identity.digest(dict(self.run(**self.home).scores))


def check_check(harness: ScoreHarness) -> None:
    """`check`, where it has one, accepts some network, and trains nothing."""
    lab = harness.lab(**harness.home)
    getattr(harness.score, "check", lambda lab: None)(lab)
    require(lab.trace.steps == 0, f"check trained {lab.trace.steps} steps")


def check_shapes(harness: ScoreHarness) -> str | None:
    """It gives every prunable weight an array of its shape, also kernels of one to four axes."""
    for settings in harness.accepted():
        try:
            result = harness.run(**settings)
        except ValueError as error:
            shapes = ", ".join(str(w.shape) for w in harness.lab(**settings).prunable)
            raise AssertionError(f"for kernels of shapes {shapes}: {error}") from error
        got, expected = set(result.scores), {w.name for w in result.lab.prunable}
        require(got == expected, f"scores {sorted(got)}, expected {sorted(expected)}")
        for weight in result.lab.prunable:
            array = result.scores[weight.name]
            require(isinstance(array, np.ndarray), f"{weight.name}: expected a numpy array")
            require(
                array.shape == weight.shape,
                f"{weight.name}: expected shape {weight.shape}, got {array.shape}",
            )
            require(
                array.dtype.kind in "fiu", f"{weight.name}: expected numbers, not {array.dtype}"
            )
    refused = len(NETWORKS) - len(list(harness.accepted()))
    return f"check refuses {refused} of {len(NETWORKS)} networks" if refused else None


def check_finite(harness: ScoreHarness) -> None:
    """Scores are finite, also where all weights are equal or zero."""
    starts: tuple[dict[str, Any], ...] = ({}, {"start": "equal"}, {"start": "zero"})
    for start in starts:
        require_finite(harness.run(**harness.home, **start), start.get("start", "in training"))


def require_finite(result: ScoreResult, state: str = "in training") -> None:
    """Fail unless every score is finite; `state` says which one was scored."""
    for name, array in result.scores.items():
        bad = np.count_nonzero(~np.isfinite(array))
        require(not bad, f"{name}: {bad} scores are not finite (weights: {state})")


def check_survivors(harness: ScoreHarness) -> None:
    """Scores of survivors do not depend on what the state holds for pruned weights."""
    result = harness.run(**harness.home)
    rng, weights = np.random.default_rng(0), dict(result.state.weights)
    for name, keep in result.mask.items():
        other = rng.normal(size=keep.shape).astype(weights[name].dtype)
        weights[name] = np.where(keep, weights[name], other)
    scores = harness.score(result.lab, result.state.replace(weights=weights), result.mask)
    for name, keep in result.mask.items():
        require(
            np.array_equal(scores[name][keep], result.scores[name][keep]),
            f"{name}: other values of pruned weights give survivors other scores; a state need not"
            " be masked: use mask.apply(state.weights)",
        )


def check_same_call(harness: ScoreHarness) -> None:
    """The same arguments give the same bytes, from the same lab and from a new one."""
    result = harness.run(**harness.home)
    again = harness.score(result.lab, result.state, result.mask)
    new = harness.run(**harness.home).scores
    for other, words in ((again, "a second call"), (new, "a new lab of the same seed")):
        require(
            identity.digest(dict(other)) == identity.digest(dict(result.scores)),
            f"{words} gives other scores; draw from lab.rng(...) alone and keep nothing",
        )


def check_same_seed(harness: ScoreHarness) -> None:
    """The same seed gives the same bytes in another process, folder, environment and time."""
    require_same(harness.fingerprint(), run_in_subprocess(harness), "computes other scores")


def check_other_seed(harness: ScoreHarness) -> None:
    """Another seed, which has other weights, gives other scores."""
    one, other = (harness.run(seed, **harness.home).scores for seed in (0, 1))
    require(
        identity.digest(dict(one)) != identity.digest(dict(other)),
        "seeds 0 and 1 have the same scores; use the state, or draw from lab.rng(...)",
    )


def check_inputs(harness: ScoreHarness) -> None:
    """The state, the mask and all that the lab returned keep their bytes."""
    changed = harness.run(**harness.home).changed
    require(not changed, f"changed: {', '.join(dict.fromkeys(changed))}; change a copy")


def check_generators(harness: ScoreHarness) -> None:
    """Global random generators are not used: Python's, NumPy's, TensorFlow's."""
    drawn_from = harness.run(**harness.home).drawn_from
    require(not drawn_from, f"drew from or seeded {', '.join(drawn_from)}; draw from lab.rng(...)")


def check_test_split(harness: ScoreHarness) -> None:
    """The test split is never read."""
    reads = harness.run(**harness.home).lab.trace.test_reads
    require(not reads, f"asked {reads} times for the test split; use split='validation'")
