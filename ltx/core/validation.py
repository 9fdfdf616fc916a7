"""Validation of settings: errors that name the setting, what was expected and what was got."""

import functools
import logging
import math
import sys

from ltx.core.duration import Duration
from ltx.core.errors import UsageError, shown, unknown


@functools.lru_cache(maxsize=1024)
def warn_once(text: str) -> None:
    """Log a warning, the same text only once in a process."""
    logging.getLogger("ltx").warning("%s", text)


def check_choice(name: str, value: object, known: tuple[str, ...]) -> None:
    """Raise UsageError for a value that is not one of `known`."""
    if value not in known:
        raise unknown(name, value, known)


def check_type(name: str, value: object, kind: type, example: str) -> None:
    """Raise UsageError for an object of another class, such as the class itself without `()`."""
    if not isinstance(value, kind):
        raise UsageError(f"{name}: expected {kind.__name__}, as in {example}, got {shown(value)}")


def check_implements(name: str, value: object, protocol: type, examples: str) -> None:
    """Raise UsageError for a class, or an object that lacks a member of a runtime protocol."""
    if isinstance(value, type) or not isinstance(value, protocol):
        raise UsageError(f"{name}: expected {examples}, got {shown(value)}")


def check_score(name: str, value: object) -> None:
    """Raise UsageError for what cannot be called as a score."""
    if isinstance(value, type) or not callable(value):
        raise UsageError(f"{name}: expected a score, as in @Magnitude(), got {shown(value)}")


def check_count(name: str, value: int, least: int = 1, most: int = sys.maxsize) -> None:
    """Raise UsageError for what is not a whole number from `least` to `most`."""
    if not isinstance(value, int) or isinstance(value, bool) or not least <= value <= most:
        bounds = f"at least {least}" + f" and at most {most}" * (most < sys.maxsize)
        raise UsageError(f"{name}: expected a whole number of {bounds}, got {shown(value)}")


def check_duration(name: str, value: object) -> None:
    """Raise UsageError for what is not a Duration, nor text that stands for one."""
    try:
        Duration.parse(value)  # type: ignore[arg-type]
    except UsageError as error:
        raise UsageError(f"{name}: {error}") from error


def check_number(
    name: str,
    value: float,
    *,
    above: float = -math.inf,
    least: float = -math.inf,
    below: float = math.inf,
) -> None:
    """Raise UsageError for a number outside its range; NaN and infinity always are."""
    good = isinstance(value, int | float) and not isinstance(value, bool) and _is_finite(value)
    if not (good and value > above and value >= least and value < below):
        bounds = [f"above {above:g}"] * (above > -math.inf)
        bounds += [f"at least {least:g}"] * (least > -math.inf)
        bounds += [f"below {below:g}"] * (below < math.inf)
        raise UsageError(f"{name}: expected a number {' and '.join(bounds)}, got {shown(value)}")


def _is_finite(value: float) -> bool:
    try:
        return math.isfinite(value)
    except OverflowError:  # a whole number that no float can hold
        return False
