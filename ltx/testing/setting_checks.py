"""Checks of the class of a finder or score, and of its settings."""

import dataclasses
import math
import sys
from collections.abc import Iterator

from ltx.config import bindings, gin_files
from ltx.core import identity
from ltx.core.duration import Duration
from ltx.core.errors import LtxError, UsageError
from ltx.core.finder import Finder
from ltx.testing.example_finders import example
from ltx.testing.harness import FinderHarness, Harness, require
from ltx.testing.ticket_checks import is_duration


def check_defaults(harness: Harness) -> None:
    """All fields have defaults, or the class says by `example` how it is made."""
    cls = type(harness.subject)
    finder = cls if issubclass(cls, Finder) else None
    if finder and finder.example.__func__ is not Finder.example.__func__:  # type: ignore[attr-defined]
        example(finder)
        return
    try:
        cls()
    except (LtxError, TypeError) as error:
        raise AssertionError(
            f"{cls.__name__}() fails: {error}; give every field a default that works"
            + f", or override {cls.__name__}.example" * bool(finder)
        ) from error


def check_frozen(harness: Harness) -> None:
    """The class is a frozen dataclass of plain, hashable values, and `replace` keeps it."""
    subject, cls = harness.subject, type(harness.subject)
    parameters = vars(cls).get("__dataclass_params__")  # not those of a parent
    require(
        parameters is not None and parameters.frozen,
        "expected @dataclasses.dataclass(frozen=True) on the class",
    )
    for field in dataclasses.fields(subject):  # type: ignore[arg-type]
        value = getattr(subject, field.name)
        try:
            hash(value)
        except TypeError:
            raise AssertionError(
                f"{field.name} holds a {type(value).__name__}, which is mutable; make it a"
                " tuple or a frozen dataclass in __post_init__"
            ) from None
    identity.identity(subject)
    require(dataclasses.replace(subject) == subject, "dataclasses.replace makes another one")  # type: ignore[type-var]


def check_repr(harness: Harness) -> None:
    """Its repr, evaluated beside its class, is its equal."""
    subject = harness.subject
    require(
        "<locals>" not in type(subject).__qualname__,
        f"{type(subject).__qualname__} is defined within a function; define it at the module's top",
    )
    made = eval(repr(subject), _names(subject))
    require(made == subject, f"{subject!r} gives {made!r}; leave no field out of the repr")


def check_gin(harness: Harness) -> None:
    """gin builds its equal from the bindings of its fields."""
    name, lines = bindings.bindings(harness.subject)
    made = gin_files.build(name, [], lines, allow_imports=True)
    require(made == harness.subject, f"gin built {made!r}, expected {harness.subject!r}")


def check_check(harness: FinderHarness) -> None:
    """`check` accepts these settings on this lab, and trains nothing."""
    lab = harness.lab()
    try:
        harness.finder.check(lab)
    except UsageError as error:
        raise AssertionError(
            f"{error} (in a training of {lab.steps()} steps with {lab.epoch} to the epoch; try"
            f" settings that fit, or say by {type(harness.finder).__name__}.example which do)"
        ) from error
    require(lab.trace.steps == 0, f"check trained {lab.trace.steps} steps; leave that to find")


_COUNTS = ("levels", "rounds", "batches")


def check_settings(harness: Harness) -> str | None:
    """Refused in one line: True and NaN for numbers, -1 levels, no densities, unclear durations."""
    fields = dataclasses.fields(harness.subject)  # type: ignore[arg-type]
    values = [(field.name, getattr(harness.subject, field.name)) for field in fields]
    wrong = [(name, other) for name, value in values for other in _wrong(name, value)]
    remedy = "refuse it in __post_init__, as by ltx.check_count, check_number or check_duration"
    for name, value in wrong:
        try:
            other = dataclasses.replace(harness.subject, **{name: value})  # type: ignore[type-var]
            getattr(other, "check", lambda lab: None)(harness.lab())
        except UsageError as error:
            require(
                "\n" not in str(error), f"{name}={value!r} is refused in several lines: {error}"
            )
        except Exception as error:  # a plugin may raise anything
            text = f"{name}={value!r} ends in {type(error).__name__}: {error}; {remedy}"
            raise AssertionError(text) from error
        else:
            raise AssertionError(f"{name}={value!r} is accepted; {remedy}")
    return None if wrong else "no field is a number, a duration or densities"


def _wrong(name: str, value: object) -> Iterator[object]:
    """Values that a field with this name and value cannot mean."""
    if isinstance(value, int | float) and not isinstance(value, bool):
        yield from (True, math.nan)
        if name in _COUNTS:
            yield -1
    if name == "densities":
        yield ()
    if isinstance(value, str | Duration) and is_duration(value):
        yield "soon"


def _names(value: object) -> dict[str, object]:
    """The globals of the modules that define the class of a value and of what it holds."""
    module = sys.modules[type(value).__module__]
    names = {**vars(module), type(value).__name__: type(value)}
    if dataclasses.is_dataclass(value):
        for field in dataclasses.fields(value):
            inside = getattr(value, field.name)
            for item in inside if isinstance(inside, tuple) else (inside,):
                if dataclasses.is_dataclass(item):
                    names = {**_names(item), **names}
    return names
