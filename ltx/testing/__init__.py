"""Testing: what a test of finders needs, a FakeLab and a test case of all that ltx relies on."""

import unittest
from collections.abc import Callable
from typing import ClassVar

from ltx.core.finder import Finder
from ltx.testing import conformance
from ltx.testing.fake_lab import RECIPE, FakeLab
from ltx.testing.harness import FinderHarness, TracedLab, example

__all__ = ["RECIPE", "FakeLab", "FinderTestCase", "WatchedLab"]


class WatchedLab(TracedLab, FakeLab):
    """The FakeLab of the checks."""


class FinderTestCase(unittest.TestCase):
    """Every check of `ltx check` as a test of its own; set FINDER and add nothing.

        class TestMine(FinderTestCase):
            FINDER = Mine(rounds=2)

    A class stands for its `example`. What a finder fails by design it says itself: Finder.waived.
    """

    FINDER: ClassVar[Finder | type[Finder]]
    LAB: ClassVar[type[TracedLab]] = WatchedLab
    _bench: ClassVar[FinderHarness]

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        if not hasattr(cls, "FINDER"):
            return  # a class for others to derive from
        for name, check in conformance.CHECKS.items():
            setattr(cls, f"test_{name}", _test(name, check))

    @classmethod
    def setUpClass(cls) -> None:
        given = cls.FINDER
        finder = example(given) if isinstance(given, type) else given
        cls._bench = FinderHarness(finder, cls.LAB)


def _test(name: str, check: conformance.Check) -> Callable[[FinderTestCase], None]:
    def test(self: FinderTestCase) -> None:
        verdict = conformance.run_check(self._bench, name)
        if verdict.outcome == "failed":
            self.fail(verdict.text)

    test.__doc__ = check.__doc__
    return test
