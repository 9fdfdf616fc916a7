"""Bindings: the lines of gin that build a value."""

import ast
import dataclasses
import itertools
from collections.abc import Iterator

from ltx.config import gin_files, plugins


def bindings(value: object) -> tuple[str, list[str]]:
    """What `@name()` builds the dataclass anew, and the bindings of all its fields to go with it.

    A field that gin has no words for, such as a function, is left to its default.
    """
    lines: list[str] = []
    name = _reference(value, itertools.count(1), lines)
    return name, lines


def _reference(value: object, numbers: Iterator[int], lines: list[str]) -> str:
    """The scoped name of a dataclass; a scope for each, since two of a class may differ."""
    cls: type = type(value)
    core = gin_files.CORE.get(cls.__name__) is cls
    name = f"value_{next(numbers)}/{cls.__name__ if core else plugins.selector(cls)}"
    for field in dataclasses.fields(value):  # type: ignore[arg-type]
        text = _text(getattr(value, field.name), numbers, lines)
        if field.init and text is not None:
            lines.append(f"{name}.{field.name} = {text}")
    return name


def _text(value: object, numbers: Iterator[int], lines: list[str]) -> str | None:
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return f"@{_reference(value, numbers, lines)}()"
    if isinstance(value, list | tuple):
        parts = [_text(item, numbers, lines) for item in value]
        if None in parts:
            return None
        inside = ", ".join(map(str, parts))
        if isinstance(value, list):
            return f"[{inside}]"
        return f"({inside}{',' * (len(parts) == 1)})"
    try:
        return repr(value) if ast.literal_eval(repr(value)) == value else None
    except (ValueError, SyntaxError):
        return None
