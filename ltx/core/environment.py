"""The process environment: TensorFlow's settings and start-up output, versions and sources."""

import contextlib
import functools
import hashlib
import inspect
import os
import sys
import tempfile
from collections.abc import Iterable, Iterator
from importlib import metadata
from pathlib import Path

from ltx.core.errors import packages_of

LEGACY_KERAS = "TF_USE_LEGACY_KERAS"


def prepare_tensorflow() -> None:
    """Set what TensorFlow reads at import; call it before the first import of TensorFlow.

    TF-MOT masks tf_keras layers only, so `tf.keras` must be tf_keras in user code as well.
    Variables that the user has set stay.
    """
    os.environ.setdefault(LEGACY_KERAS, "1")
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")


@contextlib.contextmanager
def hush_stderr() -> Iterator[None]:
    """Hold back what is written to file descriptor 2; an error raised inside sets it free."""
    sys.stderr.flush()
    with tempfile.TemporaryFile() as held:
        original = os.dup(2)
        os.dup2(held.fileno(), 2)
        try:
            yield
        except BaseException:
            os.dup2(original, 2)
            held.seek(0)
            os.write(2, held.read())
            raise
        finally:
            os.dup2(original, 2)
            os.close(original)


DISTRIBUTION = "ltx-lottery"  # what pip calls it; it is imported as ltx
# The names by which results store versions, and the distributions that have them.
PACKAGES = {
    "ltx": DISTRIBUTION,
    "tensorflow": "tensorflow",
    "tf_keras": "tf_keras",
    "tensorflow-model-optimization": "tensorflow-model-optimization",
    "numpy": "numpy",
}


def versions() -> dict[str, str]:
    """The installed versions that a result depends on, without importing any of them."""
    return dict(_versions())


@functools.cache
def _versions() -> dict[str, str]:
    found = {}
    for name, distribution in PACKAGES.items():
        with contextlib.suppress(metadata.PackageNotFoundError):
            found[name] = metadata.version(distribution)
    return found


UNKNOWN = "unknown"  # instead of the hash of code that cannot be read


def sources_of(value: object) -> dict[str, str]:
    """The hash of the source of each top package whose code a finder, score or mask learner runs.

    ltx and the standard library are left out. "unknown" stands for code that cannot be read, such
    as that of a notebook.
    """
    packages = packages_of(value) - (sys.stdlib_module_names - {"__main__"})
    return {name: package_hash(name) for name in sorted(packages)}


@functools.cache
def package_hash(name: str) -> str:
    """The hash of all .py files of a package, or of a module that is a single one.

    It is that of the first call: the files may change while the code that was imported runs.
    """
    module = sys.modules.get(name)
    folders = [Path(folder) for folder in getattr(module, "__path__", ())]
    files = [(f, f.relative_to(folder)) for folder in folders for f in folder.rglob("*.py")]
    if not files and (file := getattr(module, "__file__", None)):
        files = [(Path(file), Path(Path(file).name))]
    try:
        parts = [(str(at.as_posix()), path.read_bytes()) for path, at in files]
    except OSError:
        parts = []
    return _hash(part for pair in sorted(parts) for part in pair) if parts else UNKNOWN


def function_hash(function: object) -> str:
    """The hash of the source of a Python function and of the package that it is from."""
    function = inspect.unwrap(function) if callable(function) else function
    package = (getattr(function, "__module__", None) or "").partition(".")[0]
    try:
        text = inspect.getsource(function)  # type: ignore[arg-type]
    except (OSError, TypeError):
        text = repr(getattr(getattr(function, "__code__", None), "co_code", ""))
    return _hash([text, package_hash(package)])


def _hash(parts: Iterable[str | bytes]) -> str:
    total = hashlib.sha256()
    for part in parts:
        content = part.encode() if isinstance(part, str) else part
        content = content.replace(b"\r\n", b"\n")  # as a checkout on Windows has it
        total.update(f"{len(content)}:".encode() + content)
    return f"sha256-{total.hexdigest()[:16]}"
