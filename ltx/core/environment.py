"""The process environment: TensorFlow's settings, its start-up output and installed versions."""

import contextlib
import functools
import os
import sys
import tempfile
from collections.abc import Iterator
from importlib import metadata

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
