"""The progress bar of a running study, and what Ctrl-C does meanwhile."""

import contextlib
import signal
import sys
import threading
from collections.abc import Callable, Iterator

import rich.console
import rich.progress

from ltx.core.ticket import Ticket
from ltx.study.definition import Cell
from ltx.study.listener import StudyListener


class ProgressBar(StudyListener):
    """A bar for the current training, labelled by its cell and level."""

    def __init__(self, bars: rich.progress.Progress, interrupted: Callable[[], bool]) -> None:
        self._bars, self._interrupted = bars, interrupted
        self._bar = bars.add_task("starting", total=None)

    def step(self, step: int, stop: int) -> None:
        """The current training is at this step of `stop`; raises KeyboardInterrupt after Ctrl-C."""
        if self._interrupted():
            raise KeyboardInterrupt
        self._bars.update(self._bar, completed=step, total=stop)

    def cell_started(self, cell: Cell) -> None:
        self._label(cell)

    def ticket_found(self, cell: Cell, ticket: Ticket) -> None:
        self._label(cell, f", level {ticket.level}")

    def _label(self, cell: Cell, level: str = "") -> None:
        text = f"{cell.finder_label}, seed {cell.seed}{level}"
        self._bars.update(self._bar, description=text)


@contextlib.contextmanager
def progress_bar() -> Iterator[ProgressBar]:
    """A bar on the terminal or in the notebook; elsewhere it shows nothing."""
    columns = (
        rich.progress.TextColumn("{task.description}"),
        rich.progress.BarColumn(),
        rich.progress.MofNCompleteColumn(),
        rich.progress.TimeElapsedColumn(),
    )
    console = rich.console.Console(stderr=True)
    shown = sys.stderr.isatty() or console.is_jupyter
    bars = rich.progress.Progress(*columns, console=console, transient=True, disable=not shown)
    with _interrupts() as interrupted, bars:
        yield ProgressBar(bars, interrupted)


@contextlib.contextmanager
def _interrupts() -> Iterator[Callable[[], bool]]:
    """Whether Ctrl-C was pressed: Python drops the exception if a destructor is running."""
    if threading.current_thread() is not threading.main_thread():  # no signals arrive there
        yield lambda: False
        return
    pressed: list[int] = []

    def press(number: int, frame: object) -> None:
        pressed.append(number)
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGINT, press)
    try:
        yield lambda: bool(pressed)
    finally:
        signal.signal(signal.SIGINT, before)
