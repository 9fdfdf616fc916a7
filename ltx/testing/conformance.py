"""Conformance: the named checks of all that ltx relies on in a finder or score, and results."""

import dataclasses
import sys
from collections.abc import Callable
from types import ModuleType
from typing import Any

from ltx.core.errors import LtxError, describe, packages_of
from ltx.core.task import Task
from ltx.testing import (
    conduct_checks,
    kind_checks,
    score_checks,
    setting_checks,
    task_checks,
    ticket_checks,
)
from ltx.testing.harness import FinderHarness, Harness, require
from ltx.testing.score_checks import ScoreHarness

Check = Callable[[Any], str | None]


def check_waivers(harness: Harness) -> None:
    """Every waiver names a check and gives a reason."""
    checks = checks_of(harness)
    for name, reason in harness.waived.items():
        require(name in checks, f"waived: {name!r} is no check; known: {', '.join(checks)}")
        require(name != "waivers", "waived: the check of the waivers cannot be waived")
        require(isinstance(reason, str) and reason.strip(), f"waived: {name} needs a reason")


def _checks(*modules: ModuleType) -> dict[str, Check]:
    return {
        name.removeprefix("check_"): value
        for module in (*modules, sys.modules[__name__])
        for name, value in vars(module).items()
        if name.startswith("check_") and callable(value)
    }


CHECKS = _checks(setting_checks, ticket_checks, conduct_checks, kind_checks)
# `check_check` of settings is replaced by that of a score.
SCORE_CHECKS = _checks(setting_checks, score_checks)


def checks_of(harness: Harness) -> dict[str, Check]:
    """The checks of what the harness runs, a finder or a score, by name."""
    return SCORE_CHECKS if isinstance(harness, ScoreHarness) else CHECKS


@dataclasses.dataclass(frozen=True)
class CheckResult:
    """The outcome of one check: "ok", "waived" or "failed", and why."""

    check: str
    outcome: str
    text: str = ""


def run_check(harness: Harness, name: str) -> CheckResult:
    """Run one check; a waiver turns its failure into a pass, and its passing into a failure."""
    reason = harness.waived.get(name) if name != "waivers" else None
    return _run(harness, name, checks_of(harness)[name], reason)


def run_on_task(harness: FinderHarness | ScoreHarness, label: str, task: Task) -> CheckResult:
    """Run the finder or the score on a task of its author's, by tf_keras."""
    if isinstance(harness, ScoreHarness):
        return _run(harness, label, lambda own: task_checks.check_score_on(own, task))
    return _run(harness, label, lambda own: task_checks.check_finder_on(own, task))


def _run(harness: Harness, name: str, check: Check, reason: str | None = None) -> CheckResult:
    try:
        note = check(harness) or ""
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


def _describe(harness: Harness, error: Exception) -> str:
    name = f"{type(error).__name__}: " if isinstance(error, LtxError) else ""
    return name + describe(error, packages_of(harness.subject))
