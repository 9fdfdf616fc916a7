"""User folders: what names a user's files points into a folder of the run, in every process of it.

Importing this module sets the variables, so conftest imports it before anything that reads them.
pytest-xdist's workers and the processes that tests start inherit them.
"""

import atexit
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parents[1]
REAL_HOME = Path.home()
IS_WORKER = "PYTEST_XDIST_WORKER" in os.environ
_FOLDERS = {
    "HOME": "",
    "TFDS_DATA_DIR": "tensorflow_datasets",
    "KERAS_HOME": ".keras",
    "XDG_CACHE_HOME": ".cache",
    "XDG_CONFIG_HOME": ".config",
    "XDG_DATA_HOME": ".local/share",
    "XDG_STATE_HOME": ".local/state",
    "XDG_RUNTIME_DIR": ".runtime",
}


def _move() -> None:
    """Point the variables into a new folder, which goes when the run ends."""
    # pip goes on to use the package index that its user has set.
    config = Path(os.environ.get("XDG_CONFIG_HOME", REAL_HOME / ".config"))
    for path in (config / "pip" / "pip.conf", REAL_HOME / ".pip" / "pip.conf"):
        if path.is_file():
            os.environ.setdefault("PIP_CONFIG_FILE", str(path))
    run = Path(tempfile.mkdtemp(prefix="ltx-tests-"))
    atexit.register(shutil.rmtree, run, ignore_errors=True)
    for name, folder in _FOLDERS.items():
        path = run / "home" / folder
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
        os.environ[name] = str(path)


# The folders of a home in which each entry is some program's own.
_SHARED = (".", ".cache", ".config", ".local/share", ".local/state")
# What ltx's own dependencies write to, down to the last file.
_OURS = ("tensorflow_datasets", ".keras", "ltx-store", ".cache/matplotlib", ".config/matplotlib")


def entries() -> set[str]:
    """What is in the real home: the entries of the folders that programs share, and the files
    below those that ltx's dependencies write to."""
    return set(_entries())


def _entries() -> Iterator[str]:
    for folder in _SHARED:
        if (REAL_HOME / folder).is_dir():
            for path in (REAL_HOME / folder).iterdir():
                if path != CHECKOUT:
                    yield str(path.relative_to(REAL_HOME))
    for folder in _OURS:
        for path in (REAL_HOME / folder).rglob("*"):
            yield str(path.relative_to(REAL_HOME))


if not IS_WORKER:
    BEFORE = entries()
    _move()
