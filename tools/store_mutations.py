"""Changes of a store's files for tools/fuzz_store.py: bytes to bytes, by a random generator."""

import contextlib
import copy
import hashlib
import json
import math
import random
import re
from collections.abc import Callable, Iterator
from typing import Any

_SEAL = re.compile(rb"sha256-([0-9a-f]{64})")
# A mutation that the content, after others, no longer allows.
_UNFIT = (ValueError, KeyError, IndexError, TypeError, AttributeError, RecursionError)
_NASTY: list[Any] = [
    *(None, True, False, 0, 1, -1, -5, 2, 3.0, 0.5, -0.0, 1e400, -1e400, math.nan, 10**30, 1 << 63),
    *("", "x", "../../x", "a/b", "\0", "é", "ab" * 8, "ab" * 16, "nan", "5it", "x" * 5000),
    *([], {}, [[]], [0], [1, 2, 3], {"is": "Recipe"}, {"is": "Recipe", "length": -1}),
    *([10**18, 0], [1 << 62, 4], [3, -1], "BF16", "BOOL", "F64", "U8", [0, 0], [0, 1 << 60]),
]


def mutated(rng: random.Random, content: bytes, others: list[bytes]) -> bytes:
    """The content of a file, changed in one to three places, with a digest that is right."""
    choices: list[Callable[[random.Random, bytes], bytes]] = [_bytes, _bytes_cut, _document]
    if content[:1] != b"{":
        choices += [_data, _tensors, _tensors, _manifest, _manifest, _length]
    else:
        choices += [_document] * 4
    for _ in range(rng.choice((1, 1, 1, 2, 3))):
        if rng.random() < 0.06:
            content = rng.choice(others)
        else:
            with contextlib.suppress(*_UNFIT):
                content = rng.choice(choices)(rng, content)
    return sealed(content) if rng.random() < 0.98 else content


def sealed(content: bytes) -> bytes:
    """The content with its digest computed anew."""
    seal = _SEAL.search(content)
    if seal is None:
        return content
    blank = content[: seal.start(1)] + b"0" * 64 + content[seal.end(1) :]
    digest = hashlib.sha256(blank).hexdigest().encode()
    return content[: seal.start(1)] + digest + content[seal.end(1) :]


def _bytes(rng: random.Random, content: bytes) -> bytes:
    changed = bytearray(content)
    for _ in range(rng.choice((1, 1, 2, 8))):
        changed[rng.randrange(len(changed))] ^= 1 << rng.randrange(8)
    return bytes(changed)


def _bytes_cut(rng: random.Random, content: bytes) -> bytes:
    at, length = rng.randrange(len(content)), rng.choice((1, 1, 8, 100))
    if rng.random() < 0.5:
        return content[:at] + content[at + length :]
    return content[:at] + rng.randbytes(length) + content[at:]


def _length(rng: random.Random, content: bytes) -> bytes:
    length = rng.choice(
        (0, 1, 2, len(content), 1 << 20, 1 << 40, (1 << 64) - 1, rng.randrange(500))
    )
    return length.to_bytes(8, "little") + content[8:]


def _split(content: bytes) -> tuple[dict, bytes]:
    length = int.from_bytes(content[:8], "little")
    return json.loads(content[8 : 8 + length]), content[8 + length :]


def _joined(header: bytes, data: bytes) -> bytes:
    return len(header).to_bytes(8, "little") + header + data


def _data(rng: random.Random, content: bytes) -> bytes:
    """Change values of a tensor: bits inverted, zeros, ones, NaN, or the values in reverse."""
    header, data = _split(content)
    names = [name for name in header if name != "__metadata__"]
    start, stop = header[rng.choice(names)]["data_offsets"]
    part = data[start:stop]
    nan = (b"\0\0\xc0\x7f" * (len(part) // 4 + 1))[: len(part)]
    inverted = bytes(255 - byte for byte in part)
    part = rng.choice((inverted, bytes(len(part)), b"\xff" * len(part), nan, part[::-1]))
    return _joined(json.dumps(header).encode(), data[:start] + part + data[stop:])


def _tensors(rng: random.Random, content: bytes) -> bytes:
    """Change the table of tensors."""
    header, data = _split(content)
    return _joined(_dumped(rng, _changed(rng, header)), data)


def _manifest(rng: random.Random, content: bytes) -> bytes:
    """Change ltx's own header."""
    header, data = _split(content)
    inner = json.loads(header["__metadata__"]["ltx"])
    header["__metadata__"]["ltx"] = _dumped(rng, _changed(rng, inner)).decode()
    return _joined(json.dumps(header).encode(), data)


def _document(rng: random.Random, content: bytes) -> bytes:
    """Change a JSON document or a line of the log."""
    lines = content.splitlines(keepends=True)
    if content[:1] == b"{" and lines[0].strip() != b"{":
        at = rng.randrange(len(lines))
        lines[at] = _dumped(rng, _changed(rng, json.loads(lines[at]))) + b"\n"
        return b"".join(lines)
    return _dumped(rng, _changed(rng, json.loads(content)))


def _changed(rng: random.Random, document: Any) -> Any:
    """The document with a value replaced, deleted, copied over another or put one level deeper."""
    document = copy.deepcopy(document)
    places = [place for place in _places(document) if place[1] != "seal"]
    parent, key = rng.choice(places)
    how = rng.random()
    if how < 0.55:
        parent[key] = _value(rng, parent[key])
    elif how < 0.75:
        del parent[key]
    elif how < 0.9:
        other, other_key = rng.choice(places)
        parent[key] = copy.deepcopy(other[other_key])
    else:
        parent[key] = [parent[key]]
    return document


def _value(rng: random.Random, value: Any) -> Any:
    if isinstance(value, int | float) and rng.random() < 0.5:
        return rng.choice((value + 1, value - 1, -value, value * 2, float(value), str(value)))
    if isinstance(value, str) and value and rng.random() < 0.3:
        return rng.choice((value[:-1], value + "\n", value[::-1], value * 2, f"../{value}"))
    if rng.random() < 0.02:
        return "\ud800"
    return copy.deepcopy(rng.choice(_NASTY))


def _places(value: Any) -> Iterator[tuple[Any, Any]]:
    for key in list(value) if isinstance(value, dict) else range(len(value)):
        yield value, key
        if isinstance(value[key], dict | list):
            yield from _places(value[key])


def _dumped(rng: random.Random, value: Any) -> bytes:
    text = json.dumps(value)
    if isinstance(value, dict) and value and rng.random() < 0.05:  # a key twice
        key = rng.choice(list(value))
        text = text[:-1] + f", {json.dumps(key)}: {json.dumps(rng.choice(_NASTY))}}}"
    if rng.random() < 0.02:
        text = text.replace(": ", ": " + rng.choice(("[" * 100_000, "9" * 5000, "\ufeff")), 1)
    return text.encode()
