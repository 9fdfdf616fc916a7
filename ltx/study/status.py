"""The status of the studies of a store, read from its records and its event log."""

import dataclasses
import time
from collections.abc import Iterator, Mapping, Sequence

from ltx.store import liveness
from ltx.store.event_log import CellProgress, Event, StudyStarted, Trained
from ltx.store.store import Store
from ltx.study.definition import cell_keys

Process = tuple[str, int]  # host and process id
CellKey = tuple[str, str, int]

RECENT = 120.0  # seconds over which the speed of training is averaged
UNDER_WAY = ("begun", "measured", "compared")  # events after which a cell continues
STATES = ("done", "under way", "interrupted", "failed", "diverged", "to do", "missing")


@dataclasses.dataclass
class CellStatus:
    """The state of one cell, the process that runs it, and the steps that were trained for it.

    `state` is one of STATES. "interrupted": its process ended before it did. "diverged": it failed,
    for what it trained or measured was not finite. "missing": it was done, and one of its results
    is no longer in the store. `level` is the one measured last,
    `trials` and `compared` are ids of trials and of stability results.
    """

    task: str
    finder: str
    seed: int
    state: str = "to do"
    level: int | None = None
    trained: int = 0
    process: Process | None = None
    error: str = ""
    trials: list[str] = dataclasses.field(default_factory=list)
    compared: list[str] = dataclasses.field(default_factory=list)


@dataclasses.dataclass(frozen=True)
class CurrentTraining:
    """What a process trains: `step` of the `end` of one training, at `rate` steps per second.

    `step` and `end` are None between two trainings, and before the first progress is logged.
    """

    process: Process
    cell: CellStatus
    step: int | None
    end: int | None
    rate: float | None


@dataclasses.dataclass(frozen=True)
class StudyStatus:
    """The status of a study: its cells, live processes, current trainings and steps left.

    `left` is estimated from the most steps that a finished cell of the same finder and task took;
    it is None until there is one for each.
    """

    id: str
    command: str
    cells: list[CellStatus]
    processes: list[Process]
    current: list[CurrentTraining]
    left: int | None
    started: float | None

    @property
    def rate(self) -> float | None:
        """Steps per second of all processes together."""
        rates = [training.rate for training in self.current if training.rate]
        return sum(rates) if rates else None


def statuses(store: Store) -> Iterator[StudyStatus]:
    """The status of every study of which the store has a record, latest start first."""
    log = list(store.events())
    started = {e.study: e.time for e in log if isinstance(e, StudyStarted | CellProgress)}
    records = sorted(store.studies(), key=lambda r: started.get(r["id"], 0.0), reverse=True)
    for record in records:
        yield _status(store, record, log, started.get(record["id"]))


def choose(found: Sequence[StudyStatus], id: str | None) -> Sequence[StudyStatus]:
    """Those with an id that starts with `id`; all of them for "all", the latest for None."""
    if id is None:
        return found[:1]
    return found if id == "all" else [status for status in found if status.id.startswith(id)]


def _status(store: Store, record: dict, log: list[Event], started: float | None) -> StudyStatus:
    by_key = _cells(record)
    stretches = _apply_log(record["id"], by_key, log)
    cells = list(by_key.values())
    alive = {process for process in stretches if liveness.is_alive(store, *process)}
    for cell in cells:
        _check(cell, store, alive)
    current = [
        _current(cell.process, cell, stretches[cell.process])
        for cell in cells
        if cell.state == "under way" and cell.process
    ]
    command = record.get("command", "")
    return StudyStatus(record["id"], command, cells, sorted(alive), current, _left(cells), started)


def _cells(record: Mapping) -> dict[CellKey, CellStatus]:
    """The cells that the record plans, by their keys; those of one finder together."""
    tasks, finders = list(record.get("tasks", ())), list(record.get("finders", ()))
    keys = cell_keys(tasks, finders, record.get("seeds", ()))
    in_groups = sorted(keys, key=lambda key: (tasks.index(key[0]), finders.index(key[1])))
    return {key: CellStatus(*key) for key in in_groups}


def _apply_log(
    study: str, cells: dict[CellKey, CellStatus], log: list[Event]
) -> dict[Process, list[tuple[CellStatus, Trained]]]:
    """Bring the cells up to date with the log; return what each process of the study trained."""
    current: dict[Process, CellStatus | None] = {}
    stretches: dict[Process, list[tuple[CellStatus, Trained]]] = {}
    for event in log:
        process = event.process
        if isinstance(event, StudyStarted | CellProgress) and event.study == study:
            stretches.setdefault(process, [])
        if isinstance(event, CellProgress):
            # A cell of any study ends what the process did before.
            current[process] = None
            cell = cells.get(event.cell) if event.study == study else None
            if cell:
                current[process] = cell if event.state in UNDER_WAY else None
                _apply(event, cell, process)
        elif isinstance(event, Trained) and (cell := current.get(process)):
            cell.trained += event.steps
            stretches[process].append((cell, event))
    return stretches


def _apply(event: CellProgress, cell: CellStatus, process: Process) -> None:
    """Bring the cell up to date with one event of it."""
    if event.state == "begun":
        # A finished cell is repeated without training when its study is run again; it stays done.
        cell.process, cell.level = process, None
        if cell.state != "done":
            cell.state, cell.error, cell.trials, cell.compared = "under way", "", [], []
    elif event.state == "measured":
        cell.level = event.level
        if event.trial and event.trial not in cell.trials:
            cell.trials.append(event.trial)
    elif event.state == "compared":
        if event.stability and event.stability not in cell.compared:
            cell.compared.append(event.stability)
    else:
        cell.state, cell.error = event.state, event.error or ""


def _check(cell: CellStatus, store: Store, alive: set[Process]) -> None:
    """Correct a cell whose process has ended, or whose results are no longer in the store."""
    if cell.state == "under way" and cell.process not in alive:
        cell.state = "interrupted"
    present = [store.exists("trials", id) for id in cell.trials]
    present += [store.exists("stability", id) for id in cell.compared]
    if cell.state == "done" and not all(present):
        cell.state = "under way" if cell.process in alive else "missing"


def _current(
    process: Process, cell: CellStatus, stretches: list[tuple[CellStatus, Trained]]
) -> CurrentTraining:
    """What the last stretch of training says, if it is the cell's and its training goes on."""
    events = [event for _, event in stretches]
    recent = [e for e in events if e.time > time.time() - RECENT] or events[-3:]
    seconds = sum(e.seconds for e in recent)
    rate = sum(e.steps for e in recent) / seconds if seconds else None
    step = end = None
    if stretches and stretches[-1][0] is cell and events[-1].stop < events[-1].end:
        step, end = events[-1].stop, events[-1].end
    return CurrentTraining(process, cell, step, end, rate)


def _left(cells: list[CellStatus]) -> int | None:
    """The steps that are left to train, if a cell of each finder and task is done."""
    most: dict[tuple[str, str], int] = {}
    for cell in cells:
        if cell.state == "done":
            key = (cell.task, cell.finder)
            most[key] = max(most.get(key, 0), cell.trained)
    left = 0
    for cell in cells:
        if cell.state not in ("done", "failed", "diverged"):
            if (cell.task, cell.finder) not in most:
                return None
            left += max(0, most[cell.task, cell.finder] - cell.trained)
    return left
