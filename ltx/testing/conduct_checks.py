"""The checks of how a finder goes about it: what it leaves alone, and what it copes with."""

import dataclasses
import itertools
import tempfile
from collections.abc import Iterator, Sequence

from ltx.core.errors import UsageError
from ltx.core.finder import Finder
from ltx.core.ticket import Ticket
from ltx.store.memo import MemoLab
from ltx.store.store import Store
from ltx.testing.harness import TICKETS, DenseOnly, FinderHarness, TracedLab, find, require
from ltx.testing.other_process import fingerprints, run_in_subprocess
from ltx.testing.ticket_checks import fits


def check_same_seed(bench: FinderHarness) -> None:
    """The same seed gives the same bytes in another process, with another PYTHONHASHSEED."""
    here, there = fingerprints(bench.found().tickets), run_in_subprocess(bench)
    require(
        here == there,
        "another process finds other tickets; draw from lab.rng(...) alone, and let nothing depend"
        " on hash() or on the order of a set",
    )


def check_other_seed(bench: FinderHarness) -> None:
    """Another seed gives other weights, and other masks wherever something is pruned."""
    for one, two in zip(bench.found(0).tickets, bench.found(1).tickets, strict=False):
        require(one.state != two.state, f"level {one.level}: seeds 0 and 1 have the same state")
        require(
            one.mask != two.mask or one.density == 1,
            f"level {one.level}: seeds 0 and 1 have the same mask; draw from lab.rng(...)",
        )


def check_inputs(bench: FinderHarness) -> None:
    """What the lab gave, what it was given and what was yielded keep their bytes."""
    changed = bench.found().changed
    require(not changed, f"changed: {', '.join(dict.fromkeys(changed))}; change a copy")


def check_generators(bench: FinderHarness) -> None:
    """The generators that all share are left alone: Python's, NumPy's, TensorFlow's."""
    drew = bench.found().drew
    require(not drew, f"drew from or seeded {', '.join(drew)}; draw from lab.rng(...)")


def check_test_split(bench: FinderHarness) -> None:
    """The test split is never read."""
    reads = bench.found().lab.watch.test_reads
    require(not reads, f"asked {reads} times for the test split; use split='validation'")


def check_cost(bench: FinderHarness) -> None:
    """A ticket's cost is all that the lab spent until then, and all went by the lab's books."""
    found = bench.found()
    for ticket, spent in zip(found.tickets, found.spent, strict=True):
        require(
            ticket.cost == spent,
            f"level {ticket.level} says it cost {ticket.cost.steps} steps, the lab spent"
            f" {spent.steps}: {ticket.cost} against {spent}; make tickets by Ticket.of or child",
        )
    served, charged = found.lab.watch.steps, found.lab.spent.steps
    require(served <= charged, f"trained {served} steps, of which {charged} were charged")


def check_resumed(bench: FinderHarness) -> None:
    """Interrupted after one of its first tickets and started again, it ends the same."""
    wanted, steps = _remembered(bench, ())
    for stop in range(1, min(2, len(wanted)) + 1):
        tickets, served = _remembered(bench, (stop,))
        require(tickets == wanted, f"interrupted after ticket {stop}, it ends with other tickets")
        require(
            served == steps,
            f"interrupted after ticket {stop}, it trains {served} steps in all, else {steps}",
        )


def check_one_layer(bench: FinderHarness) -> None:
    """It works on a model of one layer."""
    found = bench.found(layers=1)
    require(found.tickets, "find yielded nothing for a model of one layer")
    fits(found.lab, found.tickets)


def check_density_one(bench: FinderHarness) -> str | None:
    """Asked for density 1, or built on the dense network, it works or refuses before training."""
    told = {"density": 1.0, "densities": (1.0,), "of": DenseOnly()}
    names = [f.name for f in dataclasses.fields(bench.finder) if f.name in told]  # type: ignore[arg-type]
    for name in names:
        lab = bench.lab()
        try:
            finder = dataclasses.replace(bench.finder, **{name: told[name]})  # type: ignore[type-var]
            finder.check(lab)
        except UsageError:
            continue
        try:
            found = find(finder, lab)
        except UsageError as error:
            raise AssertionError(
                f"{name}={told[name]!r} is refused by find only, where others may have trained for"
                f" hours: {error}; refuse it in __post_init__ or check"
            ) from error
        require(
            found.tickets and all(ticket.density == 1 for ticket in found.tickets),
            f"with {name}={told[name]!r} it found densities {[t.density for t in found.tickets]}",
        )
    return None if names else "no field density, densities or of"


def check_differs_from_subject(bench: FinderHarness) -> str | None:
    """A control's tickets differ from those of the finder that it is a control of."""
    finder, of = bench.finder, getattr(bench.finder, "of", None)
    if not finder.control or not isinstance(of, Finder):
        return "not a control of another finder"
    twins = {twin.level: twin for twin in FinderHarness(of, bench.make_lab).found().tickets}
    for ticket in bench.found().tickets:
        twin = twins.get(ticket.level)
        same = twin and ticket.mask == twin.mask and ticket.state == twin.state
        require(
            ticket.density == 1 or not same,
            f"level {ticket.level} is the very ticket it should be a control of",
        )
    return None


def _remembered(bench: FinderHarness, stops: Sequence[int]) -> tuple[list[Ticket], int]:
    """The tickets of the last of several starts on one store, and the steps that all trained."""
    steps = 0
    with tempfile.TemporaryDirectory() as folder:
        for stop in (*stops, None):
            lab: TracedLab = bench.lab()
            search: Iterator[Ticket] = bench.finder.find(MemoLab(lab, Store(folder)))
            tickets = list(itertools.islice(search, stop or TICKETS))
            getattr(search, "close", lambda: None)()
            steps += lab.watch.steps
    return tickets, steps
