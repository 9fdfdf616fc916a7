"""Needs: what some tests want that a machine may lack, and how it gets there."""

import dataclasses
import functools
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

DICTIONARIES = Path("/usr/share/dict")
WORD_FILES = ("american-english", "ngerman", "french", "spanish", "italian")


@dataclasses.dataclass(frozen=True)
class Need:
    """Something outside Python that the tests with `fixture` want."""

    marker: str
    fixture: str
    what: str
    package: str
    is_met: Callable[[], bool]

    @property
    def reason(self) -> str:
        """Why a test does not run, with the remedy."""
        return f"no {self.what}; `make needs` or `apt-get install {self.package}` installs it"


@functools.cache
def fashion_mnist_files() -> Path | None:
    """The folder with the four files of Debian's package dataset-fashion-mnist."""
    dpkg = shutil.which("dpkg")
    if dpkg is None:
        return None
    command = [dpkg, "-L", "dataset-fashion-mnist"]
    listed = subprocess.run(command, capture_output=True, text=True, check=False).stdout
    files = [Path(line) for line in listed.splitlines()]
    found = [file for file in files if file.name == "train-images-idx3-ubyte.gz"]
    return found[0].parent if found and found[0].is_file() else None


FASHION_MNIST = Need(
    "needs_fashion_mnist",
    "debian",
    "files of Fashion-MNIST",
    "dataset-fashion-mnist",
    lambda: fashion_mnist_files() is not None,
)
CHROMIUM = Need(
    "needs_chromium",
    "chromium",
    "Chromium with its driver",
    "chromium chromium-driver",
    lambda: bool(shutil.which("chromium") and shutil.which("chromedriver")),
)
WORD_LISTS = Need(
    "needs_word_lists",
    "word_lists",
    "word lists of five languages",
    "wamerican wngerman wfrench wspanish witalian",
    lambda: all((DICTIONARIES / file).is_file() for file in WORD_FILES),
)
KING_JAMES = Need(
    "needs_king_james",
    "king_james_text",
    "program that prints the King James Bible",
    "bible-kjv",
    lambda: shutil.which("bible") is not None,
)
NEEDS = (FASHION_MNIST, CHROMIUM, WORD_LISTS, KING_JAMES)
