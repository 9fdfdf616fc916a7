"""Environment: installed versions, read without importing the packages."""

import subprocess
import sys
from importlib import metadata

from ltx.core.environment import versions


def test_they_are_those_that_are_installed() -> None:
    assert versions()["ltx"] == metadata.version("ltx-lottery")
    assert versions()["tensorflow"] == metadata.version("tensorflow")


def test_who_changes_the_answer_changes_no_other() -> None:
    versions().clear()
    assert versions()


def test_nothing_is_imported_to_know_them() -> None:
    code = "import sys; from ltx.core.environment import versions; versions(); print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "tensorflow" not in done.stdout.split()
