"""Checks that a finder assumes nothing of a task that other kinds of tasks do not have."""

import dataclasses
from typing import ClassVar

import numpy as np

from ltx.core.errors import UsageError
from ltx.core.objectives.metric import Metric
from ltx.core.objectives.regression import Regression
from ltx.core.task import Task
from ltx.testing.fake_lab import RECIPE
from ltx.testing.harness import FinderHarness, SearchResult, find, require
from ltx.testing.ticket_checks import fits


@dataclasses.dataclass(frozen=True)
class Closeness(Regression):
    """Regression with the negative of its metric, of which more is better."""

    metric: ClassVar[Metric] = Metric("negative RMSE", margin=Regression.metric.margin)

    def metrics(self, outputs: np.ndarray, targets: np.ndarray) -> dict[str, float]:
        values = super().metrics(outputs, targets)
        return {self.metric.name: -values.pop(Regression.metric.name), **values}


LOWER, HIGHER = (
    Task(data="fake", model="fake", recipe=RECIPE, objective=objective)
    for objective in (Regression(), Closeness())
)
KINDS = {"numbers with values": LOWER, "tokens": dataclasses.replace(LOWER, data="fake_tokens")}


def check_kinds(harness: FinderHarness) -> str | None:
    """It works on a regression of numbers and on one of tokens, or `check` refuses it."""
    notes = []
    for kind, task in KINDS.items():
        if reason := _refusal(harness, task):
            notes.append(f"refuses {kind}: {reason}")
            continue
        try:
            result = harness.search(task=task)
        except UsageError as error:
            raise AssertionError(
                f"{kind} are refused by find only: {error}; refuse them in check"
            ) from error
        require(result.tickets, f"find yielded nothing for {kind}")
        try:
            fits(result.lab, result.tickets)
        except AssertionError as error:
            raise AssertionError(f"{kind}: {error}") from error
    return "; ".join(notes) or None


def check_direction(harness: FinderHarness) -> str | None:
    """A metric of which less is better leads to the tickets that its negative leads to."""
    if reason := _refusal(harness, LOWER) or _refusal(harness, HIGHER):
        return f"refuses a regression: {reason}"
    lower, higher = (_found(harness.search(task=task)) for task in (LOWER, HIGHER))
    if lower != _found(find(harness.finder, harness.lab(task=LOWER))):
        return "two searches differ: see same_seed"
    require(
        lower == higher,
        "other tickets where the metric's negative is the metric; compare values by"
        " lab.task.objective.metric: gain(ours, theirs) and best(...)",
    )
    return None


def _found(result: SearchResult) -> list[tuple[int, str, str]]:
    """What does not depend on the name of the task."""
    return [(ticket.level, ticket.mask.id, ticket.state.id) for ticket in result.tickets]


def _refusal(harness: FinderHarness, task: Task) -> str:
    """Why `check` does not accept the task, "" where it does."""
    try:
        harness.finder.check(harness.lab(task=task))
    except UsageError as error:
        return str(error)
    return ""
