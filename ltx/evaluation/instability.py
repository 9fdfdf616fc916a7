"""Instability: how far two copies of a ticket end apart when trained with different data orders."""

import dataclasses
import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ltx.core import identity, seal
from ltx.core.duration import Duration
from ltx.core.errors import UsageError
from ltx.core.lab import Lab
from ltx.core.mask import Mask
from ltx.core.objectives.metric import ACCURACY, Metric, stored_metric
from ltx.core.state import State
from ltx.core.ticket import Ticket
from ltx.core.validation import check_choice, check_count
from ltx.evaluation.mode_connectivity import STREAMS, Barrier, barrier, copies

TICKET = "ticket"
_SPLITS = ("train", "validation", "test")


@dataclasses.dataclass(frozen=True)
class Stability:
    """How a study measures the stability of its tickets.

    `at` are the rewind points from which the two copies are trained: "ticket", the ticket's own
    state, or a duration, "0it", "100it" or "2%", the dense network trained that far, under the
    ticket's mask. Errors are measured on `split` at `points` points of the line between the copies,
    each with BatchNorm statistics from `batches` training batches. `levels` are those to measure,
    () for all. With `to_pruning` the ticket is also compared with the dense network, which needs a
    dense training from each state that is not cached.

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
        for point in self.at:
            _check_rewind_point(point)
        if not self.at or len(set(self.at)) < len(self.at):
            raise UsageError(f"Stability.at: expected different places, got {list(self.at)}")

    def check(self, lab: Lab) -> None:
        """Raise UsageError if a rewind point is not before the end of the training."""
        for point in self.at:
            if point != TICKET and lab.steps(point) >= lab.steps():
                raise UsageError(
                    f"Stability.at: {point} is step {lab.steps(point)}, but the training of"
                    f" {lab.task.label} has only {lab.steps()}; name a step inside it"
                )

    def measures(self, level: int) -> bool:
        """Whether tickets of this level are measured."""
        return not self.levels or level in self.levels


def _check_rewind_point(point: object) -> None:
    try:
        if point != TICKET:
            Duration.parse(point)  # type: ignore[arg-type]
    except UsageError:
        raise UsageError(
            f"Stability.at: expected 'ticket' or a duration, as in 0it, 100it, 2%, got {point!r}"
        ) from None


@dataclasses.dataclass(frozen=True)
class WeightDistance:
    """How far two trained networks are from each other in the surviving weights.

    `distance` is Euclidean, `moved` the mean distance of the two from their common start, and
    `angle` the angle between their displacements from it, in degrees; None if one did not move.
    """

    distance: float
    moved: float
    angle: float | None

    @classmethod
    def of(cls, start: State, one: State, other: State, mask: Mask) -> "WeightDistance":
        origin, first, second = (_survivors(state, mask) for state in (start, one, other))
        moves = first - origin, second - origin
        lengths = [float(np.linalg.norm(move)) for move in moves]
        return cls(float(np.linalg.norm(first - second)), sum(lengths) / 2, _angle(*moves))

    @property
    def relative(self) -> float | None:
        """The distance over `moved`: root 2 for equal displacements at right angles."""
        return self.distance / self.moved if self.moved else None


@dataclasses.dataclass(frozen=True)
class Instability:
    """Two copies of a ticket, trained to the end from one rewind point with two data orders.

    `at` is the rewind point as in the settings, `start` its step. `alphas`, `errors`, `losses`
    and `metric` are those of the Barrier between the copies. `to_order` compares the two copies,
    `to_pruning` the first copy with the dense network trained from the same state with the same
    order, in the ticket's surviving weights; None if not requested.
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
    losses: tuple[float, ...] = ()
    metric: Metric = ACCURACY

    @classmethod
    def measure(
        cls, lab: Lab, ticket: Ticket, settings: Stability, at: str = TICKET
    ) -> "Instability":
        """Train the copies, the first just as the ticket's trial does, and compare them."""
        copies_lab, start = start_state(lab, ticket, at)
        one, other, dense = train_copies(copies_lab, start, ticket.mask, settings)
        points, batches, split = settings.points, settings.batches, settings.split
        line = barrier(copies_lab, ticket.mask, one, other, points, batches, split)
        return cls(
            id=cls.key(lab, ticket, settings, at),
            ticket=ticket.id,
            task=copies_lab.task.id,
            seed=lab.seed,
            level=ticket.level,
            density=ticket.density,
            at=at,
            start=start.step,
            split=split,
            alphas=line.alphas,
            errors=line.errors,
            to_order=WeightDistance.of(start, one, other, ticket.mask),
            to_pruning=WeightDistance.of(start, one, dense, ticket.mask) if dense else None,
            losses=line.losses,
            metric=line.metric,
        )

    @staticmethod
    def key(lab: Lab, ticket: Ticket, settings: Stability, at: str = TICKET) -> str:
        """The id that the result of `measure` has."""
        relevant = dataclasses.replace(settings, at=(at,), levels=())
        return identity.identity(
            {
                "instability": relevant,
                "ticket": ticket.id,
                "lab": _copies_lab(lab, ticket, at).fingerprint,
                "seed": lab.seed,
            }
        )

    @property
    def is_finite(self) -> bool:
        """Whether all measurements are numbers; stores of ltx 0.1.0 may have others."""
        distances = [one for one in (self.to_order, self.to_pruning) if one]
        values = [v for one in distances for v in (one.distance, one.moved, one.angle or 0.0)]
        return all(map(math.isfinite, (*self.errors, *self.losses, *values)))

    @property
    def barrier(self) -> Barrier:
        return Barrier(self.alphas, self.errors, self.losses, self.metric)

    def document(self) -> dict[str, object]:
        """Plain JSON data, with the height and the stability that follow from it."""
        height, stable = self.barrier.height, self.barrier.stable()
        values = dataclasses.asdict(self)
        if not self.losses:
            del values["losses"]
        if self.metric == ACCURACY:
            del values["metric"]
        return {"kind": "stability", "height": height, "stable": stable, **values}

    @classmethod
    def from_document(cls, document: Mapping) -> "Instability":
        seal.require_open("Instability.from_document")
        values: dict[str, Any] = {
            field.name: document.get(field.name) for field in dataclasses.fields(cls)
        }
        pruning = values["to_pruning"]
        return cls(
            **{
                **values,
                "alphas": tuple(values["alphas"]),
                "errors": tuple(values["errors"]),
                "losses": tuple(values["losses"] or ()),
                "metric": stored_metric(document),
                "to_order": WeightDistance(**values["to_order"]),
                "to_pruning": None if pruning is None else WeightDistance(**pruning),
            }
        )


def rewind_points(lab: Lab, ticket: Ticket, settings: Stability) -> list[str]:
    """The rewind points that the ticket's copies are trained from; none if its level is left out.

    A ticket that needs no more training is not trained from its own state.
    """
    if not settings.measures(ticket.level):
        return []
    ends = {at: _copies_lab(lab, ticket, at).steps() for at in settings.at}
    return [at for at in settings.at if at != TICKET or ticket.state.step < ends[at]]


def start_state(lab: Lab, ticket: Ticket, at: str) -> tuple[Lab, State]:
    """The lab to train the copies on and the state to train them from.

    Except for "ticket" that is the dense network, trained from the ticket's weights if they are at
    step 0, so that a control with weights of its own has a dense network of its own, or else from
    the task's initial weights.
    """
    copies_lab = _copies_lab(lab, ticket, at)
    if at == TICKET:
        return copies_lab, ticket.state
    own = ticket.state.step == 0 and ticket.recipe is None
    start = ticket.state if own else lab.init()
    return copies_lab, lab.train(start, lab.dense(), until=at).state


def train_copies(
    lab: Lab, start: State, mask: Mask, settings: Stability
) -> tuple[State, State, State | None]:
    """The end states of the two copies and, if requested, of the dense network."""
    one, other = copies(lab, start, mask, STREAMS)
    dense = lab.train(start, lab.dense()).state if settings.to_pruning else None
    return one, other, dense


def _copies_lab(lab: Lab, ticket: Ticket, at: str) -> Lab:
    """The ticket's own lab for "ticket"; rewound copies are trained by their task's recipe."""
    return ticket.lab_for(lab) if at == TICKET else lab


def _survivors(state: State, mask: Mask) -> np.ndarray:
    return np.concatenate([state.weights[name][keep] for name, keep in mask.items()]).astype(float)


def _angle(one: np.ndarray, other: np.ndarray) -> float | None:
    """In degrees; by half-angles, because the arc cosine is inaccurate for small angles."""
    lengths = [float(np.linalg.norm(vector)) for vector in (one, other)]
    if not all(lengths):
        return None
    u, v = one / lengths[0], other / lengths[1]
    return math.degrees(2 * math.atan2(np.linalg.norm(u - v), np.linalg.norm(u + v)))
