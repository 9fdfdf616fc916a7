"""Check: a setting out of its range is refused by name, with what was expected and what came."""

import math

from ltx.core.errors import UsageError, unknown


def check_choice(name: str, value: object, known: tuple[str, ...]) -> None:
    """Refuse a value that is not one of `known`."""
    if value not in known:
        raise unknown(name, value, known)


def check_type(name: str, value: object, kind: type, example: str) -> None:
    """Refuse what is not of this class; a class bound without `()` is a usual slip in gin."""
    if not isinstance(value, kind):
        raise UsageError(f"{name}: expected {kind.__name__}, as in {example}, got {value!r}")


def check_implements(name: str, value: object, protocol: type, examples: str) -> None:
    """Refuse a class, and an object that lacks a member of the runtime-checkable protocol."""
    if isinstance(value, type) or not isinstance(value, protocol):
        raise UsageError(f"{name}: expected {examples}, got {value!r}")


def check_score(name: str, value: object) -> None:
    """Refuse what cannot be called as a score."""
    if isinstance(value, type) or not callable(value):
        raise UsageError(f"{name}: expected a score, as in @Magnitude(), got {value!r}")


def check_count(name: str, value: int, least: int = 1) -> None:
    """Refuse what is not a whole number of at least `least`."""
    if not isinstance(value, int) or isinstance(value, bool) or value < least:
        raise UsageError(f"{name}: expected a whole number of at least {least}, got {value!r}")


def check_number(
    name: str,
    value: float,
    *,
    above: float = -math.inf,
    least: float = -math.inf,
    below: float = math.inf,
) -> None:
    """Refuse a number outside its range; NaN and infinity are outside every range."""
    good = isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
    if not (good and value > above and value >= least and value < below):
        bounds = [f"above {above:g}"] * (above > -math.inf)
        bounds += [f"at least {least:g}"] * (least > -math.inf)
        bounds += [f"below {below:g}"] * (below < math.inf)
        raise UsageError(f"{name}: expected a number {' and '.join(bounds)}, got {value!r}")
