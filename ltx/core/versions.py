"""Versions: which releases a result depends on."""

import contextlib
import functools
from importlib import metadata

PACKAGES = ("ltx", "tensorflow", "tf_keras", "tensorflow-model-optimization", "numpy")


def versions() -> dict[str, str]:
    """The installed versions that a result depends on, without importing any of them."""
    return dict(_versions())


@functools.cache
def _versions() -> dict[str, str]:
    found = {}
    for package in PACKAGES:
        with contextlib.suppress(metadata.PackageNotFoundError):
            found[package] = metadata.version(package)
    return found
