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

import numpy as np
import safetensors.numpy

from ltx.core.errors import CorruptError, StoreFullError, UsageError
from ltx.store import strict_json, tensors

_SEAL = re.compile(rb"sha256-([0-9a-f]{64})")
_BLANK = "sha256-" + "0" * 64
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_STALE_SECONDS = 3600
MOST_JSON = 32 << 20  # bytes


def write_arrays(
    path: Path, arrays: Mapping[str, np.ndarray], header: Mapping[str, object]
) -> None:
    """Write a safetensors file with the header as JSON under its one metadata key, `ltx`.

    UsageError for an array of a dtype that the format does not have.
    """
    for name, array in arrays.items():
        if not tensors.is_storable(array.dtype):
            raise UsageError(
                f"cannot write {path}: {name} has dtype {array.dtype.name}; expected a variable of"
                " bools, whole or floating-point numbers or complex64"
            )
    # One key, because safetensors writes several in no fixed order; contiguous arrays, because it
    # silently scrambles others.
    text = json.dumps({"seal": _BLANK, **header}, separators=(",", ":"))
    _check_size(path, len(text), tensors.MOST_HEADER // 2)
    plain = {
        name: np.ascontiguousarray(array).reshape(array.shape) for name, array in arrays.items()
    }
    _write(path, safetensors.numpy.save(plain, {"ltx": text}))


def read_arrays(path: Path) -> tuple[dict[str, np.ndarray], dict]:
    """Read arrays and header; CorruptError if any byte of the file has changed."""
    arrays, header, _ = read_sealed(path)
    return arrays, header


def read_sealed(path: Path) -> tuple[dict[str, np.ndarray], dict, bytes]:
    """Read arrays, header and digest, as `read_arrays`; the arrays are read-only."""
    content, seal = _read(path)
    try:
        arrays, metadata = tensors.parse(content)
        if metadata.keys() != {"ltx"}:
            raise ValueError(f"expected the metadata of ltx, got {sorted(metadata)!r:.80}")
        return arrays, _unsealed(metadata["ltx"].encode()), seal
    except ValueError as error:
        raise CorruptError(f"{path}: {error}; the file is damaged or forged") from error


def write_json(path: Path, document: Mapping[str, object]) -> None:
    """Write a JSON file whose first key, `seal`, is the digest."""
    content = (json.dumps({"seal": _BLANK, **document}, indent=1) + "\n").encode()
    _check_size(path, len(content), MOST_JSON)
    _write(path, content)


def read_json(path: Path) -> dict:
    """Read a document; CorruptError if any byte of the file has changed."""
    content, _ = _read(path)
    try:
        if len(content) > MOST_JSON:
            raise ValueError(f"expected at most {MOST_JSON} bytes, got {len(content)}")
        return _unsealed(content)
    except ValueError as error:
        raise CorruptError(f"{path}: {error}; the file is damaged or forged") from error


def sweep(folder: Path) -> None:
    """Delete temporary files that are an hour old or older: their writers were killed."""
    for path in folder.rglob("*.tmp"):
        with contextlib.suppress(OSError):
            if time.time() - path.stat().st_mtime > _STALE_SECONDS:
                path.unlink()


def _unsealed(text: bytes) -> dict:
    """The JSON object of this text without its digest; ValueError if it is not one."""
    document = strict_json.parse(text)
    if not isinstance(document, dict) or "seal" not in document:
        raise ValueError("expected an object with a seal")
    del document["seal"]
    return document


def _check_size(path: Path, size: int, most: int) -> None:
    """Refuse to write what would not be read again."""
    if size > most:
        raise UsageError(
            f"cannot write {path}: its JSON has {size} bytes, the most is {most}; keep less in a"
            " ticket's note, or evaluate less often"
        )


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


def _read(path: Path) -> tuple[bytes, bytes]:
    """The content of a file and its digest, which has been verified."""
    try:
        content = path.read_bytes()
    except IsADirectoryError as error:
        raise CorruptError(f"{path}: expected a file, got a folder") from error
    seal = _SEAL.search(content)
    if seal is None:
        raise CorruptError(f"{path}: no digest in it; the file is damaged or not one of ltx")
    digest = hashlib.sha256(content[: seal.start(1)] + b"0" * 64)
    digest.update(memoryview(content)[seal.end(1) :])
    if digest.hexdigest().encode() != seal[1]:
        raise CorruptError(f"{path}: its bytes do not match its digest; the file is damaged")
    return content, seal[1]
