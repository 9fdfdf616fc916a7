"""The checks of what a finder is: its class and its settings."""

import dataclasses
import sys

from ltx.config import bindings, gin_files
from ltx.core import identity
from ltx.core.errors import LtxError, UsageError
from ltx.core.finder import Finder, is_finder
from ltx.testing.harness import FinderHarness, example, require


def check_defaults(bench: FinderHarness) -> None:
    """All fields have defaults, or the class says by `example` how it is made."""
    cls = type(bench.finder)
    if cls.example.__func__ is Finder.example.__func__:  # type: ignore[attr-defined]
        try:
            cls()
        except (LtxError, TypeError) as error:
            raise AssertionError(
                f"{cls.__name__}() fails: {error}; give every field a default that works, or"
                f" override {cls.__name__}.example"
            ) from error
    else:
        example(cls)


def check_frozen(bench: FinderHarness) -> None:
    """The class is a frozen dataclass of plain, hashable values, and `replace` keeps it."""
    finder = bench.finder
    require(is_finder(type(finder)), "expected @dataclasses.dataclass(frozen=True) on the class")
    for field in dataclasses.fields(finder):  # type: ignore[arg-type]
        value = getattr(finder, field.name)
        try:
            hash(value)
        except TypeError:
            raise AssertionError(
                f"{field.name} holds a {type(value).__name__}, which anybody may change; make it a"
                " tuple or a frozen dataclass in __post_init__"
            ) from None
    identity.identity(finder)
    require(dataclasses.replace(finder) == finder, "dataclasses.replace makes another finder")  # type: ignore[type-var]


def check_repr(bench: FinderHarness) -> None:
    """Its repr, evaluated beside its class, is an equal finder."""
    finder = bench.finder
    require(
        "<locals>" not in type(finder).__qualname__,
        f"{type(finder).__qualname__} stands within a function; define it at the module's top",
    )
    made = eval(repr(finder), _names(finder))
    require(made == finder, f"{finder!r} gives {made!r}; leave no field out of the repr")


def check_gin(bench: FinderHarness) -> None:
    """gin builds an equal finder from the bindings of its fields."""
    name, lines = bindings.bindings(bench.finder)
    made = gin_files.build(name, [], lines, allow_imports=True)
    require(made == bench.finder, f"gin built {made!r}, expected {bench.finder!r}")


def check_check(bench: FinderHarness) -> None:
    """`check` accepts these settings on this lab, and trains nothing."""
    lab = bench.lab()
    try:
        bench.finder.check(lab)
    except UsageError as error:
        raise AssertionError(
            f"{error} (in a training of {lab.steps()} steps with {lab.epoch} to the epoch; try"
            f" settings that fit, or say by {type(bench.finder).__name__}.example which do)"
        ) from error
    require(lab.watch.steps == 0, f"check trained {lab.watch.steps} steps; leave that to find")


def _names(value: object) -> dict[str, object]:
    """The names beside the class of a value and of what it holds."""
    module = sys.modules[type(value).__module__]
    names = {**vars(module), type(value).__name__: type(value)}
    if dataclasses.is_dataclass(value):
        for field in dataclasses.fields(value):
            inside = getattr(value, field.name)
            for item in inside if isinstance(inside, tuple) else (inside,):
                if dataclasses.is_dataclass(item):
                    names = {**_names(item), **names}
    return names
