"""StudyListener: the callbacks of a running study, for progress bars, records and trackers."""

import abc
from collections.abc import Sequence

from ltx.core.run import Run
from ltx.core.ticket import Ticket
from ltx.store.memo import Training
from ltx.study.definition import Cell, Study
from ltx.study.results import CellFailure, CellResult, StabilityResult, TrialResult


class StudyListener:
    """Methods that a study calls as it runs; each does nothing unless a subclass overrides it.

    This is also the protocol of trackers: a class that an entry point of the group `ltx.trackers`
    names derives from it and is constructed with (location, study). A study that is resumed, or run
    again, repeats the calls of all its cells, so a tracker must accept a result that it has already
    written.
    """

    def started(self, study: Study) -> None:
        """The study's settings are valid and its first cell is next."""

    def cell_started(self, cell: Cell) -> None:
        """The cell's finder starts to search."""

    def trained(self, training: Training, run: Run) -> None:
        """A training, of a search or of a trial, has come as far as `run`.

        Called about once per checkpoint interval, and once for a training read from the memo.
        """

    def ticket_found(self, cell: Cell, ticket: Ticket) -> None:
        """The cell's finder has found a ticket, whose trial is next."""

    def measured(self, result: TrialResult) -> None:
        """The trial of the ticket found last is done; the search goes on."""

    def compared(self, result: StabilityResult) -> None:
        """The stability of the ticket found last was measured from one rewind point."""

    def failed(self, failure: CellFailure) -> None:
        """The cell stopped early, or the stability of one of its tickets was not measured."""

    def ended(self, complete: bool) -> None:
        """The study is over: `complete` after its last cell, else stopped by an error or Ctrl-C."""


class ForwardingListener(StudyListener, abc.ABC):
    """Hands every call to one method."""

    @abc.abstractmethod
    def forward(self, method: str, *args: object) -> None:
        """Handle the call of the method of this name."""

    def started(self, study: Study) -> None:
        self.forward("started", study)

    def cell_started(self, cell: Cell) -> None:
        self.forward("cell_started", cell)

    def trained(self, training: Training, run: Run) -> None:
        self.forward("trained", training, run)

    def ticket_found(self, cell: Cell, ticket: Ticket) -> None:
        self.forward("ticket_found", cell, ticket)

    def measured(self, result: TrialResult) -> None:
        self.forward("measured", result)

    def compared(self, result: StabilityResult) -> None:
        self.forward("compared", result)

    def failed(self, failure: CellFailure) -> None:
        self.forward("failed", failure)

    def ended(self, complete: bool) -> None:
        self.forward("ended", complete)


class Listeners(ForwardingListener):
    """Several listeners as one: each call goes to all of them, in order."""

    def __init__(self, listeners: Sequence[StudyListener]) -> None:
        self.listeners = tuple(listeners)

    def forward(self, method: str, *args: object) -> None:
        for listener in self.listeners:
            getattr(listener, method)(*args)


def notify(listener: StudyListener, result: CellResult) -> None:
    """Call the listener's method for this kind of result."""
    if isinstance(result, TrialResult):
        listener.measured(result)
    elif isinstance(result, StabilityResult):
        listener.compared(result)
    else:
        listener.failed(result)
