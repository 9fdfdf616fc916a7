"""The results of a study's cells, and what is missing of them."""

import dataclasses
from collections.abc import Iterable, Mapping

from ltx.evaluation.instability import Instability
from ltx.evaluation.trial import Trial


@dataclasses.dataclass(frozen=True)
class TrialResult:
    """One trial, and its cell's names and seed; `control`: whether the finder is one.

    `parent` is the id of the ticket that the trial's ticket was made from, None if unknown; `lab`
    is the origin of the lab, empty if unknown.
    """

    task: str
    finder: str
    control: bool
    seed: int
    trial: Trial
    parent: str | None = None
    lab: Mapping[str, str] = dataclasses.field(default_factory=dict, compare=False)

    def superseded(self, manifest: Mapping) -> str:
        """By what the result is superseded, and why; "" if it is not.

        `manifest` is that of the ticket, as `Store.manifest` returns it.
        """
        found = manifest.get("found", {}).get(self.finder, {})
        now = found.get("lab", {})
        changed = {name for name in self.lab.keys() & now.keys() if self.lab[name] != now[name]}
        if changed == {"model"}:
            return (
                f"by another trial of {self.trial.ticket}: the code of the model changed from"
                f" {self.lab['model']} to {now['model']}"
            )
        return found.get("superseded", "")


@dataclasses.dataclass(frozen=True)
class StabilityResult:
    """The instability of one ticket from one rewind point, and its cell's names and seed."""

    task: str
    finder: str
    control: bool
    seed: int
    instability: Instability


@dataclasses.dataclass(frozen=True)
class CellFailure:
    """Why a cell stopped early; the tickets that it found before are kept.

    With `ended` False the cell went on, and only the stability of the ticket of one `level` from
    the rewind point `at` could not be measured. `diverged`: a state or a metric was not finite; the
    trial of `level`, where that is known.
    """

    task: str
    finder: str
    seed: int
    error: str
    ended: bool = True
    level: int | None = None
    at: str | None = None
    diverged: bool = False

    @property
    def text(self) -> str:
        """The error, which says "diverged" first where that is what happened."""
        if not self.diverged:
            return self.error
        level = f" at level {self.level}" if self.ended and self.level is not None else ""
        return f"diverged{level}: {self.error}"

    @property
    def reason(self) -> str:
        """Why the trials that its cell did not reach are missing."""
        return self.text if self.diverged else f"stopped early: {self.error}"


def failure_lines(failures: Iterable[CellFailure]) -> list[str]:
    """One sentence for each error, with all cells that it stopped."""
    cells: dict[str, list[tuple[str, str, int]]] = {}
    for one in failures:
        what = f" {one.reason}" if one.ended else f": {one.text}"
        cells.setdefault(what, []).append((one.task, one.finder, one.seed))
    return [f"{cells_text(where)}{what}" for what, where in cells.items()]


def cells_text(cells: Iterable[tuple[str, str, int]]) -> str:
    """Cells (task, finder, seed) as `imp on digits/lenet_300_100, seeds 0, 1`."""
    seeds: dict[tuple[str, str], dict[int, None]] = {}
    for task, finder, seed in cells:
        seeds.setdefault((task, finder), {})[seed] = None
    return " and ".join(
        f"{finder} on {task}, seed{'s' * (len(own) > 1)} {', '.join(map(str, own))}"
        for (task, finder), own in seeds.items()
    )


CellResult = TrialResult | StabilityResult | CellFailure


@dataclasses.dataclass(frozen=True)
class DamagedResult:
    """A trial of the study whose file in the store is missing or corrupt.

    With `at` it is a stability result, and `at` its rewind point.
    """

    task: str
    finder: str
    seed: int
    level: int | None
    at: str | None = None


@dataclasses.dataclass(frozen=True)
class MissingResult:
    """A trial that the study should have and has not; `level` is None if none is known.

    With `at` it is a stability result, and `at` its rewind point.
    """

    task: str
    finder: str
    control: bool
    seed: int
    level: int | None
    reason: str
    at: str | None = None
