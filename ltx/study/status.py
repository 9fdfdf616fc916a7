"""Status: where the studies of a store stand, read off its records and its log."""

import dataclasses
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence

import rich.console

from ltx.reporting import console as table
from ltx.reporting import plan_table
from ltx.store import liveness
from ltx.store.event_log import CellProgress, Event, StudyStarted, Trained
from ltx.store.store import Store

Process = tuple[str, int]

LATELY = 120.0  # seconds of training over which a speed is taken
UNDER_WAY = ("begun", "measured", "compared")  # events behind which a cell goes on
STATES = ("done", "under way", "interrupted", "failed", "to do", "missing")


@dataclasses.dataclass
class CellStatus:
    """One cell: how far it came, who works on it, and the steps that were trained for it.

    `state` is one of STATES: "interrupted" was begun by a process that is gone, "missing" was done
    and a trial of it is not in the store any more.
    """

    task: str
    finder: str
    seed: int
    state: str = "to do"
    level: int | None = None
    trained: int = 0
    run: Process | None = None
    error: str = ""
    trials: list[str] = dataclasses.field(default_factory=list)
    compared: list[str] = dataclasses.field(default_factory=list)


@dataclasses.dataclass(frozen=True)
class CurrentTraining:
    """What a process trains: `step` of the `end` of one training, at `rate` steps a second.

    Without a step it is between two trainings, or has not told of the first stretch of one.
    """

    run: Process
    place: CellStatus
    step: int | None
    end: int | None
    rate: float | None


@dataclasses.dataclass(frozen=True)
class StudyStatus:
    """A study: its cells, what is trained now, and the steps that are left, where both are known.

    `runs` are the live processes, (host, pid). `left` is reckoned by the most that a finished cell
    of the same finder and task took, and None until there is one of each.
    """

    id: str
    command: str
    places: list[CellStatus]
    runs: list[Process]
    now: list[CurrentTraining]
    left: int | None
    started: float | None

    @property
    def rate(self) -> float | None:
        """The steps a second of all processes together."""
        rates = [now.rate for now in self.now if now.rate]
        return sum(rates) if rates else None


def statuses(store: Store) -> Iterator[StudyStatus]:
    """Every study that the store has a record of, the one begun last first."""
    log = list(store.events())
    begun = {e.study: e.time for e in log if isinstance(e, StudyStarted | CellProgress)}
    records = sorted(store.studies(), key=lambda r: begun.get(r["id"], 0.0), reverse=True)
    for record in records:
        yield _standing(store, record, log, begun.get(record["id"]))


def _standing(store: Store, record: dict, log: list[Event], last: float | None) -> StudyStatus:
    places = _places(record)
    stretches = _read(record["id"], places, log)
    alive = {run for run in stretches if liveness.is_alive(store, *run)}
    for place in places.values():
        _settle(place, store, alive)
    now = [
        _now(place.run, place, stretches[place.run])
        for place in places.values()
        if place.state == "under way" and place.run
    ]
    cells = list(places.values())
    return StudyStatus(
        record["id"], record.get("command", ""), cells, sorted(alive), now, _left(cells), last
    )


def _places(record: Mapping) -> dict[tuple, CellStatus]:
    return {
        (task, finder, seed): CellStatus(task, finder, seed)
        for task in record.get("tasks", ())
        for finder in record.get("finders", ())
        for seed in record.get("seeds", ())
    }


def _read(
    study: str, places: dict[tuple, CellStatus], log: list[Event]
) -> dict[Process, list[tuple[CellStatus, Trained]]]:
    """Put into the places what the log says; return what each process of the study trained."""
    current: dict[Process, CellStatus | None] = {}
    stretches: dict[Process, list[tuple[CellStatus, Trained]]] = {}
    for event in log:
        run = event.process
        if isinstance(event, StudyStarted | CellProgress) and event.study == study:
            stretches.setdefault(run, [])
        if isinstance(event, CellProgress):
            # Whatever study it belongs to, the process is no longer where it was.
            current[run] = None
            place = places.get(event.cell) if event.study == study else None
            if place:
                current[run] = place if event.state in UNDER_WAY else None
                _take(place, event, run)
        elif isinstance(event, Trained) and (place := current.get(run)):
            place.trained += event.steps
            stretches[run].append((place, event))
    return stretches


def _take(place: CellStatus, event: CellProgress, run: Process) -> None:
    if event.state == "begun":
        # A cell that was done is gone through again without training; it stays done meanwhile.
        place.run, place.level = run, None
        if place.state != "done":
            place.state, place.error, place.trials, place.compared = "under way", "", [], []
    elif event.state == "measured":
        place.level = event.level
        if event.trial and event.trial not in place.trials:
            place.trials.append(event.trial)
    elif event.state == "compared":
        if event.stability and event.stability not in place.compared:
            place.compared.append(event.stability)
    else:
        place.state, place.error = event.state, event.error or ""


def _settle(place: CellStatus, store: Store, alive: set[Process]) -> None:
    if place.state == "under way" and place.run not in alive:
        place.state = "interrupted"
    there = [store.exists("trials", id) for id in place.trials]
    there += [store.exists("stability", id) for id in place.compared]
    if place.state == "done" and not all(there):
        place.state = "under way" if place.run in alive else "missing"


def _now(
    run: Process, place: CellStatus, stretches: list[tuple[CellStatus, Trained]]
) -> CurrentTraining:
    """What the last stretch says, where it is the place's own and its training goes on."""
    events = [event for _, event in stretches]
    lately = [e for e in events if e.time > time.time() - LATELY] or events[-3:]
    seconds = sum(e.seconds for e in lately)
    rate = sum(e.steps for e in lately) / seconds if seconds else None
    step = end = None
    if stretches and stretches[-1][0] is place and events[-1].stop < events[-1].end:
        step, end = events[-1].stop, events[-1].end
    return CurrentTraining(run, place, step, end, rate)


def _left(cells: list[CellStatus]) -> int | None:
    took: dict[tuple[str, str], int] = {}
    for place in cells:
        if place.state == "done":
            key = (place.task, place.finder)
            took[key] = max(took.get(key, 0), place.trained)
    left = 0
    for place in cells:
        if place.state not in ("done", "failed"):
            if (place.task, place.finder) not in took:
                return None
            left += max(0, took[place.task, place.finder] - place.trained)
    return left


def show(console: rich.console.Console, standing: StudyStatus) -> None:
    """Print where one study stands: its cells by finder, what is trained now, and what is left."""
    console.print(f"study {standing.id}: {_head(standing)}", style="bold", soft_wrap=True)
    console.print(standing.command, soft_wrap=True)
    if not standing.places:
        console.print("its cells are not recorded; give its command again to have them")
        return
    groups: dict[tuple[str, str], Counter[str]] = {}
    for place in standing.places:
        groups.setdefault((place.task, place.finder), Counter())[place.state] += 1
    rows = [
        [*names, *(str(count[s]) if count[s] else "-" for s in STATES)]
        for names, count in groups.items()
    ]
    console.print()
    console.print(
        table.make_table(["task", "finder", *STATES], rows, right=range(2, 2 + len(STATES)))
    )
    for text in _lines(standing):
        console.print(f"\n{text}", soft_wrap=True)


def _head(standing: StudyStatus) -> str:
    done = sum(place.state == "done" for place in standing.places)
    cells = f"{done} of {len(standing.places)} cells done"
    if standing.runs:
        where = ", ".join(f"process {pid} on {host}" for host, pid in standing.runs)
        return f"running, {cells} ({where})"
    if done == len(standing.places) and standing.places:
        return f"finished, {cells}"
    return f"not running, {cells}; the same command goes on where it stopped"


def _lines(standing: StudyStatus) -> Iterator[str]:
    for now in standing.now:
        place, level = now.place, now.place.level
        what = f"now: {place.finder} on {place.task}, seed {place.seed}"
        what += "" if level is None else f", level {level} measured"
        if now.step is not None:
            what += f"; training, step {now.step:,} of {now.end:,}"
        yield what + (f"; {now.rate:,.3g} steps a second" if now.rate else "")
    if standing.left and standing.rate:
        took = plan_table.duration(standing.left / standing.rate)
        yield f"left: about {standing.left:,} steps, {took}, by what the finished cells took"
    elif standing.runs and standing.left is None:
        yield "left: not known before every finder has finished a seed"
    for place in standing.places:
        if place.state == "failed":
            where = f"{place.finder} on {place.task}, seed {place.seed}"
            yield f"{where} stopped early: {place.error}"
    if any(place.state == "missing" for place in standing.places):
        yield "missing: no longer in the store; the same command makes it anew"


def pick(found: Sequence[StudyStatus], id: str | None) -> Sequence[StudyStatus]:
    """All of them for "all", the one whose id begins so, or the newest."""
    if id is None:
        return found[:1]
    return found if id == "all" else [s for s in found if s.id.startswith(id)]
