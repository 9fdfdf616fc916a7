"""TensorBoardListener: writes the curves and results of a study for TensorBoard, as it runs."""

import dataclasses
import logging
import os
import re
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

import filelock

from ltx.analysis.curves import dense_steps
from ltx.core import identity
from ltx.core.errors import UsageError
from ltx.core.objectives.metric import Metric
from ltx.core.run import History, Run
from ltx.core.ticket import Ticket
from ltx.evaluation.trial import Trial
from ltx.reporting import event_file
from ltx.reporting.event_file import EventFile, Point
from ltx.store.memo import Training
from ltx.study.definition import Cell, Study
from ltx.study.listener import StudyListener
from ltx.study.results import CellFailure, TrialResult

_log = logging.getLogger("ltx")
_LOCK_SECONDS = 10.0
_LONGEST = 80
Scalar = bool | int | float | str


@dataclasses.dataclass
class _Search:
    """Trainings of a finder that follow one another, each with its last step and its curve."""

    file: EventFile
    metric: Metric
    parts: dict[Training, tuple[int, History]] = dataclasses.field(default_factory=dict)

    @property
    def stop(self) -> int:
        return max(step for step, _ in self.parts.values())

    def curve(self) -> Iterator[Point]:
        for _, history in self.parts.values():
            yield from _curve(history, self.metric)


class TensorBoardListener(StudyListener):
    """Writes a folder for each trial: LOCATION/STUDY/TASK/FINDER/seed-S/level-L.

    Trainings of a finder that measure none of its tickets go to finding-1 and so on in the folder
    of the seed; one that starts at the step where the last one stopped continues its curve. A study
    that is resumed repeats all of its calls, and each point is written once. Write failures are
    logged once and retried on the next call; they do not stop the study.
    """

    def __init__(self, location: str | os.PathLike[str], study: Study) -> None:
        self.study = study
        self.folder = Path(location).expanduser() / study.id
        self._tasks, self._finders = _names(study.labels), _names(study.finders)
        self._cell: Cell | None = None
        # The ticket whose trial is under way, and its file.
        self._ticket: Ticket | None = None
        self._file: EventFile | None = None
        self._searches: list[_Search] = []
        # The cell whose search first did a training of a seed; None if it measures a ticket.
        self._owners: dict[tuple[int, Training], tuple[str, str, int] | None] = {}
        self._warned = False
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            tempfile.TemporaryFile(dir=self.folder).close()
        except OSError as error:
            raise UsageError(
                f"--tensorboard: cannot write to {self.folder}: {error.strerror}; choose another"
                " folder"
            ) from error

    def cell_started(self, cell: Cell) -> None:
        self._searches.clear()
        self._cell, self._ticket, self._file = cell, None, None

    def ticket_found(self, cell: Cell, ticket: Ticket) -> None:
        self._cell, self._ticket = cell, ticket
        self._owners[cell.seed, _training(cell, ticket)] = None
        self._file = EventFile(self.folder / self._run(cell, f"level-{ticket.level}"))
        self._put(self._file, [self._session(cell, ticket)])

    def trained(self, training: Training, run: Run) -> None:
        cell = self._cell
        if cell is None:
            return
        if self._file and self._ticket and training == _training(cell, self._ticket):
            self._put(self._file, _curve(run.history, cell.task.objective.metric))
        elif self._owners.setdefault((cell.seed, training), cell.key) == cell.key:
            self._put_search(cell, training, run)

    def measured(self, result: TrialResult) -> None:
        if self._file and self._cell and self._ticket:
            points = [self._session(self._cell, self._ticket), *_points(result.trial)]
            self._put(self._file, [*points, event_file.ended(success=True)], whole=True)
        self._ticket, self._file = None, None

    def failed(self, failure: CellFailure) -> None:
        file = self._file
        if file is None and failure.diverged and self._cell:  # in a search, or a stability
            file = EventFile(self.folder / self._run(self._cell, "diverged"))
        if file:
            why = [event_file.text("diverged", failure.text)] if failure.diverged else []
            self._put(file, [*why, event_file.ended(success=False)])
        self._ticket, self._file = None, None

    def _put_search(self, cell: Cell, training: Training, run: Run) -> None:
        """Add a training of the finder's own to the search that it belongs to."""
        for search in self._searches:
            if training in search.parts:
                break
        else:
            last = self._searches[-1] if self._searches else None
            if last is not None and 0 < training.start == last.stop:
                search = last
            else:
                folder = self._run(cell, f"finding-{len(self._searches) + 1}")
                file = EventFile(self.folder / folder)
                search = _Search(file, cell.task.objective.metric)
                self._searches.append(search)
        if run.state.step > search.parts.get(training, (0, History()))[0]:
            search.parts[training] = run.state.step, run.history
            self._put(search.file, search.curve())

    def _run(self, cell: Cell, last: str) -> Path:
        names = self._tasks[cell.task_label], self._finders[cell.finder_label]
        return Path(*names, f"seed-{cell.seed}", last)

    def _session(self, cell: Cell, ticket: Ticket) -> Point:
        run = self._run(cell, f"level-{ticket.level}")
        settings = {"study": self.study.id, **hyperparameters(cell, ticket)}
        return event_file.session(f"{self.study.id}/{run.as_posix()}", settings)

    def _put(self, file: EventFile, points: Iterable[Point], whole: bool = False) -> None:
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            with filelock.FileLock(self.folder / ".lock", timeout=_LOCK_SECONDS):
                file.put(points, whole)
        except OSError as error:
            if not self._warned:
                _log.warning(
                    "--tensorboard: cannot write to %s: %s; the study goes on without it",
                    file.folder,
                    error.strerror or error,
                )
            self._warned = True


def hyperparameters(cell: Cell, ticket: Ticket) -> dict[str, Scalar]:
    """The settings of a ticket's trial, by which TensorBoard sorts and filters."""
    settings: dict[str, Scalar] = {
        "task": cell.task_label,
        "finder": cell.finder_label,
        "seed": cell.seed,
        "level": ticket.level,
        "density": ticket.density,
    }
    for name, value in _flat("task", cell.task_of(ticket)):
        if not name.endswith(".is"):
            key = name.removeprefix("task.") if name.startswith("task.recipe.") else name
            settings[key] = value
    settings.update(_flat("finder", cell.finder))
    return settings


def _flat(name: str, value: object) -> Iterator[tuple[str, Scalar]]:
    """A setting as scalars by dotted name; those that are None are omitted."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        yield f"{name}.is", type(value).__name__
        for field in dataclasses.fields(value):
            yield from _flat(f"{name}.{field.name}", getattr(value, field.name))
    elif isinstance(value, Mapping):
        for key, item in value.items():
            yield from _flat(f"{name}.{key}", item)
    elif isinstance(value, list | tuple):
        parts = [dict(_flat("", item)) for item in value]
        if all(part.keys() <= {""} for part in parts):
            yield name, ", ".join(str(part.get("")) for part in parts)
        else:
            for number, item in enumerate(value):
                yield from _flat(f"{name}.{number}", item)
    elif isinstance(value, bool | int | float | str):
        yield name, value


def _training(cell: Cell, ticket: Ticket) -> Training:
    """The training of the ticket's trial."""
    return Training.of(cell.task_of(ticket), ticket.state, ticket.mask)


def _curve(history: History, metric: Metric) -> Iterator[Point]:
    points = zip(history.steps, history.loss, history.value, strict=True)
    for step, loss, value in points:
        yield event_file.scalar(step, "validation/loss", loss)
        yield event_file.scalar(step, f"validation/{_tag(metric.name)}", value)


def _tag(name: str) -> str:
    """The name of a metric as a part of a tag."""
    return name.replace(" ", "_")


def _points(trial: Trial) -> Iterator[Point]:
    """The curve of a finished trial and its results."""
    yield from _curve(trial.history, trial.metric)
    end = trial.start + trial.trained_for.steps
    yield event_file.scalar(end, "test/loss", trial.test.loss)
    for name, value in {**trial.test.further, trial.metric.name: trial.test.value}.items():
        yield event_file.scalar(end, f"test/{_tag(name)}", value)
    if trial.early_stop is not None:
        yield event_file.scalar(end, "early_stop", trial.early_stop)
    yield event_file.scalar(end, "dense_equivalent_steps", dense_steps(trial))


def _names(labels: Iterable[str]) -> dict[str, str]:
    """A unique name for each label that is valid as a folder on every file system."""
    names: dict[str, str] = {}
    for label in labels:
        name = re.sub(r"[^\w.+=-]+", "-", label, flags=re.ASCII)[:_LONGEST].rstrip(".")
        if not name.strip(".") or name.casefold() in map(str.casefold, names.values()):
            name = f"{name}-{identity.identity(label)[:6]}".lstrip(".-")
        names[label] = name
    return names
