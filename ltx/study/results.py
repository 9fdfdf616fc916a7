"""Results: what a study made of each cell, and what is missing of it."""

import dataclasses

from ltx.evaluation.instability import Instability
from ltx.evaluation.trial import Trial


@dataclasses.dataclass(frozen=True)
class TrialResult:
    """One trial and where it belongs in the study."""

    task: str
    finder: str
    control: bool
    seed: int
    trial: Trial


@dataclasses.dataclass(frozen=True)
class StabilityResult:
    """The two copies of one ticket, and where they belong in the study."""

    task: str
    finder: str
    control: bool
    seed: int
    instability: Instability


@dataclasses.dataclass(frozen=True)
class CellFailure:
    """A cell that stopped early; the tickets that it had found by then are kept.

    Where it did not stop there, `ended` is False: copies of a ticket could not be compared.
    """

    task: str
    finder: str
    seed: int
    error: str
    ended: bool = True


@dataclasses.dataclass(frozen=True)
class DamagedResult:
    """A trial that the study made and that the store cannot give back.

    Of copies that were compared, where `at` says from where.
    """

    task: str
    finder: str
    seed: int
    level: int | None
    at: str | None = None


@dataclasses.dataclass(frozen=True)
class MissingResult:
    """A trial that ought to be there and is not; `level` is None where none is known.

    Of copies that were to be compared, where `at` says from where.
    """

    task: str
    finder: str
    control: bool
    seed: int
    level: int | None
    reason: str
    at: str | None = None
