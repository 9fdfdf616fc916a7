"""Files of arrays or JSON, written atomically, with a digest over every byte."""

import contextlib
import errno
import hashlib
import json
import os
import re
import secrets
import time
from collections.abc import Mapping
from pathlib import Path

import ml_dtypes
import numpy as np
import safetensors
import safetensors.numpy

from ltx.core.errors import CorruptError, StoreFullError, UsageError

_SEAL = re.compile(rb"sha256-([0-9a-f]{64})")
_BLANK = "sha256-" + "0" * 64
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_STALE_SECONDS = 3600
# The dtypes that safetensors stores; its own reader for numpy lacks the small floats.
_DTYPES: Mapping[str, np.dtype] = {
    **{f"I{8 * size}": np.dtype(f"<i{size}") for size in (1, 2, 4, 8)},
    **{f"U{8 * size}": np.dtype(f"<u{size}") for size in (1, 2, 4, 8)},
    **{f"F{8 * size}": np.dtype(f"<f{size}") for size in (2, 4, 8)},
    "BOOL": np.dtype(np.bool_),
    "C64": np.dtype(np.complex64),
    "BF16": np.dtype(ml_dtypes.bfloat16),
    "F8_E4M3": np.dtype(ml_dtypes.float8_e4m3fn),
    "F8_E5M2": np.dtype(ml_dtypes.float8_e5m2),
}


def write_arrays(
    path: Path, arrays: Mapping[str, np.ndarray], header: Mapping[str, object]
) -> None:
    """Write a safetensors file with the header as JSON under its one metadata key, `ltx`.

    UsageError for an array of a dtype that the format does not have.
    """
    for name, array in arrays.items():
        if array.dtype not in _DTYPES.values():
            raise UsageError(
                f"cannot write {path}: {name} has dtype {array.dtype.name}; expected a variable of"
                " bools, whole or floating-point numbers or complex64"
            )
    # One key, because safetensors writes several in no fixed order; contiguous arrays, because it
    # silently scrambles others.
    text = json.dumps({"seal": _BLANK, **header}, separators=(",", ":"))
    plain = {
        name: np.ascontiguousarray(array).reshape(array.shape) for name, array in arrays.items()
    }
    _write(path, safetensors.numpy.save(plain, {"ltx": text}))


def read_arrays(path: Path) -> tuple[dict[str, np.ndarray], dict]:
    """Read arrays and header; CorruptError if any byte of the file has changed."""
    content = _read(path)
    arrays = {
        name: np.frombuffer(entry["data"], _DTYPES[entry["dtype"]]).reshape(entry["shape"])
        for name, entry in safetensors.deserialize(content)
    }
    return arrays, _header(content)


def read_header(path: Path) -> dict:
    """Read the header alone; the whole file is verified."""
    return _header(_read(path))


def write_json(path: Path, document: Mapping[str, object]) -> None:
    """Write a JSON file whose first key, `seal`, is the digest."""
    _write(path, (json.dumps({"seal": _BLANK, **document}, indent=1) + "\n").encode())


def read_json(path: Path) -> dict:
    """Read a document; CorruptError if any byte of the file has changed."""
    document = json.loads(_read(path))
    document.pop("seal")
    return document


def sweep(folder: Path) -> None:
    """Delete temporary files that are an hour old or older: their writers were killed."""
    for path in folder.rglob("*.tmp"):
        with contextlib.suppress(OSError):
            if time.time() - path.stat().st_mtime > _STALE_SECONDS:
                path.unlink()


def _header(content: bytes) -> dict:
    length = int.from_bytes(content[:8], "little")
    header = json.loads(json.loads(content[8 : 8 + length])["__metadata__"]["ltx"])
    header.pop("seal")
    return header


def _write(path: Path, content: bytes) -> None:
    blank = _SEAL.search(content)
    assert blank is not None
    seal = hashlib.sha256(content).hexdigest().encode()
    sealed = content[: blank.start(1)] + seal + content[blank.end(1) :]
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(6)}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with open(temporary, "xb") as file:
            file.write(sealed)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
        _sync_folder(path.parent)
    except OSError as error:
        with contextlib.suppress(OSError):
            temporary.unlink()
        if error.errno in _FULL:
            raise StoreFullError(
                f"cannot write {path}: {error.strerror} ({len(sealed)} bytes); what was stored"
                " before is intact: free some space and run the same command again"
            ) from error
        raise UsageError(
            f"cannot write {path}: {error.strerror}; choose another --store"
        ) from error


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _read(path: Path) -> bytes:
    content = path.read_bytes()
    seal = _SEAL.search(content)
    if seal is None:
        raise CorruptError(f"{path}: no digest in it; the file is damaged or not one of ltx")
    blank = content[: seal.start(1)] + b"0" * 64 + content[seal.end(1) :]
    if hashlib.sha256(blank).hexdigest().encode() != seal[1]:
        raise CorruptError(f"{path}: its bytes do not match its digest; the file is damaged")
    return content
