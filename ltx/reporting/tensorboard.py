"""Board: where TensorBoard finds each curve of a study, as it is trained and when it is done."""

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
from ltx.core.run import History, Run
from ltx.evaluation.trial import Trial
from ltx.reporting import event_file
from ltx.reporting.event_file import EventFile, Point
from ltx.store.memo import Training
from ltx.study.definition import Study
from ltx.study.loop import Cell
from ltx.study.results import CellFailure, StabilityResult, TrialResult

_log = logging.getLogger("ltx")
_LOCK_SECONDS = 10.0
_LONGEST = 80
Scalar = bool | int | float | str


@dataclasses.dataclass
class _Search:
    """Trainings that follow on one another: of each the step where it stands, and its curve."""

    file: EventFile
    parts: dict[Training, tuple[int, History]] = dataclasses.field(default_factory=dict)

    @property
    def stop(self) -> int:
        return max(step for step, _ in self.parts.values())

    def curve(self) -> Iterator[Point]:
        for _, history in self.parts.values():
            yield from _curve(history)


class TensorBoardListener:
    """Writes under `path`, a folder a trial: STUDY/TASK/FINDER/seed-S/level-L.

    What a finder trains that measures none of its tickets goes to finding-1 and so on beside them;
    a training that starts where the last one stopped goes on in its folder. The board is told all
    of it again whenever a study goes on, and writes it once. What it cannot write it leaves, says
    so once, and makes up for when it can: no study stops for it.
    """

    def __init__(self, path: str | os.PathLike[str], study: Study) -> None:
        self.path, self.study = Path(path).expanduser(), study
        self.folder = self.path / study.id
        self._tasks, self._finders = _names(study.labels), _names(study.finders)
        self._place: Cell | None = None
        self._file: EventFile | None = None
        self._searches: list[_Search] = []
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

    def at(self, place: Cell) -> None:
        """The study is at this place now."""
        if self._place is None or place.cell != self._place.cell:
            self._searches.clear()
        self._place, self._file = place, None
        if place.ticket is not None:
            self._owners[place.seed, _training(place)] = None
            self._file = EventFile(self.folder / self._run(place, f"level-{place.ticket.level}"))
            self._put(self._file, [self._session(place)])

    def tell(self, training: Training, run: Run) -> None:
        """The training has come so far."""
        if self._place is None:
            return
        if self._file is not None and training == _training(self._place):
            self._put(self._file, _curve(run.history))
            return
        key, cell = (self._place.seed, training), self._place.cell
        if self._owners.setdefault(key, cell) == cell:
            self._search(self._place, training, run)

    def _search(self, place: Cell, training: Training, run: Run) -> None:
        for search in self._searches:
            if training in search.parts:
                break
        else:
            last = self._searches[-1] if self._searches else None
            if last is not None and 0 < training.start == last.stop:
                search = last
            else:
                folder = self._run(place, f"finding-{len(self._searches) + 1}")
                search = _Search(EventFile(self.folder / folder))
                self._searches.append(search)
        if run.state.step > search.parts.get(training, (0, History()))[0]:
            search.parts[training] = run.state.step, run.history
            self._put(search.file, search.curve())

    def show(self, result: TrialResult | StabilityResult | CellFailure) -> None:
        """The trial at this place is done, or whatever was under way there has failed."""
        place, file = self._place, self._file
        self._file = None
        if place is None or file is None or isinstance(result, StabilityResult):
            return
        if isinstance(result, CellFailure):
            self._put(file, [event_file.ended(success=False)])
        else:
            measured = [self._session(place), *_whole(result.trial)]
            self._put(file, [*measured, event_file.ended(success=True)], whole=True)

    def _run(self, place: Cell, last: str) -> Path:
        names = self._tasks[place.name], self._finders[place.label]
        return Path(*names, f"seed-{place.seed}", last)

    def _session(self, place: Cell) -> Point:
        run = self._run(place, f"level-{place.ticket.level}") if place.ticket else Path()
        return event_file.session(
            f"{self.study.id}/{run.as_posix()}", {"study": self.study.id, **hyperparameters(place)}
        )

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


def hyperparameters(place: Cell) -> dict[str, Scalar]:
    """What tells the trial at this place from others, as TensorBoard sorts and filters by it."""
    ticket = place.ticket
    assert ticket is not None
    made: dict[str, Scalar] = {
        "task": place.name,
        "finder": place.label,
        "seed": place.seed,
        "level": ticket.level,
        "density": ticket.density,
    }
    for name, value in _flat("task", place.measured):
        if not name.endswith(".is"):
            made[name.removeprefix("task.") if name.startswith("task.recipe.") else name] = value
    made.update(_flat("finder", place.finder))
    return made


def _flat(name: str, value: object) -> Iterator[tuple[str, Scalar]]:
    """A setting as scalars by dotted names; what is None is left away."""
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


def _training(place: Cell) -> Training:
    """The training that measures the ticket at this place."""
    ticket = place.ticket
    assert ticket is not None
    return Training.of(place.measured, ticket.state, ticket.mask)


def _curve(history: History) -> Iterator[Point]:
    points = zip(history.steps, history.loss, history.accuracy, strict=True)
    for step, loss, accuracy in points:
        yield event_file.scalar(step, "validation/loss", loss)
        yield event_file.scalar(step, "validation/accuracy", accuracy)


def _whole(trial: Trial) -> Iterator[Point]:
    yield from _curve(trial.history)
    end = trial.start + trial.trained_for.steps
    yield event_file.scalar(end, "test/loss", trial.test.loss)
    yield event_file.scalar(end, "test/accuracy", trial.test.accuracy)
    if trial.early_stop is not None:
        yield event_file.scalar(end, "early_stop", trial.early_stop)
    yield event_file.scalar(end, "dense_equivalent_steps", dense_steps(trial))


def _names(labels: Iterable[str]) -> dict[str, str]:
    """A name for each label that is one of a folder on every file system, and no other's."""
    made: dict[str, str] = {}
    for label in labels:
        name = re.sub(r"[^\w.+=-]+", "-", label, flags=re.ASCII)[:_LONGEST].rstrip(".")
        if not name.strip(".") or name.casefold() in map(str.casefold, made.values()):
            name = f"{name}-{identity.identity(label)[:6]}".lstrip(".-")
        made[label] = name
    return made
