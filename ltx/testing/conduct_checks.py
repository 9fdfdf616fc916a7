"""Checks of how a finder behaves: reproducible, side-effect free, resumable, robust."""

import dataclasses
import itertools
import tempfile
from collections.abc import Sequence

from ltx.core.errors import UsageError
from ltx.core.finder import Finder, search
from ltx.core.ticket import Ticket
from ltx.store.memo import MemoLab
from ltx.store.store import Store
from ltx.testing.example_finders import DenseOnly
from ltx.testing.harness import TICKETS, FinderHarness, TracedLab, find, require
from ltx.testing.other_process import Elsewhere, run_in_subprocess
from ltx.testing.ticket_checks import fits, unchanged


def check_same_seed(harness: FinderHarness) -> None:
    """The same seed gives the same bytes in another process, folder, environment and time."""
    require_same(harness.fingerprint(), run_in_subprocess(harness), "finds other tickets")


def require_same(here: object, there: Elsewhere, what: str) -> None:
    """Fail unless another process found the same."""
    read = f" (read there: {', '.join(there.read)})" if there.read else ""
    require(
        here == there.fingerprint,
        f"another process {what}; draw from lab.rng(...) alone, and let nothing depend on hash(),"
        f" the order of a set, os.environ{read}, the working directory or the time",
    )


def check_other_seed(harness: FinderHarness) -> None:
    """Another seed gives other weights, and other masks wherever something is pruned."""
    for one, two in zip(harness.search(0).tickets, harness.search(1).tickets, strict=False):
        require(one.state != two.state, f"level {one.level}: seeds 0 and 1 have the same state")
        require(
            one.mask != two.mask or one.density == 1,
            f"level {one.level}: seeds 0 and 1 have the same mask; draw from lab.rng(...)",
        )


def check_inputs(harness: FinderHarness) -> None:
    """What the lab returned, what it was passed and what was yielded keep their bytes."""
    changed = harness.search().changed
    require(not changed, f"changed: {', '.join(dict.fromkeys(changed))}; change a copy")


def check_generators(harness: FinderHarness) -> None:
    """Global random generators are not used: Python's, NumPy's, TensorFlow's."""
    drawn_from = harness.search().drawn_from
    require(not drawn_from, f"drew from or seeded {', '.join(drawn_from)}; draw from lab.rng(...)")


def check_test_split(harness: FinderHarness) -> None:
    """The test split is never read."""
    reads = harness.search().lab.trace.test_reads
    require(not reads, f"asked {reads} times for the test split; use split='validation'")


def check_cost(harness: FinderHarness) -> None:
    """A ticket's cost is all that the lab spent until then, and the lab charged every step."""
    result = harness.search()
    for ticket, spent in zip(result.tickets, result.spent, strict=True):
        require(
            ticket.cost == spent,
            f"level {ticket.level} says it cost {ticket.cost.steps} steps, the lab spent"
            f" {spent.steps}: {ticket.cost} against {spent}; make tickets by Ticket.of or child",
        )
    served, charged = result.lab.trace.steps, result.lab.spent.steps
    require(served <= charged, f"trained {served} steps, of which {charged} were charged")


def check_resumed(harness: FinderHarness) -> None:
    """Interrupted after one of its first tickets and started again, it finds the same tickets."""
    expected, steps = _run_on_store(harness, ())
    for stop in range(1, min(2, len(expected)) + 1):
        tickets, served = _run_on_store(harness, (stop,))
        require(tickets == expected, f"interrupted after ticket {stop}, it ends with other tickets")
        require(
            served == steps,
            f"interrupted after ticket {stop}, it trains {served} steps in all, expected {steps}",
        )


def check_one_layer(harness: FinderHarness) -> None:
    """It works on a model of one layer."""
    result = harness.search(layers=1)
    require(result.tickets, "find yielded nothing for a model of one layer")
    fits(result.lab, result.tickets)


def check_convolution(harness: FinderHarness) -> None:
    """It works on a convolution with BatchNorm, whose statistics its tickets keep."""
    result = harness.search(network="convolution")
    require(result.tickets, "find yielded nothing for a convolution with BatchNorm")
    fits(result.lab, result.tickets)
    if "rewind" not in harness.waived:
        for ticket in result.tickets:
            unchanged(result.lab, ticket)


def check_density_one(harness: FinderHarness) -> str | None:
    """With density 1, or built on the dense network, it works or refuses before training."""
    extreme = {"density": 1.0, "densities": (1.0,), "of": DenseOnly()}
    names = [f.name for f in dataclasses.fields(harness.finder) if f.name in extreme]  # type: ignore[arg-type]
    for name in names:
        lab = harness.lab()
        try:
            finder = dataclasses.replace(harness.finder, **{name: extreme[name]})  # type: ignore[type-var]
            finder.check(lab)
        except UsageError:
            continue
        try:
            result = find(finder, lab)
        except UsageError as error:
            raise AssertionError(
                f"{name}={extreme[name]!r} is refused by find only, where others may have trained"
                f" for hours: {error}; refuse it in __post_init__ or check"
            ) from error
        require(
            result.tickets and all(ticket.density == 1 for ticket in result.tickets),
            f"{name}={extreme[name]!r}: the densities are {[t.density for t in result.tickets]}",
        )
    return None if names else "no field density, densities or of"


def check_differs_from_subject(harness: FinderHarness) -> str | None:
    """A control's tickets differ from those of the finder that it is a control of."""
    finder, of = harness.finder, getattr(harness.finder, "of", None)
    if not finder.control or not isinstance(of, Finder):
        return "not a control of another finder"
    subjects = {
        ticket.level: ticket for ticket in FinderHarness(of, harness.make_lab).search().tickets
    }
    for ticket in harness.search().tickets:
        subject = subjects.get(ticket.level)
        same = subject and (ticket.mask, ticket.state) == (subject.mask, subject.state)
        require(
            ticket.density == 1 or not same,
            f"level {ticket.level} equals the ticket that it should be a control of",
        )
    return None


def _run_on_store(harness: FinderHarness, stops: Sequence[int]) -> tuple[list[Ticket], int]:
    """The tickets of the last of several runs on one store, and the steps that all trained.

    Every run but the last is stopped after so many tickets.
    """
    steps = 0
    with tempfile.TemporaryDirectory() as folder:
        for stop in (*stops, None):
            lab: TracedLab = harness.lab()
            tickets_of = search(harness.finder, MemoLab(lab, Store(folder)))
            tickets = list(itertools.islice(tickets_of, stop or TICKETS))
            tickets_of.close()
            steps += lab.trace.steps
    return tickets, steps
