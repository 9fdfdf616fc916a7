"""Testing: test cases and a numpy lab for authors of finders, scores and backends.

Imports: core, pruning, evaluation, store, data, backends, config.
"""

import unittest
from collections.abc import Callable
from typing import ClassVar

from ltx.core.errors import UnsupportedError
from ltx.core.finder import Finder
from ltx.core.lab import Lab
from ltx.pruning.scores import Score
from ltx.testing import conformance, lab_checks, lab_cost_checks, lab_power_checks
from ltx.testing.example_finders import example
from ltx.testing.fake_lab import RECIPE, FakeLab
from ltx.testing.harness import FinderHarness, TracedLab
from ltx.testing.score_checks import ScoreHarness

__all__ = ["RECIPE", "FakeLab", "FinderTestCase", "LabTestCase", "ScoreTestCase", "WatchedLab"]


class WatchedLab(TracedLab, FakeLab):
    """The FakeLab of the checks."""


class FinderTestCase(unittest.TestCase):
    """Every check of `ltx check` as a test of its own; set FINDER and add nothing.

        class TestMine(FinderTestCase):
            FINDER = Mine(rounds=2)

    A class stands for its `example`. What a finder fails by design it names itself:
    Finder.waived.
    """

    FINDER: ClassVar[Finder | type[Finder]]
    LAB: ClassVar[type[TracedLab]] = WatchedLab
    _harness: ClassVar[FinderHarness]

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        if not hasattr(cls, "FINDER"):
            return  # a class for others to derive from
        for name, check in conformance.CHECKS.items():
            setattr(cls, f"test_{name}", _plugin_test(name, check))

    @classmethod
    def setUpClass(cls) -> None:
        given = cls.FINDER
        finder = example(given) if isinstance(given, type) else given
        cls._harness = FinderHarness(finder, cls.LAB)


class ScoreTestCase(unittest.TestCase):
    """Every check of `ltx check` for a score as a test of its own; set SCORE and add nothing.

        class TestMine(ScoreTestCase):
            SCORE = Mine(batches=2)

    What a score fails by design it names itself, as a finder does: a class variable `waived` maps
    names of checks to reasons.
    """

    SCORE: ClassVar[Score]
    LAB: ClassVar[type[TracedLab]] = WatchedLab
    _harness: ClassVar[ScoreHarness]

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        if not hasattr(cls, "SCORE"):
            return  # a class for others to derive from
        for name, check in conformance.SCORE_CHECKS.items():
            setattr(cls, f"test_{name}", _plugin_test(name, check))

    @classmethod
    def setUpClass(cls) -> None:
        given = vars(cls).get("SCORE", cls.SCORE)
        cls._harness = ScoreHarness(given() if isinstance(given, type) else given, cls.LAB)


def _plugin_test(
    name: str, check: conformance.Check
) -> Callable[[FinderTestCase | ScoreTestCase], None]:
    def test(self: FinderTestCase | ScoreTestCase) -> None:
        result = conformance.run_check(self._harness, name)
        if result.outcome == "failed":
            self.fail(result.text)

    test.__doc__ = check.__doc__
    return test


LAB_CHECKS: dict[str, Callable[[lab_checks.MakeLab], None]] = {
    name.removeprefix("check_"): value
    for module in (lab_checks, lab_cost_checks, lab_power_checks)
    for name, value in vars(module).items()
    if name.startswith("check_") and callable(value)
}


class LabTestCase(unittest.TestCase):
    """What finders rely on in a lab, each promise a test of its own; say how to make one.

        class TestMyLab(LabTestCase):
            @classmethod
            def make_lab(cls, seed=0, *, sealed=True):
                return MyLab(TASK, seed, sealed=sealed)

    The lab trains some 60 steps, evaluates every few, and its validation loss falls. Its model has
    a prunable hidden layer. Tests of what its backend does not implement are skipped.
    """

    @classmethod
    def make_lab(cls, seed: int = 0, *, sealed: bool = True) -> Lab:
        """A new lab; labs of one seed are equal."""
        raise NotImplementedError(f"{cls.__name__}.make_lab: expected a method that opens a lab")

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        if "make_lab" not in vars(cls):
            return  # a class for others to derive from, or one with its parent's tests
        for name, check in LAB_CHECKS.items():
            setattr(cls, f"test_{name}", _lab_test(check))


def _lab_test(check: Callable[[lab_checks.MakeLab], None]) -> Callable[[LabTestCase], None]:
    def test(self: LabTestCase) -> None:
        try:
            check(self.make_lab)
        except UnsupportedError as error:
            self.skipTest(str(error))

    test.__doc__ = check.__doc__
    return test
