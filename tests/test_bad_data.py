"""Data that a task cannot train on ends `ltx run` with exit code 2 and one line, untrained."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ltx.cli.main import main

NUMBERS = np.random.default_rng(0).normal(size=(60, 4)).astype(np.float32)
LABELS = np.arange(60) % 3
STUDY = ["--gin_file=studies/first_ticket.gin", "--seeds=1", "--gin_param=imp.levels=1"]
STUDY += ["--gin_param=Recipe.length='4it'", "--gin_param=Recipe.batch_size=8"]


def run(path: Path, *params: str, **arrays: Any) -> int:
    np.savez(path, **arrays)
    every = [f"Task.data='arrays:{path}'", "Task.model='mlp'", "Task.test=0.2", *params]
    return main(
        ["run", *STUDY, *(f"--gin_param={p}" for p in every), f"--store={path.parent / 's'}"]
    )


@pytest.mark.parametrize(
    ("arrays", "params", "says"),
    [
        ({"targets": LABELS}, ["Task.test=0"], "no test split"),
        ({"targets": LABELS / 2}, [], "Classification expects one class number"),
        ({"targets": LABELS}, ["Task.objective=@Regression()"], "expects floating targets"),
        ({"targets": np.eye(3)[LABELS]}, [], "Classification expects one class number"),
        ({"targets": np.eye(3)[LABELS] / 2}, ["Task.objective=@MultiLabel()"], "0 and 1"),
        ({"targets": LABELS}, ["Task.objective=@NextToken()"], "NextToken expects"),
        ({"targets": LABELS}, ["Task.model='conv_2'"], "expected an input shape"),
        ({"targets": LABELS}, ["Task.data_args={'targt': 'y'}"], "unknown argument"),
        ({"targets": LABELS}, ["Task.preprocessing={'scalng': 'none'}"], "did you mean scaling"),
        ({"targets": LABELS}, ["Task.data='aray:x.npz'"], "unknown scheme"),
        ({"targets": LABELS}, ["Task.data='arrays:none.npz'"], "there is no file none.npz"),
        ({"target": LABELS}, [], "expected arrays inputs and targets"),
    ],
)
def test_it_is_said_before_training(
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
    arrays: dict[str, Any],
    params: list[str],
    says: str,
) -> None:
    code = run(tmp_path / "d.npz", *params, inputs=NUMBERS, **arrays)
    lines = capfd.readouterr().err.splitlines()
    assert code == 2, lines
    [line] = [line for line in lines if says in line]
    assert line.startswith("ltx: error: ")


def test_a_file_that_is_none_is_said(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    for content in (b"", b"nothing", b"PK\x03\x04 cut"):
        (tmp_path / "d.npz").write_bytes(content)
        params = [f"--gin_param=Task.data='arrays:{tmp_path / 'd.npz'}'"]
        assert main(["run", *STUDY, *params]) == 2
        [line] = capfd.readouterr().err.splitlines()
        assert "expected a file of numpy.savez" in line
