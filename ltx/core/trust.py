"""Trust: the packages whose functions a configuration may name by a dotted path.

A gin file may come from anybody, so a dotted path in it is imported only where the user's own
command names its top package. Code that builds its settings in Python runs anyway: there, outside
of `only`, every package is trusted.
"""

import contextlib
import importlib
import inspect
import os
import re
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from ltx.core.errors import UsageError, unknown

VARIABLE = "LTX_TRUST"
_SETTINGS = {"model": ("Task.model", "ltx models"), "data set": ("Task.data", "ltx data list")}
# The last one holds, in all threads of the process, since any of them may open labs.
_limits: list[frozenset[str]] = []


@contextlib.contextmanager
def only(packages: Sequence[str], setting: str) -> Iterator[None]:
    """Trust only these packages and those of $LTX_TRUST; `setting` is where the first are given.

    Raises UsageError for what is not the name of a top package.
    """
    variable = [name.strip() for name in os.environ.get(VARIABLE, "").split(",") if name.strip()]
    named = {*_names(packages, setting), *_names(variable, VARIABLE)}
    _limits.append(frozenset(named))
    try:
        yield
    finally:
        _limits.pop()


def _names(packages: Sequence[str], setting: str) -> Sequence[str]:
    if isinstance(packages, str) or not isinstance(packages, list | tuple | set | frozenset):
        raise UsageError(f"{setting}: expected packages, as in ('my_package',), got {packages!r}")
    for name in packages:
        if not isinstance(name, str) or not re.fullmatch(r"[^\W\d]\w*", name):
            raise UsageError(
                f"{setting}: expected the name of a top package, as in my_package, got {name!r}"
            )
    return list(packages)


def is_path(name: str) -> bool:
    """Whether the name is a dotted path, `package.module.function` or `package.module:function`."""
    return "." in name or ":" in name


def is_function(name: str) -> bool:
    """Whether the name is `package.module.function`, which no name of a TFDS data set is."""
    return re.fullmatch(r"[^\W\d]\w*(\.[^\W\d]\w*)+", name) is not None


def imported(kind: str, name: str) -> Callable[..., Any]:
    """The function of a dotted path, `package.module.function` or `package.module:function`.

    Raises UsageError where its package is not trusted or has no such function. `kind` is that of
    what the function returns, "model" or "data set".
    """
    module_name, _, attribute = name.rpartition(":" if ":" in name else ".")
    require(kind, name)
    try:
        module = importlib.import_module(module_name)
    except Exception as error:
        raise UsageError(
            f"{kind} {name!r}: module {module_name!r} cannot be imported "
            f"({type(error).__name__}: {' '.join(str(error).split())}); install it or put its"
            " folder on PYTHONPATH."
        ) from error
    if not hasattr(module, attribute):
        public = [key for key, value in vars(module).items() if key[0] != "_" and callable(value)]
        raise unknown(f"function of module {module_name!r}", attribute, public)
    function: Callable[..., Any] = getattr(module, attribute)
    if not callable(function):
        raise UsageError(
            f"{kind} {name!r} is of type {type(function).__name__}; expected a function that"
            f" returns a {kind}."
        )
    # What an instance does was decided by the package that made it.
    if isinstance(function, type) or inspect.isroutine(function):
        require(kind, name, getattr(function, "__module__", None) or "")
    return function


def require(kind: str, name: str, module: str = "") -> None:
    """Raise UsageError for a dotted path whose top package is not trusted.

    `module` is the one that defines what the path leads to, where that is known: a trusted package
    may have imported it from another.
    """
    top = re.split(r"[.:]", module or name, maxsplit=1)[0]
    if not _limits or top in _limits[-1]:
        return
    what = f"is defined in the package {top!r}" if module else f"would run the package {top!r}"
    setting, listing = _SETTINGS[kind]
    raise UsageError(
        f"{setting} {name!r} {what}; if you trust its code, pass --trust={top} (from Python"
        f" trust=({top!r},)) or set {VARIABLE}={top}; `{listing}` lists the {kind}s that need none"
    )
