"""Liveness: a process is alive from its announcement until it ends, however it ends."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from ltx import Store
from ltx.store import liveness

HERE = os.uname().nodename


def test_a_process_is_alive_as_long_as_it_runs(tmp_path: Path) -> None:
    store = Store(tmp_path / "store")
    assert not liveness.is_alive(store, HERE, os.getpid())
    with liveness.announce(store):
        assert liveness.is_alive(store, HERE, os.getpid())
        assert not liveness.is_alive(store, "elsewhere", os.getpid())
    assert not liveness.is_alive(store, HERE, os.getpid())


def test_an_error_ends_it(tmp_path: Path) -> None:
    store = Store(tmp_path / "store")
    with pytest.raises(ZeroDivisionError), liveness.announce(store):
        raise ZeroDivisionError
    assert not list((store.path / "locks").glob("run-*"))


def test_a_killed_process_is_not_alive(tmp_path: Path) -> None:
    store = Store(tmp_path / "store")
    code = """
import sys, time
from ltx import Store
from ltx.store import liveness
with liveness.announce(Store(sys.argv[1])):
    print("there", flush=True)
    time.sleep(60)
"""
    command = [sys.executable, "-c", code, str(store.path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "there\n"
        assert liveness.is_alive(store, HERE, process.pid)
        process.send_signal(signal.SIGKILL)
    assert not liveness.is_alive(store, HERE, process.pid)
