"""Errors: one line that names what failed, what was expected, what was got, and the remedy."""

import difflib
from collections.abc import Iterable


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


def unknown(kind: str, name: object, known: Iterable[str], remedy: str = "") -> UsageError:
    """The error for a name that is not among `known`: close matches first, then all names."""
    names = sorted(known)
    close = difflib.get_close_matches(str(name), names, n=3, cutoff=0.5)
    text = f"unknown {kind} {str(name)!r}"
    text += f": did you mean {' or '.join(close)}?" if close else "."
    text += f" Known: {', '.join(names) or 'none'}."
    return UsageError(f"{text} {remedy}".strip())
