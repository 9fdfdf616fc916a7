"""FinderHarness: runs a finder once on each traced lab, for all checks to inspect."""

import contextlib
import dataclasses
import itertools
import json
import logging
import random
import sys
from collections.abc import Callable, Iterator, Mapping
from typing import Protocol

import numpy as np

from ltx.core import identity
from ltx.core.cost import Cost, Ledger
from ltx.core.finder import Finder, search
from ltx.core.lab import Lab
from ltx.core.mask import Mask
from ltx.core.run import Metrics, Run
from ltx.core.state import GROUPS, State
from ltx.core.task import Task
from ltx.core.ticket import Ticket

TICKETS, CALLS = 200, 5000


class EndlessError(Exception):
    """The finder called the lab more often than any finder needs on so small a task."""


class LabTrace:
    """Records what a lab and its siblings returned, received, trained and evaluated."""

    def __init__(self) -> None:
        self.steps = 0
        self.test_reads = 0
        self._returned: dict[tuple[str, str, str], set[int]] = {}
        self._remembered: list[tuple[str, Mapping[str, np.ndarray], str]] = []

    def record(self, state: State) -> None:
        """Record every array of a state that the lab returned, by its step."""
        self.remember("a state that the lab returned", state)
        for key in _keys(state):
            self._returned.setdefault(key, set()).add(state.step)

    def record_training(self, given: State, state: State) -> None:
        """Record what a training from `given` returned, unless that says a step too early.

        So a relabelled state is not taken for one of the lab, though the lab trained it further.
        """
        known = (self._returned.get(key) for key in _keys(given))
        if not any(steps and min(steps) > given.step for steps in known):
            self.record(state)

    def returned(self, step: int, group: str, name: str, array: np.ndarray) -> bool:
        """Whether the lab returned these bytes under this name in a state at that step."""
        key = (group, name, identity.digest({"": array}))
        return step in self._returned.get(key, ())

    def remember(self, what: str, value: State | Mask) -> None:
        """Record the digest of a value, for `changed` to compare with later."""
        arrays = value.arrays() if isinstance(value, State) else value
        self._remembered.append((what, arrays, identity.digest(arrays)))

    def changed(self) -> list[str]:
        """The names of the values whose bytes changed since they were recorded."""
        return [what for what, arrays, old in self._remembered if identity.digest(arrays) != old]


def _keys(state: State) -> Iterator[tuple[str, str, str]]:
    """The group, the name and the digest of each array."""
    for group in GROUPS:
        for name, array in getattr(state, group).items():
            yield group, name, identity.digest({"": array})


class TracedLab(Lab):
    """A mixin for a lab: records what it does in a trace, which its siblings share."""

    def __init__(self, *args: object, **settings: object) -> None:
        super().__init__(*args, **settings)
        self.trace = LabTrace()

    def init(self, stream: str = "init") -> State:
        state = super().init(stream)  # type: ignore[safe-super]
        self.trace.record(state)
        return state

    def dense(self) -> Mask:
        mask = super().dense()
        self.trace.remember("a mask that the lab returned", mask)
        return mask

    def run_training(
        self, state: State, mask: Mask, stop: int, *more: object, **named: object
    ) -> Run:
        self.trace.remember("a state passed to the lab", state)
        self.trace.remember("a mask passed to the lab", mask)
        run = super().run_training(state, mask, stop, *more, **named)  # type: ignore
        self.trace.steps += stop - state.step
        self.trace.record_training(state, run.state)
        return run

    def evaluate(self, state: State, mask: Mask, split: str = "validation") -> Metrics:
        self.trace.test_reads += split == "test"
        return super().evaluate(state, mask, split)

    def run_evaluation(self, state: State, mask: Mask, split: str) -> Metrics:
        self.trace.test_reads += split == "test"
        return super().run_evaluation(state, mask, split)  # type: ignore[safe-super]

    def open_sibling(self, task: Task) -> Lab:
        sibling = super().open_sibling(task)  # type: ignore[safe-super]
        assert isinstance(sibling, TracedLab), (
            "a traced lab opens traced labs: see FakeLab.open_sibling"
        )
        sibling.trace = self.trace
        return sibling


class _Ledger(Ledger):
    """A ledger that ends a finder after too many calls."""

    calls = 0

    def add(self, cost: Cost) -> None:
        self.calls += 1
        if self.calls > CALLS:
            raise EndlessError
        super().add(cost)


@dataclasses.dataclass(frozen=True)
class SearchResult:
    """What a finder did on one lab: its tickets, and what the lab had spent at each.

    `changed` names values whose bytes the finder changed, `drawn_from` the global random generators
    that it drew from or seeded.
    """

    lab: TracedLab
    tickets: list[Ticket]
    spent: list[Cost]
    endless: bool
    changed: list[str]
    drawn_from: list[str]


class Harness(Protocol):
    """A plugin, and the labs to run it on; `fingerprint` is what two processes must agree on."""

    make_lab: Callable[..., TracedLab]

    @property
    def subject(self) -> object: ...

    @property
    def waived(self) -> Mapping[str, str]: ...

    def lab(self, seed: int = 0, **settings: object) -> TracedLab: ...

    def fingerprint(self) -> object: ...


class FinderHarness:
    """One finder, and the labs to run it on.

    `make_lab` takes the settings of FakeLab by name and returns a traced lab.
    """

    def __init__(self, finder: Finder, make_lab: Callable[..., TracedLab]) -> None:
        self.finder, self.make_lab = finder, make_lab
        self._results: dict[tuple[object, ...], SearchResult | Exception] = {}

    @property
    def subject(self) -> Finder:
        """What is checked."""
        return self.finder

    @property
    def waived(self) -> Mapping[str, str]:
        return self.finder.waived

    def lab(self, seed: int = 0, **settings: object) -> TracedLab:
        return self.make_lab(seed=seed, **settings, ledger=_Ledger())

    def search(self, seed: int = 0, **settings: object) -> SearchResult:
        """The finder's run on a lab of these settings of FakeLab.

        It is cached; an exception is cached and raised again as well.
        """
        named = (
            {**settings, "task": task.id}
            if isinstance(task := settings.get("task"), Task)
            else settings
        )
        key = (seed, *sorted(named.items()))
        if key not in self._results:
            try:
                with quiet() if "start" in settings else contextlib.nullcontext():
                    self._results[key] = find(self.finder, self.lab(seed, **settings))
            except Exception as error:  # a plugin may raise anything
                self._results[key] = error
        result = self._results[key]
        if isinstance(result, Exception):
            raise result
        return result

    def fingerprint(self) -> object:
        """What two processes must agree on, as JSON values: the tickets' ids, and their notes."""
        return [
            [t.id, t.mask.id, t.state.id, json.loads(json.dumps(identity.describe(t.note)))]
            for t in self.search().tickets
        ]


def find(finder: Finder, lab: TracedLab) -> SearchResult:
    """Run a finder on a lab to its end, or to the limits on tickets and calls."""
    tickets: list[Ticket] = []
    spent: list[Cost] = []
    endless = False
    # Advance both, so that seeding them with their current seed does not go unnoticed.
    random.random()
    np.random.random()
    states, settings = generators(), repr(finder)
    try:
        for ticket in itertools.islice(search(finder, lab), TICKETS + 1):
            tickets.append(ticket)
            spent.append(lab.spent)
            lab.trace.remember(f"the mask of the ticket at level {ticket.level}", ticket.mask)
            lab.trace.remember(f"the state of the ticket at level {ticket.level}", ticket.state)
    except EndlessError:
        endless = True
    after = generators()
    changed = lab.trace.changed() + ["the finder itself"] * (repr(finder) != settings)
    drawn_from = [name for name, state in after.items() if states.get(name, state) != state]
    endless = endless or len(tickets) > TICKETS
    return SearchResult(lab, tickets, spent, endless, changed, drawn_from)


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Drop warnings, as of scores that are all equal, where the harness has made them so."""
    logger = logging.getLogger("ltx")
    before, logger.disabled = logger.disabled, True
    try:
        yield
    finally:
        logger.disabled = before


def require(fact: object, text: str) -> None:
    """Fail the current check with this text unless the fact holds."""
    if not fact:
        raise AssertionError(text)


def generators() -> dict[str, str]:
    """The states of the global random generators; TensorFlow's only where it is loaded."""
    kind, keys, *rest = np.random.get_state()
    states = {
        "random": repr(random.getstate()),
        "numpy.random": repr((kind, np.asarray(keys).tolist(), rest)),
    }
    with contextlib.suppress(KeyError, AttributeError):
        context = sys.modules["tensorflow.python.eager.context"].context()
        rng = getattr(context, "_rng", None)  # TensorFlow has no public access to it
        states["tf.random"] = repr((context._seed, rng and rng.getstate()))
    return states
