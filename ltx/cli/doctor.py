"""Report installed versions, devices and combinations known to fail, each with its remedy."""

import os
import platform
import sys
from collections.abc import Iterator
from importlib import metadata

from ltx.core import environment

PACKAGES = (
    environment.DISTRIBUTION,
    "tensorflow",
    "tf_keras",
    "tensorflow-model-optimization",
    "tensorflow-datasets",
    "importlib_resources",
    "setuptools",
    "gin-config",
    "absl-py",
    "numpy",
    "safetensors",
)


def report() -> Iterator[tuple[str, str, str]]:
    """Rows of (subject, version or value, problem); the problem is empty where there is none."""
    supported = (3, 11) <= sys.version_info[:2] <= (3, 13)
    yield "python", platform.python_version(), "" if supported else "ltx needs Python 3.11 to 3.13"
    versions = {}
    for package in PACKAGES:
        try:
            versions[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            yield package, "missing", f"pip install {package}"
        else:
            yield package, versions[package], ""
    yield from _conflicts(versions)
    if "tensorflow" in versions:
        yield from _devices()


def _conflicts(versions: dict[str, str]) -> Iterator[tuple[str, str, str]]:
    tf, tf_keras = versions.get("tensorflow", ""), versions.get("tf_keras", "")
    if tf and tf_keras and tf.split(".")[:2] != tf_keras.split(".")[:2]:
        remedy = f"pip install tf_keras~={tf}"
        yield "tf_keras", tf_keras, f"its version must match that of tensorflow: {remedy}"
    if versions.get("absl-py", "1").split(".")[0] != "1":
        problem = "TF-MOT 0.8 needs absl-py 1: pip install 'absl-py<2'"
        yield "absl-py", versions["absl-py"], problem
    if any(dist.metadata["Name"] == "tensorflow-cpu" for dist in metadata.distributions()):
        problem = "it overwrites files of tensorflow: pip uninstall tensorflow-cpu"
        yield "tensorflow-cpu", "installed", problem
    keras = os.environ.get(environment.LEGACY_KERAS, "1")
    if keras != "1":
        yield environment.LEGACY_KERAS, keras, "unset it: TF-MOT works with tf_keras only"
    flags = os.environ.get("XLA_FLAGS", "")
    if flags:
        yield "XLA_FLAGS", flags, "results may differ in the last bits from those without it"


def _devices() -> Iterator[tuple[str, str, str]]:
    with environment.hush_stderr():
        from ltx.backends.tf_keras.devices import devices

        available = devices()
    for kind, name in available:
        yield kind, name, ""
    if not any(kind == "GPU" for kind, _ in available):
        remedy = f"pip install '{environment.DISTRIBUTION}[gpu]'"
        yield "GPU", f"none; for NVIDIA GPUs: {remedy}", ""
    yield "processors", str(os.cpu_count()), ""
