"""Bench: a finder run on watched labs, once on each, for all checks to look at."""

import contextlib
import dataclasses
import itertools
import random
import sys
from collections.abc import Callable, Iterator, Mapping

import numpy as np

from ltx.core import identity
from ltx.core.cost import Cost, Ledger
from ltx.core.errors import LtxError, UsageError
from ltx.core.finder import Finder
from ltx.core.lab import Lab
from ltx.core.mask import Mask
from ltx.core.run import Metrics, Run
from ltx.core.state import GROUPS, State
from ltx.core.task import Task
from ltx.core.ticket import Ticket
from ltx.pruning.round import Pruning
from ltx.pruning.scores import Magnitude

TICKETS, CALLS = 200, 5000


class EndlessError(Exception):
    """The finder asked the lab for more than any finder needs on so small a task."""


class LabTrace:
    """What a lab and its siblings gave, were given and served."""

    def __init__(self) -> None:
        self.steps = 0
        self.test_reads = 0
        self._given: set[tuple[int, str, str, str]] = set()
        self._held: list[tuple[str, Mapping[str, np.ndarray], str]] = []

    def give(self, state: State) -> None:
        """Remember every array of a state as one that the lab gave at that step."""
        self.hold("a state that the lab gave", state)
        for group in GROUPS:
            for name, array in getattr(state, group).items():
                self._given.add((state.step, group, name, identity.digest({"": array})))

    def gave(self, step: int, group: str, name: str, array: np.ndarray) -> bool:
        """Whether the lab gave these bytes under this name in a state at that step."""
        return (step, group, name, identity.digest({"": array})) in self._given

    def hold(self, what: str, value: State | Mask) -> None:
        """Remember the bytes of a value, to see later whether they are still the same."""
        arrays = value.arrays() if isinstance(value, State) else value
        self._held.append((what, arrays, identity.digest(arrays)))

    def changed(self) -> list[str]:
        """What no longer is what it was when it was held."""
        return [what for what, arrays, was in self._held if identity.digest(arrays) != was]


class TracedLab(Lab):
    """To be mixed into a lab: it keeps a watch, which its siblings share."""

    def __init__(self, *args: object, **settings: object) -> None:
        super().__init__(*args, **settings)
        self.watch = LabTrace()

    def init(self, stream: str = "init") -> State:
        state = super().init(stream)  # type: ignore[safe-super]
        self.watch.give(state)
        return state

    def dense(self) -> Mask:
        mask = super().dense()
        self.watch.hold("a mask that the lab gave", mask)
        return mask

    def run_training(
        self, state: State, mask: Mask, stop: int, *more: object, **named: object
    ) -> Run:
        self.watch.hold("a state that the lab was given", state)
        self.watch.hold("a mask that the lab was given", mask)
        run = super().run_training(state, mask, stop, *more, **named)  # type: ignore
        self.watch.steps += stop - state.step
        self.watch.give(run.state)
        return run

    def evaluate(self, state: State, mask: Mask, split: str = "validation") -> Metrics:
        self.watch.test_reads += split == "test"
        return super().evaluate(state, mask, split)

    def run_evaluation(self, state: State, mask: Mask, split: str) -> Metrics:
        self.watch.test_reads += split == "test"
        return super().run_evaluation(state, mask, split)  # type: ignore[safe-super]

    def open_sibling(self, task: Task) -> Lab:
        made = super().open_sibling(task)  # type: ignore[safe-super]
        assert isinstance(made, TracedLab), (
            "a watched lab opens watched labs: see FakeLab.open_sibling"
        )
        made.watch = self.watch
        return made


class _Ledger(Ledger):
    """Ends a finder that never stops calling."""

    calls = 0

    def add(self, cost: Cost) -> None:
        self.calls += 1
        if self.calls > CALLS:
            raise EndlessError
        super().add(cost)


@dataclasses.dataclass(frozen=True)
class SearchResult:
    """What a finder did on one lab: its tickets, and what the lab had spent at each."""

    lab: TracedLab
    tickets: list[Ticket]
    spent: list[Cost]
    endless: bool
    changed: list[str]
    drew: list[str]


class FinderHarness:
    """One finder, and the labs to run it on.

    `make_lab` takes the settings of FakeLab by name and gives a Watched lab.
    """

    def __init__(self, finder: Finder, make_lab: Callable[..., TracedLab]) -> None:
        self.finder, self.make_lab = finder, make_lab
        self._done: dict[tuple[object, ...], SearchResult | Exception] = {}

    def lab(self, seed: int = 0, layers: int = 2, start: str = "drawn") -> TracedLab:
        return self.make_lab(seed=seed, layers=layers, start=start, ledger=_Ledger())

    def found(self, seed: int = 0, layers: int = 2, start: str = "drawn") -> SearchResult:
        """What the finder does on that lab; what it raises is raised by every call."""
        key = (seed, layers, start)
        if key not in self._done:
            try:
                self._done[key] = find(self.finder, self.lab(*key))
            except Exception as error:  # a stranger's finder may raise anything
                self._done[key] = error
        done = self._done[key]
        if isinstance(done, Exception):
            raise done
        return done


def find(finder: Finder, lab: TracedLab) -> SearchResult:
    """Run a finder on a lab to its end, or to where it is plain that it has none."""
    tickets: list[Ticket] = []
    spent: list[Cost] = []
    endless = False
    # On from wherever they stand: who seeds them as somebody did before would go unseen.
    random.random()
    np.random.random()
    before, settings = generators(), repr(finder)
    try:
        for ticket in itertools.islice(finder.find(lab), TICKETS + 1):
            tickets.append(ticket)
            spent.append(lab.spent)
            lab.watch.hold(f"the mask of the ticket at level {ticket.level}", ticket.mask)
            lab.watch.hold(f"the state of the ticket at level {ticket.level}", ticket.state)
    except EndlessError:
        endless = True
    after = generators()
    changed = lab.watch.changed() + ["the finder itself"] * (repr(finder) != settings)
    drew = [name for name, state in after.items() if before.get(name, state) != state]
    endless = endless or len(tickets) > TICKETS
    return SearchResult(lab, tickets, spent, endless, changed, drew)


def require(fact: object, text: str) -> None:
    """Fail the check that is being run, with this text, unless the fact holds."""
    if not fact:
        raise AssertionError(text)


def generators() -> dict[str, str]:
    """The states of the generators that a whole process shares; TensorFlow's where it is loaded."""
    kind, keys, *rest = np.random.get_state()
    states = {
        "random": repr(random.getstate()),
        "numpy.random": repr((kind, np.asarray(keys).tolist(), rest)),
    }
    with contextlib.suppress(KeyError, AttributeError):
        context = sys.modules["tensorflow.python.eager.context"].context()
        rng = getattr(context, "_rng", None)  # TensorFlow shows it to nobody
        states["tf.random"] = repr((context._seed, rng and rng.getstate()))
    return states


def example(cls: type[Finder]) -> Finder:
    """The finder that a class gives for checks, or the error that says how to give one."""
    try:
        return cls.example(ExampleFinder())
    except (LtxError, TypeError) as error:
        raise UsageError(
            f"{cls.__name__}.example: {error}; override it to say how the finder is made, as in"
            " `return cls(of=of)`"
        ) from error


@dataclasses.dataclass(frozen=True)
class ExampleFinder(Finder):
    """What finders of finders are tried on: two rounds that each prune half, back to the start."""

    rounds: int = 2

    def find(self, lab: Lab) -> Iterator[Ticket]:
        ticket = Ticket.of(lab, lab.dense(), lab.init())
        yield ticket
        for _ in range(self.rounds):
            trained = lab.train(ticket.state, ticket.mask).state
            mask = Pruning(0.5)(lab, ticket.mask, Magnitude()(lab, trained, ticket.mask))
            ticket = ticket.child(lab, mask)
            yield ticket


@dataclasses.dataclass(frozen=True)
class DenseOnly(Finder):
    """The finder that prunes nothing."""

    def find(self, lab: Lab) -> Iterator[Ticket]:
        yield Ticket.of(lab, lab.dense(), lab.init())
