"""Registry: the finders and scores that installed distributions offer through entry points."""

import dataclasses
import functools
from collections.abc import Callable
from importlib import metadata

import gin

from ltx.errors import UsageError, unknown
from ltx.finder import is_finder

GROUP = "ltx.finders"


@dataclasses.dataclass(frozen=True)
class Plugin:
    """One entry point: `target` is its `module:object`, `reason` why it cannot be used, if so."""

    name: str
    distribution: str
    version: str
    target: str
    reason: str = ""

    @property
    def status(self) -> str:
        return f"broken: {self.reason}" if self.reason else "ok"


@functools.cache
def entries() -> dict[str, metadata.EntryPoint]:
    """The entry points by name, none of them loaded; a name claimed twice is an error."""
    found: dict[str, metadata.EntryPoint] = {}
    for entry in metadata.entry_points(group=GROUP):
        other = found.setdefault(entry.name, entry)
        if other.value != entry.value:
            raise UsageError(
                f"finder {entry.name!r} is claimed twice, by {' '.join(_origin(other))} and by"
                f" {' '.join(_origin(entry))}; uninstall one of them"
            )
    return found


def load(name: str) -> type:
    """The finder class of that name, registered with gin under it."""
    if name not in entries():
        raise unknown("finder", name, entries(), "See `ltx plugins`.")
    entry = entries()[name]
    if reason := _reason(entry):
        raise UsageError(f"finder {name!r} of {' '.join(_origin(entry))} is broken: {reason}")
    return _register(entry)


def plugins() -> list[Plugin]:
    """Every installed plugin with its status; a broken one stops nobody who does not use it."""
    return [
        Plugin(name, *_origin(entry), entry.value, _reason(entry))
        for name, entry in sorted(entries().items())
    ]


@functools.cache
def _reason(entry: metadata.EntryPoint) -> str:
    try:
        cls = entry.load()
    except (Exception, SystemExit) as error:  # whatever a stranger's module raises is its status
        return f"{type(error).__name__}: {' '.join(str(error).split())}"
    if not is_finder(cls):
        return f"{entry.value} is not a frozen dataclass that derives from ltx.Finder"
    if getattr(cls, "__abstractmethods__", None):
        return f"{entry.value} does not implement {', '.join(sorted(cls.__abstractmethods__))}"
    return ""


@functools.cache
def _register(entry: metadata.EntryPoint) -> type:
    with gin.unlock_config():  # a parsed configuration does not stop a plugin from being found
        register: Callable[[type], type] = gin.register(entry.name, module=GROUP)
        return register(entry.load())


def _origin(entry: metadata.EntryPoint) -> tuple[str, str]:
    """The distribution that offers it, and that one's version."""
    return (entry.dist.name, entry.dist.version) if entry.dist else ("unknown", "?")
