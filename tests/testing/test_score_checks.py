"""Checks of scores: every bug is caught by its check, and the scores of ltx pass."""

import unittest

import pytest
from planted_scores import PLANTED_SCORES, DrawsTheSameForAll, Right, UnpacksShapes

from ltx import Magnitude
from ltx.config import builtin_classes
from ltx.testing import ScoreTestCase, WatchedLab, conformance
from ltx.testing.score_checks import ScoreHarness


def results(score: object) -> dict[str, conformance.CheckResult]:
    harness = ScoreHarness(score, WatchedLab)
    return {name: conformance.run_check(harness, name) for name in conformance.SCORE_CHECKS}


@pytest.mark.parametrize(
    ("score", "checks"), PLANTED_SCORES, ids=[type(score).__name__ for score, _ in PLANTED_SCORES]
)
def test_a_planted_bug_is_caught_by_its_check(score: object, checks: list[str]) -> None:
    failed = {n: r.text for n, r in results(score).items() if r.outcome == "failed"}
    assert sorted(failed) == sorted(checks), failed
    assert all(text and "\n" not in text for text in failed.values())


def test_every_check_catches_something() -> None:
    caught = {check for _, checks in PLANTED_SCORES for check in checks}
    assert caught == set(conformance.SCORE_CHECKS)


@pytest.mark.parametrize("cls", [Right, *builtin_classes.SCORES])
def test_a_right_score_passes(cls: type) -> None:
    assert {n: r.text for n, r in results(cls()).items() if r.outcome == "failed"} == {}


def test_a_score_that_unpacks_shapes_is_shown_them() -> None:
    text = results(UnpacksShapes())["shapes"].text
    assert text.startswith("for kernels of shapes (3, 3, 1, 6), (96, 4): too many values to unpack")


class TestMagnitude(ScoreTestCase):
    SCORE = Magnitude()


class TestByClass(ScoreTestCase):
    SCORE = Right


def test_the_test_case_has_a_test_for_every_check() -> None:
    names = unittest.defaultTestLoader.getTestCaseNames(TestMagnitude)
    assert sorted(names) == sorted(f"test_{name}" for name in conformance.SCORE_CHECKS)
    assert unittest.defaultTestLoader.getTestCaseNames(ScoreTestCase) == []


def test_the_test_case_fails_with_the_text_of_the_check() -> None:
    class Case(ScoreTestCase):
        SCORE = DrawsTheSameForAll()

    result = unittest.TestResult()
    unittest.defaultTestLoader.loadTestsFromTestCase(Case).run(result)
    ((test, text),) = result.failures
    assert test.id().endswith("test_other_seed")
    assert "seeds 0 and 1 have the same scores" in text
    assert not result.errors
