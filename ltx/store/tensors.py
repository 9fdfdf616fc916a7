"""The safetensors format, read strictly: each name once, each byte of the file in one tensor.

The reader of the `safetensors` package takes the last of two tensors of one name, and minutes and
gigabytes for a header of a million tensors.

Reference: https://github.com/huggingface/safetensors#format
"""

import math
from typing import Annotated

import msgspec
import numpy as np
from msgspec import Meta

from ltx.store import schema, strict_json

MOST_HEADER = 16 << 20  # bytes
# By the names of the format; those of numpy first, then those that ml_dtypes adds to it.
_NUMPY = {
    **{"BOOL": "?", "U8": "u1", "I8": "i1", "U16": "<u2", "I16": "<i2", "F16": "<f2"},
    **{"U32": "<u4", "I32": "<i4", "F32": "<f4", "U64": "<u8", "I64": "<i8", "F64": "<f8"},
    "C64": "<c8",
}
_ML_DTYPES = {
    "BF16": "bfloat16",
    "F8_E4M3": "float8_e4m3fn",
    "F8_E5M2": "float8_e5m2",
    "F8_E8M0": "float8_e8m0fnu",
    "F8_E4M3FNUZ": "float8_e4m3fnuz",
    "F8_E5M2FNUZ": "float8_e5m2fnuz",
}
_WRITTEN = {np.dtype(name).newbyteorder("<").str for name in _NUMPY.values()}
_WRITTEN_ML_DTYPES = ("bfloat16", "float8_e4m3fn", "float8_e5m2")
_MOST_ELEMENTS = 1 << 48  # also of an empty tensor's other dimensions


class _Tensor(msgspec.Struct, forbid_unknown_fields=True):
    dtype: str
    shape: Annotated[tuple[schema.Count, ...], Meta(max_length=32)]
    data_offsets: tuple[schema.Count, schema.Count]


def parse(content: bytes) -> tuple[dict[str, np.ndarray], dict[str, str]]:
    """The tensors, as read-only views of `content`, and the metadata of a safetensors file.

    ValueError, in one line, if the file is not one or says more than its bytes hold.
    """
    length = int.from_bytes(content[:8], "little")
    if not 2 <= length <= min(MOST_HEADER, len(content) - 8):
        raise ValueError(f"expected a header of 2 to {MOST_HEADER} bytes, got one of {length}")
    header = strict_json.parse(content[8 : 8 + length])
    if not isinstance(header, dict):
        raise ValueError(f"expected an object as header, got {type(header).__name__}")
    metadata = schema.check(header.pop("__metadata__", {}), dict[str, str])
    tensors = schema.check(header, dict[str, _Tensor])
    arrays, at, data = {}, 0, 8 + length
    for name, one in sorted(tensors.items(), key=lambda item: item[1].data_offsets):
        dtype, (start, stop) = _dtype(one.dtype), one.data_offsets
        if math.prod(max(side, 1) for side in one.shape) > _MOST_ELEMENTS:
            raise ValueError(f"tensor {name[:60]!r}: its shape {list(one.shape)} is too large")
        count = math.prod(one.shape)
        if start != at or stop - start != count * dtype.itemsize:
            raise ValueError(
                f"tensor {name[:60]!r}: expected bytes {at} to {at + count * dtype.itemsize} of"
                f" the data, got {start} to {stop}"
            )
        if data + stop > len(content):
            break
        arrays[name] = _array(name, content, dtype, one.shape, data + start)
        at = stop
    if len(arrays) < len(tensors) or data + at != len(content):
        raise ValueError(f"expected tensors that fill the file of {len(content)} bytes")
    return arrays, metadata


def is_storable(dtype: np.dtype) -> bool:
    """Whether safetensors writes arrays of this dtype."""
    return dtype.newbyteorder("<").str in _WRITTEN or dtype.name in _WRITTEN_ML_DTYPES


def _array(
    name: str, content: bytes, dtype: np.dtype, shape: tuple[int, ...], offset: int
) -> np.ndarray:
    count = math.prod(shape)
    if not count:
        empty = np.empty(shape, dtype)
        empty.flags.writeable = False
        return empty
    if dtype == np.bool_ and np.frombuffer(content, np.uint8, count, offset).max() > 1:
        raise ValueError(f"tensor {name[:60]!r}: expected booleans, got bytes above 1")
    return np.frombuffer(content, dtype, count, offset).reshape(shape)


def _dtype(name: str) -> np.dtype:
    if name in _NUMPY:
        return np.dtype(_NUMPY[name])
    if name in _ML_DTYPES:
        import ml_dtypes  # only here: few files need it

        return np.dtype(getattr(ml_dtypes, _ML_DTYPES[name]))
    raise ValueError(
        f"expected a dtype among {', '.join([*_NUMPY, *_ML_DTYPES])}, got {name[:20]!r}"
    )
