"""Conformance: every bug is caught by the check that is there for it, and by no other."""

import dataclasses
import unittest
from collections.abc import Iterator, Mapping
from typing import ClassVar

import planted
import pytest
from kinds import fake_task
from planted import PLANTED, Sound, WaivesTooMuch

from ltx import Finder, Lab, Task, Ticket, UsageError
from ltx.config import plugins
from ltx.testing import FinderTestCase, WatchedLab, conformance
from ltx.testing.example_finders import ExampleFinder, example
from ltx.testing.harness import FinderHarness

PLUGINS = [plugin.name for plugin in plugins.plugins() if plugin.kind == "finder"]


def failed(finder: Finder) -> dict[str, str]:
    harness = FinderHarness(finder, WatchedLab)
    results = [conformance.run_check(harness, name) for name in conformance.CHECKS]
    return {v.check: v.text for v in results if v.outcome == "failed"}


@pytest.mark.parametrize(
    ("finder", "checks"), PLANTED, ids=[type(finder).__name__ for finder, _ in PLANTED]
)
def test_a_planted_bug_is_caught_by_its_check(finder: Finder, checks: list[str]) -> None:
    found = failed(finder)
    assert sorted(found) == sorted(checks), found
    assert all(text and "\n" not in text for text in found.values())


def test_every_check_catches_something() -> None:
    assert {check for _, checks in PLANTED for check in checks} == set(conformance.CHECKS)


@pytest.mark.parametrize("finder", [Sound(), ExampleFinder()])
def test_a_sound_finder_passes(finder: Finder) -> None:
    assert failed(finder) == {}


@pytest.fixture(scope="module", params=PLUGINS)
def harness(request: pytest.FixtureRequest) -> FinderHarness:
    return FinderHarness(example(plugins.load(request.param)), WatchedLab)  # type: ignore[attr-defined]


@pytest.mark.parametrize("check", conformance.CHECKS)
def test_an_installed_finder_conforms(harness: FinderHarness, check: str) -> None:
    result = conformance.run_check(harness, check)
    assert result.outcome != "failed", result.text


@pytest.mark.parametrize(
    ("finder", "check", "words"),
    [
        (planted.YieldsNothingAtAll(), "finite", "find: expected tickets, each given by `yield`"),
        (planted.YieldsMasks(), "finite", "as of ltx.Ticket.of(...), got Mask("),
        (planted.TakesNegativeLevels(), "settings", "levels=-1 is accepted; refuse it in"),
        (planted.TakesAnyLevels(), "settings", "levels=True is accepted"),
        (planted.TakesNoDensities(), "settings", "densities=() is accepted"),
        (planted.ReadsTheEnvironment(), "same_seed", "(read there: PLANTED_NUMBER)"),
        (planted.TakesKernelsForMatrices(), "convolution", "too many values to unpack"),
        (planted.LosesStatistics(), "convolution", "has no norm/moving_mean, norm/moving_var"),
        (planted.RewindsElsewhere(), "rewind", "starts at step 30; rewind_step=0 is 0"),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Finder) else "",
)
def test_a_failure_says_what_is_wrong(finder: Finder, check: str, words: str) -> None:
    assert words in checked(finder, check).text


# Other kinds of tasks


def on_kind(name: str, kind: str) -> FinderHarness:
    """An installed finder, checked on FakeLabs of this kind instead of images with classes."""
    finder = example(plugins.load(name))  # type: ignore[attr-defined]
    if isinstance(getattr(finder, "source", None), str):
        finder = dataclasses.replace(finder, source=f"other_{fake_task(kind).data}")  # type: ignore[type-var]

    def make_lab(task: Task | None = None, **settings: object) -> WatchedLab:
        return WatchedLab(task or fake_task(kind), **settings)

    return FinderHarness(finder, make_lab)


# The other process of same_seed takes seconds, and is that of images, as convolutions are.
QUICK = [name for name in conformance.CHECKS if name not in ("same_seed", "convolution")]


@pytest.mark.parametrize("kind", ["regression", "tokens", "next_token", "multi_label"])
@pytest.mark.parametrize("name", PLUGINS)
def test_an_installed_finder_conforms_on_every_kind(name: str, kind: str) -> None:
    on = on_kind(name, kind)
    results = [conformance.run_check(on, check) for check in QUICK]
    texts = {r.check: r.text for r in results if r.outcome == "failed"}
    # A waiver that images need may be one too many here.
    assert {name: text for name, text in texts.items() if "take the waiver away" not in text} == {}


def test_a_kind_that_check_refuses_is_named() -> None:
    @dataclasses.dataclass(frozen=True)
    class Numbers(Finder):
        def check(self, lab: Lab) -> None:
            if lab.prunable[0].name != "hidden/kernel":
                raise UsageError("numbers only")

        def find(self, lab: Lab) -> Iterator[Ticket]:
            return Sound().find(lab)

    assert checked(Numbers(), "kinds").text == "refuses tokens: numbers only"


def test_a_kind_that_find_refuses_is_one_too_late() -> None:
    @dataclasses.dataclass(frozen=True)
    class Late(Finder):
        def find(self, lab: Lab) -> Iterator[Ticket]:
            if len(lab.input_shape) != 3:
                raise UsageError("images only")
            yield from Sound().find(lab)

    text = checked(Late(), "kinds").text
    assert text == (
        "numbers with values are refused by find only: images only; refuse them in check"
    )


# Waivers


@dataclasses.dataclass(frozen=True)
class Regrows(Finder):
    waived: ClassVar[Mapping[str, str]] = {"nested": "draws every mask anew"}

    def find(self, lab: Lab) -> Iterator[Ticket]:
        tickets = list(Sound().find(lab))
        yield tickets[0]
        for ticket in tickets[1:]:
            yield dataclasses.replace(
                ticket, mask=ticket.mask.shuffled(lab.rng(ticket.level)), cost=lab.spent
            )


@dataclasses.dataclass(frozen=True)
class Crashes(Regrows):
    def find(self, lab: Lab) -> Iterator[Ticket]:
        raise ZeroDivisionError("division by zero")


def checked(finder: Finder, check: str) -> conformance.CheckResult:
    return conformance.run_check(FinderHarness(finder, WatchedLab), check)


def test_a_waiver_excuses_its_check_for_the_reason_given() -> None:
    result = checked(Regrows(), "nested")
    assert (result.outcome, result.text) == ("waived", "draws every mask anew")


def test_a_waiver_excuses_no_crash() -> None:
    result = checked(Crashes(), "nested")
    assert result.outcome == "failed"
    assert result.text.startswith("it raised ZeroDivisionError: division by zero (")
    assert "test_conformance.py, line " in result.text


def test_a_waiver_that_is_not_needed_fails() -> None:
    assert "take the waiver away" in checked(WaivesTooMuch(), "nested").text


@pytest.mark.parametrize(
    ("waived", "words"),
    [
        ({"nestd": "why not"}, "'nestd' is no check; known: defaults, "),
        ({"nested": " "}, "nested needs a reason"),
        ({"waivers": "no"}, "cannot be waived"),
    ],
)
def test_a_senseless_waiver_fails(
    waived: dict[str, str], words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Sound, "waived", waived)
    result = checked(Sound(), "waivers")
    assert result.outcome == "failed"
    assert words in result.text


# The test case


class TestSound(FinderTestCase):
    FINDER = Sound(levels=1)


class TestByExample(FinderTestCase):
    FINDER = ExampleFinder


def run(case: type[FinderTestCase]) -> unittest.TestResult:
    result = unittest.TestResult()
    unittest.defaultTestLoader.loadTestsFromTestCase(case).run(result)
    return result


def test_the_test_case_has_a_test_for_every_check() -> None:
    names = unittest.defaultTestLoader.getTestCaseNames(TestSound)
    assert sorted(names) == sorted(f"test_{name}" for name in conformance.CHECKS)
    assert unittest.defaultTestLoader.getTestCaseNames(FinderTestCase) == []


def test_the_test_case_fails_with_the_text_of_the_check() -> None:
    class Case(FinderTestCase):
        FINDER = WaivesTooMuch()

    result = run(Case)
    assert result.testsRun == len(conformance.CHECKS)
    ((test, text),) = result.failures
    assert test.id().endswith("test_nested")
    assert "take the waiver away" in text
    assert not result.errors
