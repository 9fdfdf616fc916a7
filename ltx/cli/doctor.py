"""Doctor: versions, devices and combinations known to fail, each with its remedy."""

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
    "gin-config",
    "absl-py",
    "numpy",
    "safetensors",
)


def report() -> Iterator[tuple[str, str, str]]:
    """Lines of (what, found, problem); the problem is empty where all is well."""
    version = platform.python_version()
    good = sys.version_info[:2] == (3, 11)
    yield (
        "python",
        version,
        "" if good else "ltx is made for Python 3.11: TF-MOT 0.8 needs distutils",
    )
    found = {}
    for package in PACKAGES:
        try:
            found[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            yield package, "missing", f"pip install {package}"
        else:
            yield package, found[package], ""
    yield from _clashes(found)
    if "tensorflow" in found:
        yield from _devices()


def _clashes(found: dict[str, str]) -> Iterator[tuple[str, str, str]]:
    tf, tf_keras = found.get("tensorflow", ""), found.get("tf_keras", "")
    if tf and tf_keras and tf.split(".")[:2] != tf_keras.split(".")[:2]:
        yield "tf_keras", tf_keras, f"its version must be tensorflow's: pip install tf_keras~={tf}"
    if found.get("absl-py", "1").split(".")[0] != "1":
        yield "absl-py", found["absl-py"], "TF-MOT 0.8 needs absl-py 1: pip install 'absl-py<2'"
    if any(dist.metadata["Name"] == "tensorflow-cpu" for dist in metadata.distributions()):
        yield "tensorflow-cpu", "present", "it holds tensorflow's files a second time: uninstall it"
    if os.environ.get(environment.LEGACY_KERAS, "1") != "1":
        yield (
            environment.LEGACY_KERAS,
            os.environ[environment.LEGACY_KERAS],
            "unset it: TF-MOT speaks tf_keras only",
        )
    flags = os.environ.get("XLA_FLAGS", "")
    if flags:
        yield "XLA_FLAGS", flags, "results may differ from those without it in the last bits"


def _devices() -> Iterator[tuple[str, str, str]]:
    with environment.hush_stderr():
        from ltx.backends.tf_keras.devices import devices

        found = devices()
    for kind, name in found:
        yield kind, name, ""
    if not any(kind == "GPU" for kind, _ in found):
        yield "GPU", "none; for NVIDIA's: pip install 'ltx-lottery[gpu]'", ""
    yield "processors", str(os.cpu_count()), ""
