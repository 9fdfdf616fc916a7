"""Instability: what becomes of two copies of a ticket that see the data in different orders."""

import dataclasses
import math
from collections.abc import Mapping, Sequence

import numpy as np

from ltx.core import identity
from ltx.core.duration import Duration
from ltx.core.errors import UsageError
from ltx.core.lab import Lab
from ltx.core.mask import Mask
from ltx.core.state import State
from ltx.core.ticket import Ticket
from ltx.core.validation import check_choice, check_count
from ltx.evaluation.mode_connectivity import STREAMS, Barrier, barrier, copies

TICKET = "ticket"
_SPLITS = ("train", "validation", "test")


@dataclasses.dataclass(frozen=True)
class Stability:
    """How a study measures whether its tickets are stable: which of them, from where, how finely.

    `at` are the places to train the two copies from: "ticket", the ticket's own state, or a
    duration, "0it", "100it" or "2%", the dense network trained to there under the ticket's mask.
    The errors are those on `split` at `points` places of the line, each with BatchNorm's statistics
    from `batches` training batches. `levels` are those measured, () for all. With `to_pruning` the
    ticket is held against the dense network as well, which takes a dense training of each state
    that has had none.

    Reference: Frankle et al., Linear Mode Connectivity and the Lottery Ticket Hypothesis,
    https://arxiv.org/abs/1912.05671; distance, angle and stability to pruning: Frankle et al.,
    Stabilizing the Lottery Ticket Hypothesis, https://arxiv.org/abs/1903.01611
    """

    points: int = 30
    batches: int = 50
    at: Sequence[str] = (TICKET,)
    split: str = "test"
    levels: Sequence[int] = ()
    to_pruning: bool = True

    def __post_init__(self) -> None:
        check_count("Stability.points", self.points, least=3)
        check_count("Stability.batches", self.batches)
        check_choice("Stability.split", self.split, _SPLITS)
        for name in ("at", "levels"):
            value = getattr(self, name)
            several = value if isinstance(value, list | tuple) else (value,)
            object.__setattr__(self, name, tuple(several))
        for level in self.levels:
            check_count("Stability.levels", level, least=0)
        if not self.at or len(set(self.at)) < len(self.at):
            raise UsageError(f"Stability.at: expected different places, got {list(self.at)}")
        for place in self.at:
            _check_place(place)

    def check(self, lab: Lab) -> None:
        """Raise UsageError where a place lies behind the end of the training."""
        for place in self.at:
            if place != TICKET and lab.steps(place) >= lab.steps():
                raise UsageError(
                    f"Stability.at: {place} is step {lab.steps(place)}, but the training of"
                    f" {lab.task.label} has only {lab.steps()}; name a step inside it"
                )

    def measures(self, level: int) -> bool:
        return not self.levels or level in self.levels


def _check_place(place: object) -> None:
    try:
        if place != TICKET:
            Duration.parse(place)  # type: ignore[arg-type]
    except UsageError:
        raise UsageError(
            f"Stability.at: expected 'ticket' or a duration, as in 0it, 100it, 2%, got {place!r}"
        ) from None


@dataclasses.dataclass(frozen=True)
class WeightDistance:
    """How far two trained networks lie apart in the weights that survive, and how they got there.

    `distance` is Euclidean, `moved` the mean of how far the two went from their common start, and
    `angle` that between their ways, in degrees; None where one of them did not move.
    """

    distance: float
    moved: float
    angle: float | None

    @classmethod
    def of(cls, start: State, one: State, other: State, mask: Mask) -> "WeightDistance":
        origin, first, second = (_survivors(state, mask) for state in (start, one, other))
        ways = first - origin, second - origin
        lengths = [float(np.linalg.norm(way)) for way in ways]
        return cls(float(np.linalg.norm(first - second)), sum(lengths) / 2, _angle(*ways))

    @property
    def relative(self) -> float | None:
        """The distance by how far the two moved: root 2 for ways at right angles."""
        return self.distance / self.moved if self.moved else None


@dataclasses.dataclass(frozen=True)
class Instability:
    """Two copies of one ticket, trained to the end from one place by two orders of the data.

    `at` is the place as it was asked for, `start` its step. `to_order` is how far apart the
    two copies end, `to_pruning` the first of them and the dense network trained from the same place
    by the same order, both in the ticket's surviving weights; None where it was not asked for.
    """

    id: str
    ticket: str
    task: str
    seed: int
    level: int
    density: float
    at: str
    start: int
    split: str
    alphas: tuple[float, ...]
    errors: tuple[float, ...]
    to_order: WeightDistance
    to_pruning: WeightDistance | None

    @classmethod
    def measure(cls, lab: Lab, ticket: Ticket, asked: Stability, at: str = TICKET) -> "Instability":
        """Train the copies, of which the first is that of the ticket's trial, and compare them."""
        bench, start = start_state(lab, ticket, at)
        one, other, dense = train_copies(bench, start, ticket.mask, asked)
        line = barrier(bench, ticket.mask, one, other, asked.points, asked.batches, asked.split)
        return cls(
            id=cls.key(lab, ticket, asked, at),
            ticket=ticket.id,
            task=bench.task.id,
            seed=lab.seed,
            level=ticket.level,
            density=ticket.density,
            at=at,
            start=start.step,
            split=asked.split,
            alphas=line.alphas,
            errors=line.errors,
            to_order=WeightDistance.of(start, one, other, ticket.mask),
            to_pruning=WeightDistance.of(start, one, dense, ticket.mask) if dense else None,
        )

    @staticmethod
    def key(lab: Lab, ticket: Ticket, asked: Stability, at: str = TICKET) -> str:
        """The id of what `of` makes, known before it is made."""
        alone = dataclasses.replace(asked, at=(at,), levels=())
        return identity.identity(
            {
                "instability": alone,
                "ticket": ticket.id,
                "lab": _bench(lab, ticket, at).fingerprint,
                "seed": lab.seed,
            }
        )

    @property
    def barrier(self) -> Barrier:
        return Barrier(self.alphas, self.errors)

    def document(self) -> dict[str, object]:
        """Plain JSON data, with what follows from it for those who read no more than that."""
        height, stable = self.barrier.height, self.barrier.stable()
        return {"kind": "stability", "height": height, "stable": stable, **dataclasses.asdict(self)}

    @classmethod
    def from_document(cls, document: Mapping) -> "Instability":
        values = {field.name: document[field.name] for field in dataclasses.fields(cls)}
        pruning = values["to_pruning"]
        return cls(
            **{
                **values,
                "alphas": tuple(values["alphas"]),
                "errors": tuple(values["errors"]),
                "to_order": WeightDistance(**values["to_order"]),
                "to_pruning": None if pruning is None else WeightDistance(**pruning),
            }
        )


def rewind_points(lab: Lab, ticket: Ticket, asked: Stability) -> list[str]:
    """Where the ticket's copies are to start: nowhere where its level is not asked for.

    A ticket that is not trained any more has no copies of its own to tell apart.
    """
    if not asked.measures(ticket.level):
        return []
    ends = {at: _bench(lab, ticket, at).steps() for at in asked.at}
    return [at for at in asked.at if at != TICKET or ticket.state.step < ends[at]]


def start_state(lab: Lab, ticket: Ticket, at: str) -> tuple[Lab, State]:
    """The lab to train the copies on, and the state they start from.

    The dense network is trained from the ticket's weights where these are those of step 0, so that
    a control with weights of its own has a dense network of its own, else from the task's.
    """
    bench = _bench(lab, ticket, at)
    if at == TICKET:
        return bench, ticket.state
    own = ticket.state.step == 0 and ticket.recipe is None
    return bench, lab.train(ticket.state if own else lab.init(), lab.dense(), until=at).state


def train_copies(
    bench: Lab, start: State, mask: Mask, asked: Stability
) -> tuple[State, State, State | None]:
    """What the two copies end in, and what the dense network does, where that is asked for."""
    one, other = copies(bench, start, mask, STREAMS)
    dense = bench.train(start, bench.dense()).state if asked.to_pruning else None
    return one, other, dense


def _bench(lab: Lab, ticket: Ticket, at: str) -> Lab:
    """The lab that trains the ticket; rewound ones are trained as their task says."""
    return ticket.lab_for(lab) if at == TICKET else lab


def _survivors(state: State, mask: Mask) -> np.ndarray:
    return np.concatenate([state.weights[name][keep] for name, keep in mask.items()]).astype(float)


def _angle(one: np.ndarray, other: np.ndarray) -> float | None:
    """In degrees; by half-angles, for the arc cosine knows little of small ones."""
    lengths = [float(np.linalg.norm(way)) for way in (one, other)]
    if not all(lengths):
        return None
    u, v = one / lengths[0], other / lengths[1]
    return math.degrees(2 * math.atan2(np.linalg.norm(u - v), np.linalg.norm(u + v)))
