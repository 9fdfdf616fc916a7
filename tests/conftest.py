"""The labs that several tests share: the same contract on numpy and on tf_keras."""

import dataclasses
import gc
from collections.abc import Callable, Iterator

import hypothesis
import pytest
from browser import chromium  # noqa: F401
from data_sets import debian, fashion_mnist, no_network, own, shared  # noqa: F401
from hands import Hands, SlowLab

from ltx import Lab, Task, clock
from ltx.paired import holm
from ltx.testing import RECIPE, FakeLab

# A busy machine must not fail a test, and fifty examples find what these tests look for.
hypothesis.settings.register_profile("ltx", deadline=None, max_examples=50)
hypothesis.settings.load_profile("ltx")

DIGITS = Task(data="digits", recipe=dataclasses.replace(RECIPE, learning_rate=0.05))


def keras_lab(seed: int = 0, *, sealed: bool = True) -> Lab:
    from ltx.keras_lab import KerasLab

    return KerasLab(DIGITS, seed, sealed=sealed)


def fake_lab(seed: int = 0, *, sealed: bool = True) -> Lab:
    return FakeLab(seed=seed, sealed=sealed)


@pytest.fixture(params=["fake", "keras"])
def make_lab(request: pytest.FixtureRequest) -> Callable[..., Lab]:
    """Makes a lab of 60 steps, evaluated every 10, for a seed."""
    return {"fake": fake_lab, "keras": keras_lab}[request.param]


@pytest.fixture
def hands(monkeypatch: pytest.MonkeyPatch) -> Hands:
    """The hands of ltx's clock, which stand still until they are moved."""
    made = Hands()
    monkeypatch.setattr(clock, "time", made)
    monkeypatch.setattr(SlowLab, "hands", made, raising=False)
    return made


@pytest.fixture
def little_garbage() -> Iterator[None]:
    """statsmodels collects garbage for each correction; here there is too much to go through."""
    holm([1.0])  # imports what it needs
    gc.freeze()
    yield
    gc.unfreeze()
