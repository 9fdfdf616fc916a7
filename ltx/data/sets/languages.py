"""Languages: which of five languages a word is from, by Debian's word lists."""

from pathlib import Path

import numpy as np

from ltx.core import identity
from ltx.core.errors import UsageError
from ltx.data.arrays import Arrays
from ltx.data.sets import imported

NAME = "languages"
DICTIONARIES = Path("/usr/share/dict")
# By language, in the order of their numbers.
FILES = {
    "english": "american-english",
    "german": "ngerman",
    "french": "french",
    "spanish": "spanish",
    "italian": "italian",
}
LENGTHS = range(4, 15)
_INSTALL = "`apt-get install wamerican wngerman wfrench wspanish witalian`"
_TEST = 6  # every sixth word


def load(words: int = 12000, data_dir: str | None = None) -> Arrays:
    """Which of five languages is a word from: 12,000 of each from Debian's lists, texts.

    Words have 4 to 14 lower-case letters; those of several languages are left out. Every sixth is
    a test word. Fewer `words` of each language make a smaller set. The lists are those that
    `ltx data import languages` copied, else those in /usr/share/dict.

    Reference: Debian's wamerican, wngerman, wfrench, wspanish and witalian,
    https://packages.debian.org/source/stable/scowl
    """
    if isinstance(words, bool) or not isinstance(words, int) or words < _TEST:
        raise UsageError(
            f"Task.data_args: words: expected a count of at least {_TEST}, got {words!r}"
        )
    source = imported.folder(NAME, data_dir)
    texts = _lists(source if source.is_dir() else DICTIONARIES)
    own = _unshared({name: _filtered(text) for name, text in texts.items()})
    drawn = [_drawn(name, own[name], words) for name in FILES]
    inputs, targets = np.concatenate(drawn), np.repeat(np.arange(len(FILES)), words)
    test = np.arange(len(inputs)) % _TEST == 0
    return Arrays(inputs[~test], targets[~test], inputs[test], targets[test], tuple(FILES))


def copy(source: str | None, data_dir: str | None = None) -> str:
    """Copy the five word lists from the folder `source`; returns a message."""
    texts = _lists(Path(source).expanduser() if source else DICTIONARIES)
    contents = {FILES[name]: text for name, text in texts.items()}
    return imported.write(NAME, contents, data_dir)


def _lists(source: Path) -> dict[str, str]:
    """The text of each language's file; UsageError if one is missing."""
    missing = [file for file in FILES.values() if not (source / file).is_file()]
    if missing:
        raise UsageError(
            f"data set {NAME!r}: {source} has no word list {', '.join(missing)}; {_INSTALL}"
            f" installs them, or `ltx data import {NAME} --from=DIR` copies them from a folder"
        )
    return {name: imported.read(NAME, source / file) for name, file in FILES.items()}


def _filtered(text: str) -> set[str]:
    """The words of 4 to 14 letters, all lower case."""
    lines = (line.strip() for line in text.splitlines())
    return {word for word in lines if len(word) in LENGTHS and word.isalpha() and word.islower()}


def _unshared(lists: dict[str, set[str]]) -> dict[str, list[str]]:
    """The words that one list alone has, sorted."""
    seen: set[str] = set()
    shared: set[str] = set()
    for words in lists.values():
        shared |= seen & words
        seen |= words
    return {name: sorted(words - shared) for name, words in lists.items()}


def _drawn(language: str, words: list[str], count: int) -> np.ndarray:
    """A fixed random choice of the words."""
    if len(words) < count:
        raise UsageError(
            f"data set {NAME!r}: expected at least {count} words of {language} alone, got"
            f" {len(words)}; set 'words' in Task.data_args to fewer"
        )
    order = identity.generator(0, f"words of {language}").permutation(len(words))
    return np.array(words)[order[:count]]
