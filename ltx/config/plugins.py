"""Registry: the finders and scores that installed distributions offer through entry points."""

import dataclasses
import functools
from collections.abc import Callable
from importlib import metadata

import gin

from ltx.core.errors import UsageError, unknown
from ltx.core.finder import is_finder

FINDERS, SCORES = "ltx.finders", "ltx.scores"


@dataclasses.dataclass(frozen=True)
class Plugin:
    """One entry point: `target` is its `module:object`, `reason` why it cannot be used, if so."""

    name: str
    kind: str
    distribution: str
    version: str
    target: str
    reason: str = ""

    @property
    def status(self) -> str:
        return f"broken: {self.reason}" if self.reason else "ok"


@functools.cache
def entries() -> dict[str, list[metadata.EntryPoint]]:
    """Who offers each name; nothing is loaded, and a name that is offered twice has two entries."""
    found: dict[str, list[metadata.EntryPoint]] = {}
    for group in (FINDERS, SCORES):
        for entry in metadata.entry_points(group=group):
            others = found.setdefault(entry.name, [])
            # An editable installation may be seen twice.
            if all(other.value != entry.value for other in others):
                others.append(entry)
    return found


def load(name: str) -> type:
    """The finder or score class of that name, registered with gin under it."""
    if name not in entries():
        raise unknown("finder", name, entries(), "See `ltx plugins`.")
    entry, *others = entries()[name]
    if others:
        raise UsageError(
            f"{name!r} is claimed twice, by {_origin(entry)} and by {_origin(others[0])};"
            " uninstall one of them"
        )
    if reason := _reason(entry):
        raise UsageError(f"{name!r} of {_origin(entry)} is broken: {reason}")
    return _register(entry)


def plugins() -> list[Plugin]:
    """Every installed plugin with its status; a broken one stops nobody who does not use it."""
    return [
        _plugin(entry, f"claimed by {len(found)} distributions" if len(found) > 1 else "")
        for _, found in sorted(entries().items())
        for entry in found
    ]


def _plugin(entry: metadata.EntryPoint, clash: str) -> Plugin:
    kind = entry.group.removeprefix("ltx.").removesuffix("s")
    name, version = _origin(entry).split(" ")
    return Plugin(entry.name, kind, name, version, entry.value, clash or _reason(entry))


@functools.cache
def _reason(entry: metadata.EntryPoint) -> str:
    try:
        cls = entry.load()
    except (Exception, SystemExit) as error:  # whatever a stranger's module raises is its status
        return f"{type(error).__name__}: {' '.join(str(error).split())}"
    if entry.group == SCORES:
        fits = dataclasses.is_dataclass(cls) and "__call__" in dir(cls)
        return "" if fits else f"{entry.value} is not a dataclass with a __call__ method"
    if not is_finder(cls):
        return f"{entry.value} is not a frozen dataclass that derives from ltx.Finder"
    if getattr(cls, "__abstractmethods__", None):
        return f"{entry.value} does not implement {', '.join(sorted(cls.__abstractmethods__))}"
    return ""


@functools.cache
def _register(entry: metadata.EntryPoint) -> type:
    with gin.unlock_config():  # a parsed configuration does not stop a plugin from being found
        register: Callable[[type], type] = gin.register(entry.name, module=entry.group)
        return register(entry.load())


@functools.cache
def selector(cls: type) -> str:
    """The name by which gin knows the class; one that no entry point offers is registered now."""
    for name, found in entries().items():
        if any(entry.value == f"{cls.__module__}:{cls.__qualname__}" for entry in found):
            load(name)
            return name
    with gin.unlock_config():
        gin.register(cls.__name__, module=cls.__module__)(cls)
    return f"{cls.__module__}.{cls.__name__}"


def _origin(entry: metadata.EntryPoint) -> str:
    """The distribution that offers it, and that one's version."""
    return f"{entry.dist.name} {entry.dist.version}" if entry.dist else "unknown ?"
