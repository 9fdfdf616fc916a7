"""Conformance: the named checks of all that ltx relies on in a finder, and their results."""

import dataclasses
import sys
from collections.abc import Callable

from ltx.core.errors import LtxError, describe, packages_of
from ltx.testing import conduct_checks, setting_checks, ticket_checks
from ltx.testing.harness import FinderHarness, require

Check = Callable[[FinderHarness], str | None]


def check_waivers(harness: FinderHarness) -> None:
    """Every waiver names a check and gives a reason."""
    for name, reason in harness.waived.items():
        require(name in CHECKS, f"waived: {name!r} is no check; known: {', '.join(CHECKS)}")
        require(name != "waivers", "waived: the check of the waivers cannot be waived")
        require(isinstance(reason, str) and reason.strip(), f"waived: {name} needs a reason")


CHECKS: dict[str, Check] = {
    name.removeprefix("check_"): value
    for module in (setting_checks, ticket_checks, conduct_checks, sys.modules[__name__])
    for name, value in vars(module).items()
    if name.startswith("check_") and callable(value)
}


@dataclasses.dataclass(frozen=True)
class CheckResult:
    """The outcome of one check: "ok", "waived" or "failed", and why."""

    check: str
    outcome: str
    text: str = ""


def run_check(harness: FinderHarness, name: str) -> CheckResult:
    """Run one check; a waiver turns its failure into a pass, and its passing into a failure."""
    reason = harness.waived.get(name) if name != "waivers" else None
    try:
        note = CHECKS[name](harness) or ""
    except Exception as error:  # a plugin may raise anything
        if reason and isinstance(error, AssertionError):
            return CheckResult(name, "waived", reason)
        own = isinstance(error, AssertionError) and str(error)
        text = str(error) if own else f"it raised {_describe(harness, error)}"
        return CheckResult(name, "failed", " ".join(text.split()))
    if reason:
        text = f"waived for {reason!r}, but it passes; take the waiver away"
        return CheckResult(name, "failed", text)
    return CheckResult(name, "ok", note)


def _describe(harness: FinderHarness, error: Exception) -> str:
    name = f"{type(error).__name__}: " if isinstance(error, LtxError) else ""
    return name + describe(error, packages_of(harness.subject))
