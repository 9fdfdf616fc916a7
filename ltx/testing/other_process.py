"""Run a finder in another process, with another salt for string hashes."""

import base64
import importlib
import importlib.util
import inspect
import json
import os
import pickle
import subprocess
import sys
from collections.abc import Sequence

from ltx.core import identity
from ltx.core.ticket import Ticket
from ltx.testing.harness import FinderHarness

SECONDS = 120


def fingerprints(tickets: Sequence[Ticket]) -> list[list[object]]:
    """What two processes must agree on, as JSON values: ids, and the notes."""
    return [
        [t.id, t.mask.id, t.state.id, json.loads(json.dumps(identity.describe(t.note)))]
        for t in tickets
    ]


def run_in_subprocess(harness: FinderHarness) -> list[list[object]]:
    """The fingerprints of the tickets that another process finds with seed 0.

    Classes are found there by module and name, or in the file that they came from.
    """
    module = inspect.getmodule(type(harness.finder))
    origin = [type(harness.finder).__module__, getattr(module, "__file__", None), sys.path]
    load = base64.b64encode(pickle.dumps((harness.finder, harness.make_lab))).decode()
    salt = "1" if os.environ.get("PYTHONHASHSEED") != "1" else "2"
    done = subprocess.run(
        [
            sys.executable,
            "-c",
            "from ltx.testing import other_process; other_process.main()",
        ],
        input=json.dumps([*origin, load]),
        env={**os.environ, "PYTHONHASHSEED": salt},
        capture_output=True,
        text=True,
        check=False,
        timeout=SECONDS,
    )
    if done.returncode:
        last = (done.stderr.strip().splitlines() or ["no message"])[-1]
        raise AssertionError(f"another process cannot run the finder: {last}")
    return json.loads(done.stdout.splitlines()[-1])


def main() -> None:
    """Run the finder on standard input and print its fingerprints."""
    name, file, path, load = json.load(sys.stdin)
    sys.path[:] = path
    _import(name, file)
    finder, make_lab = pickle.loads(base64.b64decode(load))
    print(json.dumps(fingerprints(FinderHarness(finder, make_lab).search().tickets)))


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
