"""Checks of a finder or a score on a task of the author's, trained by tf_keras."""

import itertools

from ltx.core import environment
from ltx.core.errors import UsageError
from ltx.core.task import Task
from ltx.testing.harness import FinderHarness, TracedLab, find, require
from ltx.testing.score_checks import ScoreHarness, require_finite
from ltx.testing.ticket_checks import fits, unchanged


def traced_lab(task: Task, seed: int = 0) -> TracedLab:
    """A KerasLab of the task that records what it does."""
    with environment.hush_stderr():
        from ltx.backends.tf_keras.lab import KerasLab

    class TracedKerasLab(TracedLab, KerasLab):
        def open_sibling(self, task: Task) -> TracedLab:
            sibling = TracedKerasLab(task, self.seed, sealed=self.sealed, ledger=self.ledger)
            sibling.trace = self.trace
            return sibling

    return TracedKerasLab(task, seed)


def check_finder_on(harness: FinderHarness, task: Task) -> str:
    """It works on the task: its tickets fit, fall, start from the lab's states and keep theirs."""
    finder, lab = harness.finder, traced_lab(task)
    try:
        finder.check(lab)
    except UsageError as error:
        raise AssertionError(f"check refuses it: {error}") from error
    result = find(finder, lab)
    require(result.tickets and not result.endless, "expected at least one ticket, and an end")
    fits(lab, result.tickets)
    for ticket in result.tickets:
        require(not ticket.mask.empty(), f"level {ticket.level} empties {ticket.mask.empty()}")
        if "rewind" not in harness.waived:
            unchanged(lab, ticket)
    if "falling" not in harness.waived:
        for one, two in itertools.pairwise(result.tickets):
            require(
                two.density < one.density, f"level {two.level} is no sparser than the one before"
            )
    require(not result.changed, f"changed: {', '.join(dict.fromkeys(result.changed))}")
    require(not lab.trace.test_reads, "asked for the test split")
    densities = ", ".join(f"{ticket.density:.2%}" for ticket in result.tickets)
    return f"{len(result.tickets)} tickets of {densities}"


def check_score_on(harness: ScoreHarness, task: Task) -> str:
    """It works on the task: arrays of the weights' shapes, finite, arguments and test untouched."""
    own = ScoreHarness(harness.score, lambda seed=0: traced_lab(task, seed))
    try:
        getattr(harness.score, "check", lambda lab: None)(own.lab())
    except UsageError as error:
        raise AssertionError(f"check refuses it: {error}") from error
    result = own.run(until="1it")
    for weight in result.lab.prunable:
        array = result.scores.get(weight.name)
        shape = None if array is None else array.shape
        require(shape == weight.shape, f"{weight.name}: expected {weight.shape}, got {shape}")
    if "finite" not in harness.waived:
        require_finite(result)
    require(not result.changed, f"changed: {', '.join(dict.fromkeys(result.changed))}")
    require(not result.lab.trace.test_reads, "asked for the test split")
    ranks = sorted({len(weight.shape) for weight in result.lab.prunable})
    return f"{len(result.scores)} weights with {' or '.join(map(str, ranks))} axes"
