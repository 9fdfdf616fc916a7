"""A finder in another process: its class is found there by module or file."""

import subprocess
import sys
from pathlib import Path

import pytest
from planted import DrawsByHash, ReadsTheEnvironment

from ltx.testing import WatchedLab
from ltx.testing.example_finders import ExampleFinder
from ltx.testing.harness import FinderHarness
from ltx.testing.other_process import run_in_subprocess

SCRIPT = """
import dataclasses
import unittest
import ltx
from ltx.testing import FinderTestCase

@dataclasses.dataclass(frozen=True)
class Mine(ltx.Finder):
    density: float = 0.5

    def __post_init__(self):
        ltx.Pruning.to(self.density)

    def find(self, lab):
        ticket = ltx.Ticket.of(lab, lab.dense(), lab.init())
        yield ticket
        scores = ltx.Random()(lab, ticket.state, ticket.mask)
        yield ticket.child(lab, ltx.Pruning.to(self.density)(lab, ticket.mask, scores))

class TestMine(FinderTestCase):
    FINDER = Mine(density=0.25)

if __name__ == "__main__":
    unittest.main()
"""


def test_another_process_finds_the_same() -> None:
    harness = FinderHarness(ExampleFinder(), WatchedLab)
    assert run_in_subprocess(harness).fingerprint == harness.fingerprint()


def test_another_process_salts_its_hashes_otherwise() -> None:
    harness = FinderHarness(DrawsByHash(), WatchedLab)
    assert run_in_subprocess(harness).fingerprint != harness.fingerprint()


def test_the_variables_that_a_finder_reads_are_named() -> None:
    there = run_in_subprocess(FinderHarness(ReadsTheEnvironment(), WatchedLab))
    assert there.read == ("PLANTED_NUMBER",)


@pytest.mark.parametrize("how", [[], ["-m", "unittest"], ["-m", "pytest", "-q"]])
def test_a_finder_in_a_test_of_its_own_conforms(how: list[str], tmp_path: Path) -> None:
    (tmp_path / "test_mine.py").write_text(SCRIPT)
    done = subprocess.run(
        [sys.executable, *how, "test_mine.py"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_what_another_process_cannot_do_is_said() -> None:
    harness = FinderHarness(ExampleFinder(), WatchedLab)
    harness.make_lab = lambda **settings: WatchedLab()  # nothing finds it by name
    with pytest.raises(Exception, match="lambda"):
        run_in_subprocess(harness)
