"""King James: the English Bible of 1611 in windows of characters, for language models."""

import re
import shutil
import subprocess
from pathlib import Path

import numpy as np

from ltx.core.errors import UsageError
from ltx.core.validation import check_count
from ltx.data.arrays import Arrays
from ltx.data.sets import imported

NAME = "king_james"
_FILE = "text.txt"
_REFERENCE = re.compile(r"^[A-Za-z0-9]+:\d+ ", re.MULTILINE)  # Ge1:1
_STRETCHES, _TEST = 1000, 40  # of so many stretches of the text, every 40th is for tests


def load(length: int = 64, data_dir: str | None = None) -> Arrays:
    """The next of 63 characters: the 4.1 million of the King James Bible, in windows of 64.

    Tokens are characters, numbered from 1 in the order of their code points. A window's targets are
    its tokens from the second on and the first of the next window. Of 1000 equal stretches of the
    text every 40th is for tests. The text is the file that `ltx data import king_james` copied,
    else what the program of Debian's package bible-kjv prints.

    Reference: Debian's bible-kjv-text, https://packages.debian.org/stable/bible-kjv-text
    """
    check_count("Task.data_args: length", length, least=2, most=2**16)
    path = imported.folder(NAME, data_dir) / _FILE
    return windows(imported.read(NAME, path) if path.is_file() else _printed(), length)


def windows(text: str, length: int) -> Arrays:
    """The text without the references of its verses, in windows that follow one another."""
    codes = np.frombuffer(_REFERENCE.sub("", text).encode("utf-32-le"), np.uint32)
    count = (len(codes) - 1) // length
    if count < _STRETCHES:
        raise UsageError(
            f"data set {NAME!r}: expected a text of more than {_STRETCHES * length} characters,"
            f" {_STRETCHES} windows of {length}, got {len(codes)}; give a longer text or set"
            " 'length' in Task.data_args"
        )
    tokens = np.unique(codes, return_inverse=True)[1].astype(np.int32) + 1
    inputs, targets = (
        tokens[start : start + count * length].reshape(count, length) for start in (0, 1)
    )
    test = np.arange(count) * _STRETCHES // count % _TEST == _TEST - 1
    return Arrays(inputs[~test], targets[~test], inputs[test], targets[test])


def copy(source: str | None, data_dir: str | None = None) -> str:
    """Copy the text of the file `source`, or of Debian's package; returns a message."""
    text = imported.read(NAME, Path(source).expanduser()) if source else _printed()
    windows(text, 64)
    return imported.write(NAME, {_FILE: text}, data_dir)


def _printed() -> str:
    """All verses, one a line after its reference, from Debian's program."""
    program = shutil.which("bible")
    if program is None:
        raise UsageError(
            f"data set {NAME!r}: there is no program bible; `apt-get install bible-kjv` installs"
            f" it, or `ltx data import {NAME} --from=FILE` copies a text"
        )
    done = subprocess.run(
        [program, "-f", "gen1:1-rev22:21"],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    if done.returncode or not _REFERENCE.match(done.stdout):
        said = " ".join((done.stderr or done.stdout).split())[:200]
        raise UsageError(
            f"data set {NAME!r}: {program} did not print the text"
            f" ({said or f'exit status {done.returncode}'}); reinstall Debian's bible-kjv, or use"
            f" `ltx data import {NAME} --from=FILE`"
        )
    return done.stdout
