"""Plugins: finders and scores that installed distributions offer through entry points.

Where two distributions, or one and ltx, offer a name, `distribution:name` is one of them on the
command line, and `distribution.name` in a gin file, with `_` for what no identifier holds.
"""

import dataclasses
import functools
import logging
import re
from collections.abc import Callable
from importlib import metadata

import gin

from ltx.config import builtin_classes
from ltx.config.builtin_classes import CORE
from ltx.core.environment import DISTRIBUTION, versions
from ltx.core.errors import UsageError, describe, unknown
from ltx.core.finder import is_finder
from ltx.core.objectives.objective import Objective
from ltx.data import loading

FINDERS, SCORES, TRACKERS = "ltx.finders", "ltx.scores", "ltx.trackers"
OBJECTIVES = "ltx.objectives"

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
    for group in (FINDERS, SCORES, OBJECTIVES):
        for entry in metadata.entry_points(group=group):
            others = by_name.setdefault(entry.name, [])
            # An editable installation may be listed twice.
            if all(other.value != entry.value for other in others):
                others.append(entry)
    return by_name


def packages() -> set[str]:
    """The top packages of all plugins but those of ltx itself."""
    named = {entry.module.partition(".")[0] for same in entries().values() for entry in same}
    return named - {"ltx"}


def named(name: str) -> list[metadata.EntryPoint]:
    """The entry points of `name`, `distribution:name`, or `distribution.name` as in gin files."""
    qualifier, _, short = name.rpartition(":" if ":" in name else ".")
    return [
        entry
        for entry in entries().get(short, ())
        if qualifier in ("", entry.group, _origin(entry)[0], _identifier(entry), _module(entry))
    ]


def load(name: str) -> type:
    """The finder or score class of that name, registered with gin; scores of ltx come first."""
    core = {cls.__name__: cls for cls in builtin_classes.SCORES}
    if name in core:
        return core[name]
    found = named(name)
    if not found:
        raise unknown("finder or score", name, [*entries(), *core], "See `ltx plugins`.")
    if len(found) > 1:
        each = " and ".join(f"the {_kind(e)} of {' '.join(_origin(e))}" for e in found)
        raise UsageError(f"{name!r} is claimed twice, by {each}; name one: {_names(found)}")
    if reason := _reason(found[0]):
        raise UsageError(f"{name!r} of {' '.join(_origin(found[0]))} is broken: {reason}")
    return _register(found[0])


def plugins() -> list[Plugin]:
    """Every installed plugin with its status; broken ones are listed, not raised.

    The scores of ltx are among them, data sets, and trackers, which are loaded only where a run
    uses them.
    """
    core = [
        Plugin(cls.__name__, "score", DISTRIBUTION, versions()["ltx"], _target(cls))
        for cls in builtin_classes.SCORES
    ]
    offered = [
        _plugin(entry, _clash(same, entry) or _reason(entry))
        for same in entries().values()
        for entry in same
    ]
    groups: dict[str, dict[str, metadata.EntryPoint]] = {}
    for entry in metadata.entry_points(group=TRACKERS):
        groups.setdefault(entry.name, {}).setdefault(entry.value, entry)
    trackers = [
        _plugin(
            entry,
            f"claimed by {len(same)} distributions; name this one"
            f" --tracker={_origin(entry)[0]}:{entry.name}:LOCATION"
            if len(same) > 1
            else "",
        )
        for same in groups.values()
        for entry in same.values()
    ]
    data = [_plugin(offer.entry, offer.reason) for offer in loading.offers()]
    return sorted([*core, *offered, *trackers, *data], key=lambda one: (one.kind, one.name))


def _plugin(entry: metadata.EntryPoint, reason: str) -> Plugin:
    return Plugin(entry.name, _kind(entry), *_origin(entry), entry.value, reason)


def _kind(entry: metadata.EntryPoint) -> str:
    return entry.group.removeprefix("ltx.").removesuffix("s")


def _clash(same: list[metadata.EntryPoint], entry: metadata.EntryPoint) -> str:
    """What else has the entry's name, and how to name this one; "" if nothing has."""
    if len(same) > 1:
        by = "by a finder and a score" if _is_double(entry) else f"by {len(same)} distributions"
        return f"claimed {by}; name this one {_names([entry])}"
    if entry.name in CORE:
        return f"{entry.name} is the one of ltx; name this one {_names([entry])}"
    return ""


def _names(found: list[metadata.EntryPoint]) -> str:
    each = []
    for entry in found:
        gin_name = f"{_module(entry) if _is_double(entry) else _identifier(entry)}.{entry.name}"
        name = gin_name if _is_double(entry) else f"{_origin(entry)[0]}:{entry.name}"
        each.append(f"{name} (in a gin file @{gin_name}())")
    return " or ".join(each)


def _is_double(entry: metadata.EntryPoint) -> bool:
    """Whether its distribution offers a finder and a score of that name."""
    same = [_origin(other)[0] for other in entries()[entry.name]]
    return same.count(_origin(entry)[0]) > 1


def _module(entry: metadata.EntryPoint) -> str:
    """The module by which gin tells it from any other of its name."""
    return f"{entry.group}.{_identifier(entry)}"


@functools.cache
def _reason(entry: metadata.EntryPoint) -> str:
    """Why the entry point cannot be used; empty where it can."""
    if not re.fullmatch(r"[A-Za-z_]\w*", entry.name, re.ASCII):
        good = re.sub(r"\W", "_", entry.name, flags=re.ASCII)
        return f"no gin file can name {entry.name!r}; call the entry point {good!r}, for instance"
    try:
        cls = entry.load()
    except (
        Exception,
        SystemExit,
    ) as error:  # a plugin's module may raise anything; it is its status
        _log.debug("%s of %s", entry.value, _origin(entry)[0], exc_info=True)
        return describe(error, {entry.module.partition(".")[0]})
    return _misfit(entry.group, entry.value, cls)


def _misfit(group: str, target: str, cls: object) -> str:
    """Why a loaded object is not what its group expects; empty where it is."""
    if group == SCORES:
        fits = dataclasses.is_dataclass(cls) and "__call__" in dir(cls)
        return "" if fits else f"{target} is not a dataclass with a __call__ method"
    if group == OBJECTIVES:
        fits = (
            isinstance(cls, type) and issubclass(cls, Objective) and dataclasses.is_dataclass(cls)
        )
        if not fits:
            return f"{target} is not a frozen dataclass that derives from ltx.Objective"
    elif not is_finder(cls):
        return f"{target} is not a frozen dataclass that derives from ltx.Finder"
    if missing := getattr(cls, "__abstractmethods__", None):
        return f"{target} does not implement {', '.join(sorted(missing))}"
    return ""


@functools.cache
def _register(entry: metadata.EntryPoint) -> type:
    with gin.unlock_config():  # loading a plugin is allowed after a configuration was parsed
        module = _module(entry) if _is_shared(entry) else entry.group
        register: Callable[[type], type] = gin.register(entry.name, module=module)
        return register(entry.load())


def _is_shared(entry: metadata.EntryPoint) -> bool:
    return len(entries()[entry.name]) > 1 or entry.name in CORE


@functools.cache
def selector(cls: type) -> str:
    """The gin name of the class; one that no entry point offers is registered first."""
    for name, same in entries().items():
        for entry in same:
            if entry.value == _target(cls):
                _register(entry)
                if _is_double(entry):
                    return f"{_module(entry)}.{name}"
                return f"{_identifier(entry)}.{name}" if _is_shared(entry) else name
    with gin.unlock_config():
        gin.register(cls.__name__, module=cls.__module__)(cls)
    return f"{cls.__module__}.{cls.__name__}"


def _target(cls: type) -> str:
    return f"{cls.__module__}:{cls.__qualname__}"


def _identifier(entry: metadata.EntryPoint) -> str:
    """The distribution as a gin file writes it."""
    return re.sub(r"\W", "_", _origin(entry)[0])


def _origin(entry: metadata.EntryPoint) -> tuple[str, str]:
    """The name and version of the distribution that offers it."""
    return (entry.dist.name, entry.dist.version) if entry.dist else ("unknown", "?")
