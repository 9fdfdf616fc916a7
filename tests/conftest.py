"""The labs that several tests share: the same contract on numpy and on tf_keras."""

import user_folders  # first: it sets what the others read

# isort: split
import dataclasses
import os
from collections.abc import Callable

import hypothesis
import pytest
from browser import chromium  # noqa: F401
from data_sets import (  # noqa: F401
    debian,
    fashion_mnist,
    king_james_text,
    no_network,
    own,
    shared,
    word_lists,
)
from hands import Hands, SlowLab
from needs import NEEDS

from ltx import Lab, Task
from ltx.core import clock
from ltx.testing import RECIPE, FakeLab

# A busy machine must not fail a test, and fifty examples find what these tests look for.
hypothesis.settings.register_profile("ltx", deadline=None, max_examples=50)
hypothesis.settings.load_profile("ltx")


def pytest_configure(config: pytest.Config) -> None:
    for need in NEEDS:
        config.addinivalue_line("markers", f"{need.marker}: {need.what}")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark the tests that ask for what a machine may lack; skip them there, but not in CI.

    The file that takes longest goes first, so that it is not left for one of two processes at the
    end.
    """
    items.sort(key=lambda item: item.path.name != "test_end_to_end.py")
    for item in items:
        for need in NEEDS:
            if need.fixture in getattr(item, "fixturenames", ()):
                item.add_marker(need.marker)
                if not need.is_met() and not os.environ.get("CI"):
                    item.add_marker(pytest.mark.skip(reason=need.reason))


def pytest_sessionfinish(session: pytest.Session) -> None:
    if not user_folders.IS_WORKER and (user_folders.entries() - user_folders.BEFORE):
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    skipped = [str(report.longrepr) for report in terminalreporter.stats.get("skipped", ())]
    for need in NEEDS:
        if count := sum(need.reason in text for text in skipped):
            terminalreporter.write_line(f"{count} tests were skipped: {need.reason}", yellow=True)
    if new := user_folders.entries() - user_folders.BEFORE:
        terminalreporter.write_line(
            f"FAILED: the home folder {user_folders.REAL_HOME} was written to by a test, or by"
            f" another program meanwhile: {', '.join(sorted(new))}",
            red=True,
        )


DIGITS = Task(data="digits", recipe=dataclasses.replace(RECIPE, learning_rate=0.05))


def keras_lab(seed: int = 0, *, sealed: bool = True) -> Lab:
    from ltx.backends.tf_keras.lab import KerasLab

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
    # What earlier tests paused for is no round number, and would round differences.
    monkeypatch.setattr(clock, "_pauses", clock._Pauses())
    monkeypatch.setattr(SlowLab, "hands", made, raising=False)
    return made
