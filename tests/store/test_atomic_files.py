"""Atomic files: every change is noticed, and a write that fails leaves no trace."""

import errno
import os
import subprocess
import sys
import time
from pathlib import Path

import ml_dtypes
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from ltx import State, UsageError
from ltx.core.errors import CorruptError, StoreFullError
from ltx.store import atomic_files

WHOLE = (np.int8, np.int16, np.int32, np.int64, np.uint8, np.uint16, np.uint32, np.uint64)
DTYPES = (np.bool_, *WHOLE, np.float16, np.float32, np.float64, np.complex64)
same_folder = settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
shapes = hnp.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=4)
some = st.sampled_from(DTYPES).flatmap(lambda dtype: hnp.arrays(dtype, shapes))
# Every way for the bytes not to lie in order: turned, every second, backwards, of one element.
layouts = st.sampled_from(
    [
        lambda a: a,
        lambda a: a.T,
        np.asfortranarray,
        lambda a: a[..., ::2] if a.ndim else a,
        lambda a: a[::-1] if a.ndim else a,
        lambda a: np.broadcast_to(a, (2, *a.shape)),
    ]
)


@same_folder
@given(arrays=st.dictionaries(st.text(max_size=5), st.tuples(some, layouts), max_size=3))
def test_arrays_come_back_as_they_were(tmp_path: Path, arrays: dict) -> None:
    given_arrays = {
        name: layout(array) for name, (array, layout) in arrays.items() if name != "__metadata__"
    }
    path = tmp_path / "a.safetensors"
    atomic_files.write_arrays(path, given_arrays, {"kind": "test", "n": [1, None, "ä"]})
    read, header = atomic_files.read_arrays(path)
    assert header == {"kind": "test", "n": [1, None, "ä"]} == atomic_files.read_arrays(path)[1]
    assert read.keys() == given_arrays.keys()
    for name, array in given_arrays.items():
        assert read[name].dtype == array.dtype
        assert read[name].shape == array.shape
        assert read[name].tobytes() == array.tobytes()


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@same_folder
@given(
    document=st.dictionaries(st.text().filter(lambda key: key != "seal"), json_values, max_size=4)
)
def test_documents_come_back_as_they_were(tmp_path: Path, document: dict) -> None:
    atomic_files.write_json(tmp_path / "a.json", document)
    assert atomic_files.read_json(tmp_path / "a.json") == document


def test_text_that_looks_like_a_seal_is_only_text(tmp_path: Path) -> None:
    document = {"a": "sha256-" + "0" * 64, "sha256-" + "f" * 64: 1}
    atomic_files.write_json(tmp_path / "a.json", document)
    assert atomic_files.read_json(tmp_path / "a.json") == document
    header = {"sha256-" + "f" * 64: "sha256-" + "0" * 64}
    atomic_files.write_arrays(tmp_path / "a", {"sha256-" + "a" * 64: np.zeros(2)}, header)
    assert atomic_files.read_arrays(tmp_path / "a")[1] == header


@pytest.mark.parametrize(
    "dtype", [ml_dtypes.bfloat16, ml_dtypes.float8_e4m3fn, ml_dtypes.float8_e5m2]
)
@pytest.mark.parametrize("shape", [(), (0,), (2, 3)])
def test_the_small_floats_come_back_as_they_were(
    tmp_path: Path, dtype: type, shape: tuple[int, ...]
) -> None:
    state = State({"w": np.full(shape, -0.5, dtype)}, {"n": np.arange(6).astype(dtype)[::-1]})
    atomic_files.write_arrays(tmp_path / "a", state.arrays(), {})
    read = State.from_arrays(atomic_files.read_arrays(tmp_path / "a")[0])
    assert read == state
    assert read.weights["w"].dtype == read.statistics["n"].dtype == dtype
    assert read.statistics["n"].tolist() == [5, 4, 3, 2, 1, 0]


@pytest.mark.parametrize("dtype", [object, np.str_, np.complex128, ml_dtypes.int4])
def test_a_dtype_that_cannot_be_stored_is_named(tmp_path: Path, dtype: type) -> None:
    arrays = {"fine": np.ones(2), "words": np.ones(2).astype(dtype)}
    with pytest.raises(UsageError, match="words has dtype"):
        atomic_files.write_arrays(tmp_path / "a", arrays, {})
    assert list(tmp_path.iterdir()) == []


def test_the_same_content_makes_the_same_bytes(tmp_path: Path) -> None:
    for name in "ab":
        atomic_files.write_arrays(tmp_path / name, {"x": np.arange(3), "y": np.ones(2)}, {"k": 1})
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def small(path: Path, kind: str) -> bytes:
    if kind == "json":
        atomic_files.write_json(path, {"a": 1})
    else:
        atomic_files.write_arrays(path, {"w": np.arange(3, dtype=np.uint8)}, {"a": 1})
    return path.read_bytes()


READERS = {"json": atomic_files.read_json, "arrays": atomic_files.read_arrays}


@pytest.mark.parametrize("kind", READERS)
def test_every_flipped_bit_is_noticed(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "file"
    content = small(path, kind)
    for bit in range(8 * len(content)):
        flipped = bytearray(content)
        flipped[bit // 8] ^= 1 << bit % 8
        path.write_bytes(flipped)
        with pytest.raises(CorruptError, match="damaged"):
            READERS[kind](path)


@pytest.mark.parametrize("kind", READERS)
def test_every_truncation_is_noticed(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "file"
    content = small(path, kind)
    for length in range(len(content)):
        path.write_bytes(content[:length])
        with pytest.raises(CorruptError):
            READERS[kind](path)
    path.write_bytes(content + b"\0")
    with pytest.raises(CorruptError):
        READERS[kind](path)


def test_a_file_that_is_not_there_is_no_damage(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        atomic_files.read_json(tmp_path / "none")


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EDQUOT])
def test_a_full_disk_leaves_the_old_file_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int
) -> None:
    path = tmp_path / "a.json"
    atomic_files.write_json(path, {"old": True})

    def full(handle: int) -> None:
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(StoreFullError, match="what was stored before is intact"):
        atomic_files.write_json(path, {"new": True})
    monkeypatch.undo()
    assert atomic_files.read_json(path) == {"old": True}
    assert os.listdir(tmp_path) == ["a.json"]


LIMITED = """
import resource, signal, sys
from pathlib import Path
import numpy as np
from ltx.store import atomic_files
from ltx.core.errors import StoreFullError
path = Path(sys.argv[1])
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (1000, resource.RLIM_INFINITY))
try:
    atomic_files.write_arrays(path, {"w": np.zeros(10_000)}, {"new": True})
except StoreFullError as error:
    print(type(error).__name__, error)
"""


def test_a_limit_of_the_system_leaves_the_old_file_alone(tmp_path: Path) -> None:
    path = tmp_path / "a.safetensors"
    atomic_files.write_arrays(path, {"w": np.ones(2)}, {"old": True})
    done = subprocess.run(
        [sys.executable, "-c", LIMITED, str(path)], capture_output=True, text=True, check=True
    )
    assert done.stdout.startswith("StoreFullError cannot write")
    assert atomic_files.read_arrays(path)[1] == {"old": True}
    assert os.listdir(tmp_path) == ["a.safetensors"]


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(UsageError, match="choose another --store"):
        atomic_files.write_json(tmp_path / "file" / "a.json", {})


def test_sweeping_removes_old_half_written_files_only(tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    old, new, other = (tmp_path / "sub" / name for name in (".a.1.tmp", ".a.2.tmp", "a.json"))
    for path in (old, new, other):
        path.write_text("x")
    hours_ago = time.time() - 7200
    os.utime(old, (hours_ago, hours_ago))
    os.utime(other, (hours_ago, hours_ago))
    atomic_files.sweep(tmp_path)
    assert sorted(os.listdir(tmp_path / "sub")) == [".a.2.tmp", "a.json"]
