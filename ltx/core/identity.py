"""Identity: the hash that names a value by its content and is the same on every machine."""

import dataclasses
import hashlib
import json
from collections.abc import Mapping

import numpy as np


def describe(value: object) -> object:
    """The value as plain JSON data; of a dataclass only the fields that differ from their default.

    A new field with a default that changes nothing therefore changes no existing identity.
    """
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        cls = type(value)
        core = cls.__module__.partition(".")[0] == "ltx"
        name = cls.__qualname__ if core else f"{cls.__module__}:{cls.__qualname__}"
        return {"is": name, **_changed(value)}
    if isinstance(value, Mapping):
        return {str(key): describe(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [describe(item) for item in value]
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, float) and value.is_integer():
        return int(value)  # 1 and 1.0 are the same setting
    if value is None or isinstance(value, str | int | float | bool):
        return value
    raise TypeError(
        f"{type(value).__name__} {value!r} has no identity: use dataclasses and plain values"
    )


def _changed(value: object) -> dict[str, object]:
    changed = {}
    for field in dataclasses.fields(value):  # type: ignore[arg-type]
        if not field.compare:
            continue
        now = getattr(value, field.name)
        default = field.default
        if field.default_factory is not dataclasses.MISSING:
            default = field.default_factory()
        if default is dataclasses.MISSING or describe(now) != describe(default):
            changed[field.name] = describe(now)
    return changed


def identity(value: object) -> str:
    """Sixteen hex digits that stand for the value's content."""
    text = json.dumps(describe(value), sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def digest(arrays: Mapping[str, np.ndarray]) -> str:
    """Thirty-two hex digits over names, dtypes, shapes and bytes, whatever the order of names."""
    total = hashlib.sha256()
    for name in sorted(arrays):
        array = np.ascontiguousarray(arrays[name])
        total.update(f"{name}|{array.dtype.str}|{array.shape}|".encode())
        total.update(array.reshape(-1).view(np.uint8).data)
    return total.hexdigest()[:32]


def freeze(arrays: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """The arrays contiguous and read-only, in order of their names; writable ones are copied."""
    frozen = {}
    for name in sorted(arrays):
        array = np.asarray(arrays[name])
        if not (array.flags.c_contiguous and _is_fixed(array)):
            array = np.array(array, order="C", copy=True)
            array.flags.writeable = False
        frozen[name] = array
    return frozen


def _is_fixed(array: np.ndarray) -> bool:
    """Whether the array and every array that it is a view of are read-only."""
    base: object = array
    while isinstance(base, np.ndarray):
        if base.flags.writeable:
            return False
        base = base.base
    return base is None or isinstance(base, bytes)


def generator(seed: int, *stream: object) -> np.random.Generator:
    """The random generator of a seed and stream, the same in every process."""
    text = json.dumps([seed, *map(str, stream)])
    return np.random.default_rng(int.from_bytes(hashlib.sha256(text.encode()).digest(), "big"))
