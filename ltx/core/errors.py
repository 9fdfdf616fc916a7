"""Errors: one line that names what failed, what was expected, what was got, and the remedy."""

import dataclasses
import difflib
import inspect
import linecache
import traceback
from collections.abc import Collection, Iterable, Iterator
from pathlib import Path
from types import FrameType


class LtxError(Exception):
    """Any failure that ltx foresees; its one-line text is shown without a traceback."""

    exit_code = 1


class UsageError(LtxError):
    """Invalid input or settings; raised before any training, exit code 2."""

    exit_code = 2


class UnsupportedError(UsageError):
    """A method of a lab that its backend does not implement."""


class DivergedError(LtxError):
    """Training produced a loss or a weight that is not finite."""


class GuardError(LtxError):
    """A mask was not honoured: an error in ltx or below it, never in the user's input."""


class ControlError(LtxError):
    """A control removed nothing, or not what it claims to: an error in the control."""


class CorruptError(LtxError):
    """A stored file does not hold what its digest says."""


class StoreFullError(LtxError):
    """The disk is full; what was stored before is intact."""


class BudgetError(LtxError):
    """The training budget of a run is used up; what was trained is kept, exit code 3."""

    exit_code = 3


_SHOWN = 200  # characters of a value in an error


def shown(value: object) -> str:
    """The repr of a value for an error, cut where it is long."""
    if isinstance(value, int) and value.bit_length() > 1000:
        return f"a number of about 10**{round(value.bit_length() * 0.30103)}"
    text = repr(value)
    if len(text) <= _SHOWN:
        return text
    return f"{text[:_SHOWN]}... ({len(text):,} characters)"


def unknown(kind: str, name: object, known: Iterable[str], remedy: str = "") -> UsageError:
    """The error for a name that is not among `known`: close matches first, then all names."""
    names = sorted(known)
    close = difflib.get_close_matches(str(name)[:_SHOWN], names, n=3, cutoff=0.5)
    text = f"unknown {kind} {shown(str(name))}"
    text += f": did you mean {' or '.join(close)}?" if close else "."
    text += f" Known: {', '.join(names) or 'none'}."
    return UsageError(f"{text} {remedy}".strip())


def describe(error: BaseException, packages: Collection[str] = ()) -> str:
    """The error in one line, with the place in the code of these top packages that raised it.

    An LtxError was foreseen, and its text is enough. Without a frame of those packages the place
    is left out.
    """
    text = " ".join(str(error).split())
    if isinstance(error, LtxError):
        return text
    name = type(error).__name__
    return f"{name}{text and ': '}{text}{place_of(error, packages)}"


def packages_of(value: object) -> set[str]:
    """The top packages whose code a finder or score runs, ltx aside: its own, its parts'."""
    return set(_packages(value)) - {"ltx", "abc", "builtins", "typing"}


def _packages(value: object) -> Iterator[str]:
    if dataclasses.is_dataclass(value):
        for cls in inspect.getmro(type(value)):
            yield cls.__module__.partition(".")[0]
        for field in dataclasses.fields(value):
            yield from _packages(getattr(value, field.name, None))
    elif isinstance(value, list | tuple):
        for item in value:
            yield from _packages(item)


def place_of(error: BaseException, packages: Collection[str]) -> str:
    """` (file, line N: source)` of the innermost frame in the packages; "" where there is none."""
    if isinstance(error, SyntaxError) and error.filename and error.text:
        return f" ({_short(error.filename)}, line {error.lineno}: {_source(error.text)})"
    place = ""
    for frame, line in traceback.walk_tb(error.__traceback__):
        if _package(frame) in packages:
            file = frame.f_code.co_filename
            source = linecache.getline(file, line, frame.f_globals)
            place = f" ({_short(file)}, line {line}{source and ': '}{_source(source)})"
    return place


def _package(frame: FrameType) -> str:
    return str(frame.f_globals.get("__name__", "")).partition(".")[0]


def _short(file: str) -> str:
    """The path from the current folder, if the file is below it."""
    try:
        return str(Path(file).relative_to(Path.cwd()))
    except (ValueError, OSError):
        return file


def _source(line: str) -> str:
    text = " ".join(line.split())
    return text if len(text) <= 120 else f"{text[:117]}..."
