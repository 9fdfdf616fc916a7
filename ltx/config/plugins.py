"""Plugins: finders and scores that installed distributions offer through entry points."""

import dataclasses
import functools
import logging
from collections.abc import Callable
from importlib import metadata

import gin

from ltx.core.errors import UsageError, describe, unknown
from ltx.core.finder import is_finder

FINDERS, SCORES = "ltx.finders", "ltx.scores"

_log = logging.getLogger("ltx")


@dataclasses.dataclass(frozen=True)
class Plugin:
    """One entry point: `target` is its `module:object`, `reason` why it is unusable, or empty."""

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
    """The entry points of each name, not loaded; a name that is offered twice has two of them."""
    by_name: dict[str, list[metadata.EntryPoint]] = {}
    for group in (FINDERS, SCORES):
        for entry in metadata.entry_points(group=group):
            others = by_name.setdefault(entry.name, [])
            # An editable installation may be listed twice.
            if all(other.value != entry.value for other in others):
                others.append(entry)
    return by_name


def packages() -> set[str]:
    """The top packages of all plugins."""
    return {entry.module.partition(".")[0] for same in entries().values() for entry in same}


def load(name: str) -> type:
    """The finder or score class of that name, registered with gin under the name."""
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
    """Every installed plugin with its status; broken ones are listed, not raised."""
    return [
        _plugin(entry, f"claimed by {len(same)} distributions" if len(same) > 1 else "")
        for _, same in sorted(entries().items())
        for entry in same
    ]


def _plugin(entry: metadata.EntryPoint, clash: str) -> Plugin:
    kind = entry.group.removeprefix("ltx.").removesuffix("s")
    name, version = _origin(entry).split(" ")
    return Plugin(entry.name, kind, name, version, entry.value, clash or _reason(entry))


@functools.cache
def _reason(entry: metadata.EntryPoint) -> str:
    """Why the entry point cannot be used; empty where it can."""
    try:
        cls = entry.load()
    except (
        Exception,
        SystemExit,
    ) as error:  # a plugin's module may raise anything; it is its status
        _log.debug("%s of %s", entry.value, _origin(entry), exc_info=True)
        return describe(error, {entry.module.partition(".")[0]})
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
    with gin.unlock_config():  # loading a plugin is allowed after a configuration was parsed
        register: Callable[[type], type] = gin.register(entry.name, module=entry.group)
        return register(entry.load())


@functools.cache
def selector(cls: type) -> str:
    """The gin name of the class; one that no entry point offers is registered first."""
    for name, same in entries().items():
        if any(entry.value == f"{cls.__module__}:{cls.__qualname__}" for entry in same):
            load(name)
            return name
    with gin.unlock_config():
        gin.register(cls.__name__, module=cls.__module__)(cls)
    return f"{cls.__module__}.{cls.__name__}"


def _origin(entry: metadata.EntryPoint) -> str:
    """The name and version of the distribution that offers it."""
    return f"{entry.dist.name} {entry.dist.version}" if entry.dist else "unknown ?"
