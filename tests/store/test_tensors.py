"""Tensors: the strict reader takes what safetensors writes, and nothing that only looks like it."""

import contextlib
import json
import time
from collections.abc import Callable

import ml_dtypes
import numpy as np
import pytest
import safetensors.numpy
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from ltx.store import tensors

DTYPES = [
    *("bool", "uint8", "int8", "uint16", "int16", "float16", "uint32", "int32", "float32"),
    *("uint64", "int64", "float64", "complex64"),
    *(ml_dtypes.bfloat16, ml_dtypes.float8_e4m3fn, ml_dtypes.float8_e5m2),
]


@pytest.mark.parametrize("dtype", DTYPES, ids=lambda dtype: np.dtype(dtype).name)
@pytest.mark.parametrize("shape", [(), (3,), (0, 4), (2, 3, 1)])
def test_every_dtype_comes_back(dtype: type, shape: tuple[int, ...]) -> None:
    array = np.ones(shape).astype(dtype)
    content = safetensors.numpy.save({"a": array, "b": np.arange(3.0)}, {"ltx": "{}"})
    arrays, metadata = tensors.parse(content)
    assert arrays["a"].dtype == dtype
    assert arrays["a"].shape == shape
    assert arrays["a"].tobytes() == array.tobytes()
    assert not arrays["a"].flags.writeable
    assert arrays["b"].tolist() == [0, 1, 2]
    assert metadata == {"ltx": "{}"}


def packed(header: object, data: bytes = bytes(8)) -> bytes:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return len(text).to_bytes(8, "little") + text + data


def one(**changes: object) -> dict[str, object]:
    return {"w": {"dtype": "U8", "shape": [8], "data_offsets": [0, 8], **changes}}


BAD = {
    "a name twice": packed(json.dumps(one())[:-1].encode() * 2),
    "same name": packed(json.dumps(one())[:-1].encode() + b"," + json.dumps(one())[1:].encode()),
    "metadata key twice": packed(b'{"__metadata__": {"a": "1", "a": "2"}}', b""),
    "booleans of 2": packed(one(dtype="BOOL"), b"\1\0\1\0\1\0\2\0"),
    "unknown field": packed(one(more=1)),
    "unknown dtype": packed(one(dtype="F4")),
    "negative shape": packed(one(shape=[-8])),
    "shape of floats": packed(one(shape=[8.0])),
    "shape of booleans": packed(one(dtype="U64", shape=[True])),
    "shape too large": packed(one(shape=[1 << 62])),
    "empty but too large": packed(one(shape=[0, 1 << 60], data_offsets=[0, 0]), b""),
    "many dimensions": packed(one(shape=[1] * 60, dtype="U64")),
    "hole": packed(one(shape=[4], data_offsets=[4, 8])),
    "overlap": packed({**one(), "v": one()["w"]}),
    "backwards": packed(one(data_offsets=[8, 0])),
    "beyond the end": packed(one(shape=[9], data_offsets=[0, 9])),
    "bytes that are left": packed(one(), bytes(9)),
    "no object": packed([]),
    "no JSON": packed(b"{x"),
    "not UTF-8": packed(b'{"\xff": 1}'),
    "half a pair": packed(b'{"\\ud800": 1}', b""),
    "byte-order mark": packed(b"\xef\xbb\xbf{}", b""),
    "nested": packed(b'{"__metadata__": ' + b"[" * 100_000, b""),
    "metadata of numbers": packed({"__metadata__": {"a": 1}}, b""),
    "empty": b"",
    "short": b"\1\0",
    "header beyond the end": (1 << 63).to_bytes(8, "little") + b"{}",
}


@pytest.mark.parametrize("name", BAD)
def test_what_is_wrong_is_refused_in_one_line(name: str) -> None:
    with pytest.raises(ValueError, match=r"expected|too large|unknown field") as info:
        tensors.parse(BAD[name])
    assert "\n" not in str(info.value)
    assert len(str(info.value)) < 400


def test_a_header_of_a_million_tensors_is_refused_at_once() -> None:
    entry = '"%07d":{"dtype":"U8","shape":[0],"data_offsets":[0,0]}'
    content = packed(("{" + ",".join(entry % n for n in range(1_000_000)) + "}").encode(), b"")
    started = time.perf_counter()
    with pytest.raises(ValueError, match="expected a header"):
        tensors.parse(content)
    assert time.perf_counter() - started < 1


same: Callable = hnp.arrays(np.float32, hnp.array_shapes(max_dims=2, max_side=3))


@given(st.dictionaries(st.text(max_size=3), same, max_size=4), st.data())
def test_bytes_changed_at_random_raise_nothing_but_value_errors(
    arrays: dict, data: st.DataObject
) -> None:
    content = bytearray(safetensors.numpy.save(arrays, {"ltx": "{}"}))
    for at in data.draw(st.lists(st.integers(0, len(content) - 1), max_size=3)):
        content[at] = data.draw(st.integers(0, 255))
    with contextlib.suppress(ValueError):
        read, _ = tensors.parse(bytes(content))
        assert sum(array.nbytes for array in read.values()) <= len(content)
