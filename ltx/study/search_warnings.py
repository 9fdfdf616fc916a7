"""Search warnings: the cheap checks of `ltx check`, applied to the tickets of a study's cell."""

import hashlib
import logging
from collections.abc import Iterator, Mapping

import numpy as np

from ltx.core.duration import Duration
from ltx.core.errors import UsageError
from ltx.core.finder import Finder
from ltx.core.lab import Lab
from ltx.core.run import Run
from ltx.core.ticket import Ticket
from ltx.study.definition import Cell

_SAMPLE = 1024  # how many values of each weight tell two states apart

_log = logging.getLogger("ltx")


class SearchWarnings:
    """Logs what is wrong with the tickets of one cell, each fault once for each finder.

    `warned` is shared by all cells of a run. A check that the finder waives is not applied. `lab`
    is the finder's, whose trainings are watched from now on.
    """

    def __init__(self, cell: Cell, lab: Lab, warned: set[str]) -> None:
        self._cell, self._lab, self._warned = cell, lab, warned
        self._last: Ticket | None = None
        self._trained: dict[str, int] = {}
        lab.on_trained = self._remember

    def check(self, ticket: Ticket) -> None:
        """Log the faults of the cell's next ticket."""
        label, finder = self._cell.finder_label, self._cell.finder
        if self._last is None:
            self._check_init()
        for name, text in (*self._falling(ticket), *self._nested(ticket), *self._rewind(ticket)):
            if name not in finder.waived:
                self._warn(
                    f"{label}: {name}",
                    f"{label}, level {ticket.level}: {text} (check {name!r} of `ltx check`)",
                )
        self._last = ticket

    def _warn(self, key: str, text: str) -> None:
        if key not in self._warned:
            self._warned.add(key)
            _log.warning("%s", text)

    def _check_init(self) -> None:
        """Warn of a seed whose initial weights are those of another one."""
        cell, init = self._cell, _sketch(self._lab.init().weights)
        key = f"init of {cell.task_label}: {init} of seed "
        others = {int(k.removeprefix(key)) for k in self._warned if k.startswith(key)}
        self._warned.add(f"{key}{cell.seed}")
        for other in sorted(others - {cell.seed})[:1]:
            self._warn(
                f"init of {cell.task_label}",
                f"{cell.task_label}: seeds {other} and {cell.seed} have the same initial weights,"
                " so they are no two independent samples, though counted so; let the model's"
                " initializers have no seed of their own",
            )

    def _remember(self, run: Run) -> None:
        """Remember the weights of a training, by the earliest step that had them."""
        self._trained.setdefault(_sketch(run.state.weights), run.state.step)

    def _falling(self, ticket: Ticket) -> Iterator[tuple[str, str]]:
        last = self._last
        if last is not None and ticket.density >= last.density:
            yield (
                "falling",
                f"it keeps {ticket.mask.kept} weights, the ticket before {last.mask.kept}:"
                " expected fewer",
            )

    def _nested(self, ticket: Ticket) -> Iterator[tuple[str, str]]:
        last = self._last
        if last is None or last.mask.keys() != ticket.mask.keys():
            return
        if regrown := ticket.mask.kept - (ticket.mask & last.mask).kept:
            yield "nested", f"it has {regrown} weights that the ticket before had pruned"

    def _rewind(self, ticket: Ticket) -> Iterator[tuple[str, str]]:
        step, whole = ticket.state.step, ticket.lab_for(self._lab).steps()
        trained = self._trained.get(_sketch(ticket.state.weights), step)
        declared = _declared(self._cell.finder, self._lab)
        if step >= whole > 0:
            yield "rewind", f"it starts at step {step} of {whole}: nothing is left to train"
        elif trained > step:
            yield (
                "rewind",
                f"its state says step {step}, but has the weights of step {trained} of a training:"
                " they were not rewound",
            )
        elif declared is not None and step > declared:
            yield "rewind", f"it starts at step {step}, but its rewind is step {declared}"


def _declared(finder: Finder, lab: Lab) -> int | None:
    """The step to which the finder's field `rewind` says that it rewinds; None for none."""
    rewind = getattr(finder, "rewind", None)
    try:
        return lab.steps(Duration.parse(rewind)) if isinstance(rewind, str) else None
    except UsageError:  # a mode, such as "auto"
        return None


def _sketch(weights: Mapping[str, np.ndarray]) -> str:
    """A digest of the first values of each tensor, which is cheap for a network of any size."""
    digest = hashlib.sha256()
    for name in sorted(weights):
        digest.update(name.encode())
        digest.update(np.ascontiguousarray(weights[name].reshape(-1)[:_SAMPLE]).tobytes())
    return digest.hexdigest()
