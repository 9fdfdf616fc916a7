"""Checks of the tickets that a finder yields."""

import dataclasses
import itertools
import tempfile
from collections.abc import Iterator, Sequence

import numpy as np

from ltx.core import identity
from ltx.core.duration import Duration
from ltx.core.errors import UsageError
from ltx.core.finder import Finder
from ltx.core.lab import Lab
from ltx.core.state import GROUPS
from ltx.core.ticket import Ticket
from ltx.evaluation.trial import Trial
from ltx.store.store import Store
from ltx.testing.expected_density import expected_counts
from ltx.testing.harness import CALLS, TICKETS, FinderHarness, TracedLab, require


def check_finite(harness: FinderHarness) -> None:
    """It yields at least one ticket, and comes to an end."""
    result = harness.search()
    require(not result.endless, f"no end after {TICKETS} tickets or {CALLS} calls of the lab")
    require(result.tickets, "find yielded nothing; yield the dense network first")


def check_fits(harness: FinderHarness) -> None:
    """Masks and states have the names and shapes of the model, task and seed are the lab's."""
    result = harness.search()
    fits(result.lab, result.tickets)


def check_layers(harness: FinderHarness) -> None:
    """No layer loses its last weight."""
    for ticket in harness.search().tickets:
        empty = ticket.mask.empty()
        require(not empty, f"level {ticket.level}: nothing is left of {', '.join(empty)}")


def check_falling(harness: FinderHarness) -> None:
    """Levels rise and densities fall from ticket to ticket."""
    for one, two in itertools.pairwise(harness.search().tickets):
        require(two.level > one.level, f"level {two.level} comes after level {one.level}")
        require(
            two.density < one.density,
            f"level {two.level} keeps {two.mask.kept} weights, level {one.level} {one.mask.kept}",
        )


def check_target(harness: FinderHarness) -> str | None:
    """The density that the settings name is met to one weight; ties and all-zero scores too."""
    drawn = harness.search()
    levels = getattr(harness.finder, "levels", None)
    if hasattr(harness.finder, "pruning") and isinstance(levels, int):
        last = max((ticket.level for ticket in drawn.tickets), default=0)
        require(last == levels, f"the last level is {last}, expected {levels}")
    if not list(expected_counts(harness.finder, drawn.lab, drawn.tickets)):
        return "no field density, densities, or pruning and levels"
    for start in ("drawn", "equal", "zero"):
        result = harness.search(start=start)
        for expected in expected_counts(harness.finder, result.lab, result.tickets):
            ticket = expected.ticket
            require(
                expected.is_met,
                f"level {ticket.level} keeps {ticket.mask.kept} of {ticket.mask.size} weights,"
                f" expected {expected.kept} (initial weights: {start})",
            )
    return None


def check_nested(harness: FinderHarness) -> None:
    """What is pruned at one level stays pruned at the next."""
    for one, two in itertools.pairwise(harness.search().tickets):
        regrown = two.mask.kept - (two.mask & one.mask).kept
        require(
            not regrown, f"level {two.level} has {regrown} weights that level {one.level} pruned"
        )


def check_rewind(harness: FinderHarness) -> None:
    """A ticket's arrays are bitwise what the lab returned for its step; training is left to do."""
    result = harness.search()
    lab, declared = result.lab, list(_declared(harness.finder, result.lab))
    for ticket in result.tickets:
        unchanged(lab, ticket)
        step, where = ticket.state.step, f"level {ticket.level}"
        whole = (ticket.recipe or lab.task.recipe).steps(lab.epoch)
        require(step < whole or not whole, f"{where} starts at step {step}, the training's last")
        for name, value, wanted in declared:
            require(step == wanted, f"{where} starts at step {step}; {name}={value!r} is {wanted}")


def unchanged(lab: TracedLab, ticket: Ticket) -> None:
    """Fail unless the lab returned every array of the ticket's state for its step.

    A ticket without a training of its own, as a learned mask, has the statistics of its search.
    """
    step, recipe = ticket.state.step, ticket.recipe or lab.task.recipe
    for group in GROUPS if recipe.steps(lab.epoch) else ("weights", "slots"):
        for name, array in getattr(ticket.state, group).items():
            require(
                lab.trace.returned(step, group, name, array),
                f"level {ticket.level}: {name} is not what the lab returned for step {step}; a"
                " ticket starts from lab.init() or the state of a training, unchanged",
            )


def _declared(finder: Finder, lab: Lab) -> Iterator[tuple[str, object, int]]:
    """The fields `rewind...` that say a step: name, value and step."""
    for field in dataclasses.fields(finder):  # type: ignore[arg-type]
        value = getattr(finder, field.name)
        if field.name.partition("_")[0] != "rewind":
            continue
        if isinstance(value, int) and not isinstance(value, bool):
            yield field.name, value, value
        elif is_duration(value):
            yield field.name, value, lab.steps(value)


def check_trained(harness: FinderHarness) -> None:
    """The first and the last ticket train to the end with a finite loss."""
    tickets = harness.search().tickets
    for ticket in (*tickets[:1], *tickets[-1:]):
        trial = Trial.run(harness.make_lab(seed=ticket.seed, sealed=False), ticket)
        require(np.isfinite(trial.test.loss), f"level {ticket.level}: loss {trial.test.loss}")


def check_stored(harness: FinderHarness) -> None:
    """A ticket comes back from a store as it was."""
    result = harness.search()
    with tempfile.TemporaryDirectory() as folder:
        store = Store(folder)
        for ticket in result.tickets:
            store.put_ticket(ticket, result.lab.task, harness.finder, "finder")
            back = store.ticket(ticket.id)
            notes = [identity.describe(t.note) for t in (ticket, back)]
            same = dataclasses.replace(back, note={}) == dataclasses.replace(ticket, note={})
            require(
                same and notes[0] == notes[1],
                f"level {ticket.level} does not come back from the store as it went in; a Ticket is"
                " a mask, a state and a note of plain values: keep nothing elsewhere",
            )


def fits(lab: Lab, tickets: Sequence[Ticket]) -> None:
    """Fail unless the tickets' masks and states fit the lab's model, task and seed."""
    init = lab.init()
    for ticket in tickets:
        where = f"level {ticket.level}"
        try:
            ticket.mask.check(lab.prunable)
        except UsageError as error:
            raise AssertionError(f"{where}: {error}") from error
        for name, expected in init.weights.items():
            got = ticket.state.weights.get(name)
            shape = None if got is None else got.shape
            require(
                shape == expected.shape, f"{where}: {name} is {shape}, expected {expected.shape}"
            )
            require(
                got is not None and got.dtype == expected.dtype,
                f"{where}: {name} is not {expected.dtype}",
            )
        lost = sorted(init.statistics.keys() - ticket.state.statistics.keys())
        require(not lost, f"{where}: the state has no {', '.join(lost)}")
        extra = sorted(ticket.state.weights.keys() - init.weights.keys())
        require(not extra, f"{where}: the model has no {', '.join(extra)}")
        require(
            (ticket.task, ticket.seed) == (lab.task.id, lab.seed),
            f"{where} is for task {ticket.task}, seed {ticket.seed}; expected {lab.task.id},"
            f" {lab.seed}: make tickets by Ticket.of(lab, ...) with the lab that find was given",
        )


def is_duration(value: object) -> bool:
    try:
        Duration.parse(value)  # type: ignore[arg-type]
    except UsageError:
        return False
    return True
