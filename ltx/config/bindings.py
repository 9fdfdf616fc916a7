"""Write a dataclass as gin bindings that build an equal value."""

import ast
import dataclasses
import itertools
from collections.abc import Iterator

from ltx.config import gin_files, plugins


def bindings(value: object) -> tuple[str, list[str]]:
    """The name for which `@name()` builds an equal dataclass under the returned bindings.

    A field that gin cannot express, such as a function, is left at its default.
    """
    lines: list[str] = []
    name = _add_bindings(value, itertools.count(1), lines)
    return name, lines


def _add_bindings(value: object, numbers: Iterator[int], lines: list[str]) -> str:
    """Append the bindings of a dataclass to `lines` and return its scoped gin name.

    Each value gets a scope of its own, since two values of one class may differ.
    """
    cls: type = type(value)
    core = gin_files.CORE.get(cls.__name__) is cls
    name = f"value_{next(numbers)}/{cls.__name__ if core else plugins.selector(cls)}"
    for field in dataclasses.fields(value):  # type: ignore[arg-type]
        text = _expression(getattr(value, field.name), numbers, lines)
        if field.init and text is not None:
            lines.append(f"{name}.{field.name} = {text}")
    return name


def _expression(value: object, numbers: Iterator[int], lines: list[str]) -> str | None:
    """The value as gin writes it; None where gin cannot."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return f"@{_add_bindings(value, numbers, lines)}()"
    if isinstance(value, list | tuple):
        parts = [_expression(item, numbers, lines) for item in value]
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
