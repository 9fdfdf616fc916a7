"""Run a finder or a score in another process, under other conditions that must not matter.

There strings hash otherwise, the working directory is empty, the clock is a hundred days ahead, and
environment variables have other values for the plugin, though not for the libraries that it uses.
"""

import base64
import dataclasses
import datetime
import importlib
import importlib.util
import inspect
import json
import os
import pickle
import subprocess
import sys
import tempfile
import time
from collections.abc import Collection, Iterator, MutableMapping

from ltx.core.errors import packages_of
from ltx.testing.harness import Harness

SECONDS = 120
_AHEAD = 100 * 86400 + 12345  # seconds; it is another hour, weekday and month then


@dataclasses.dataclass(frozen=True)
class Elsewhere:
    """The fingerprint in the other process, and the environment variables that the plugin read."""

    fingerprint: object
    read: tuple[str, ...] = ()


def run_in_subprocess(harness: Harness) -> Elsewhere:
    """What another process finds with seed 0.

    Classes are found there by module and name, or in the file that they came from.
    """
    kind = type(harness.subject)
    file = getattr(inspect.getmodule(kind), "__file__", None)
    path = [os.path.abspath(entry) for entry in sys.path]
    packages = sorted({*packages_of(harness.subject), "__mp_main__"})
    load = pickle.dumps((type(harness), harness.subject, harness.make_lab))
    salt = "1" if os.environ.get("PYTHONHASHSEED") != "1" else "2"
    with tempfile.TemporaryDirectory() as folder:
        done = subprocess.run(
            [sys.executable, "-c", "from ltx.testing import other_process; other_process.main()"],
            input=json.dumps(
                [
                    kind.__module__,
                    file and os.path.abspath(file),
                    path,
                    packages,
                    base64.b64encode(load).decode(),
                ]
            ),
            env={**os.environ, "PYTHONHASHSEED": salt, "PYTHONPATH": os.pathsep.join(path)},
            cwd=folder,
            capture_output=True,
            text=True,
            check=False,
            timeout=SECONDS,
        )
    result = json.loads(done.stdout.splitlines()[-1]) if done.returncode == 0 else None
    if result is None or "error" in result:
        last = (done.stderr.strip().splitlines() or ["no message"])[-1]
        read = result["read"] if result else ()
        text = f"; it read the environment variables {', '.join(read)}" if read else ""
        raise AssertionError(
            "another process, in another folder, cannot run it:"
            f" {result['error'] if result else last}{text}"
        )
    return Elsewhere(result["fingerprint"], tuple(result["read"]))


def main() -> None:
    """Run what standard input describes and print its fingerprint."""
    name, file, path, packages, load = json.load(sys.stdin)
    sys.path[:] = path
    _move_clock()
    environment = _OtherEnvironment(os.environ, packages)
    os.environ = environment  # type: ignore[assignment]  # noqa: B003 (it wraps the real one)
    try:
        _import(name, file)
        kind, subject, make_lab = pickle.loads(base64.b64decode(load))
        result = {"fingerprint": kind(subject, make_lab).fingerprint()}
    except Exception as error:  # a plugin may raise anything
        result = {"error": " ".join(f"{type(error).__name__}: {error}".split())}
    print(json.dumps({**result, "read": sorted(environment.read)}))


class _OtherEnvironment(MutableMapping[str, str]):
    """The environment, in which the code of some top packages reads other values."""

    def __init__(self, real: MutableMapping[str, str], packages: Collection[str]) -> None:
        self._real, self._packages = real, packages
        self.read: set[str] = set()

    def __getitem__(self, name: str) -> str:
        if not self._is_for_plugin():
            return self._real[name]
        self.read.add(name)
        value = self._real.get(name, "0")
        try:
            return str(float(value) + 1)
        except ValueError:
            return f"{value}-other"

    def _is_for_plugin(self) -> bool:
        """Whether the innermost code outside of the standard library is a plugin's."""
        frame = sys._getframe(2)
        while frame is not None:
            module = str(frame.f_globals.get("__name__", ""))
            top = module.partition(".")[0]
            if top not in sys.stdlib_module_names and module != __name__:
                return top in self._packages
            frame = frame.f_back  # type: ignore[assignment]
        return False

    def __setitem__(self, name: str, value: str) -> None:
        self._real[name] = value

    def __delitem__(self, name: str) -> None:
        del self._real[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._real)

    def __len__(self) -> int:
        return len(self._real)

    def copy(self) -> dict[str, str]:
        return dict(self)


def _move_clock() -> None:
    """Let clocks that tell a date be ahead; those that measure durations stay."""
    real, real_ns = time.time, time.time_ns
    time.time = lambda: real() + _AHEAD
    time.time_ns = lambda: real_ns() + _AHEAD * 10**9
    shift = datetime.timedelta(seconds=_AHEAD)

    class Later(datetime.datetime):
        @classmethod
        def now(cls, tz: datetime.tzinfo | None = None) -> "Later":
            return super().now(tz) + shift

        @classmethod
        def today(cls) -> "Later":
            return super().today() + shift

    class LaterDate(datetime.date):
        @classmethod
        def today(cls) -> "LaterDate":
            return super().today() + shift

    datetime.datetime, datetime.date = Later, LaterDate  # type: ignore[misc]


def _import(name: str, file: str | None) -> None:
    """Import a module by its name, or from its file where it is not on the path, as a script is."""
    if name != "__main__":
        try:
            importlib.import_module(name)
            return
        except ImportError:
            if file is None:
                raise
    spec = importlib.util.spec_from_file_location("__mp_main__", file or "")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
