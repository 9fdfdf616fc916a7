"""Trust: the packages whose functions a configuration may name by a dotted path.

A gin file may come from anybody, so a dotted path in it is imported only where the user's own
command names its top package. Code that builds its settings in Python runs anyway: there, outside
of `only`, every package is trusted.
"""

import contextlib
import os
import re
from collections.abc import Iterator, Sequence

from ltx.core.errors import UsageError

VARIABLE = "LTX_TRUST"
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


def require(name: str, module: str = "") -> None:
    """Raise UsageError for the dotted path of a model whose top package is not trusted.

    `module` is the one that defines what the path leads to, where that is known: a trusted package
    may have imported it from another.
    """
    top = re.split(r"[.:]", module or name, maxsplit=1)[0]
    if not _limits or top in _limits[-1]:
        return
    what = f"is defined in the package {top!r}" if module else f"would run the package {top!r}"
    raise UsageError(
        f"Task.model {name!r} {what}; if you trust its code, pass --trust={top} (from Python"
        f" trust=({top!r},)) or set {VARIABLE}={top}; `ltx models` lists the models that need none"
    )
