"""CsvTracker: appends a line for each trial of a study to a CSV file, as it is measured."""

import csv
import io
import os
from pathlib import Path

import filelock

from ltx.core.errors import UsageError
from ltx.core.objectives.metric import ACCURACY
from ltx.study.definition import Cell, Study
from ltx.study.listener import StudyListener
from ltx.study.results import CellFailure, TrialResult

COLUMNS = (
    *("study", "task", "finder", "seed", "level", "density", "test_accuracy", "early_stop"),
    *("trial", "ticket"),
)
# Of studies with a metric other than accuracy.
METRIC_COLUMNS = (
    *("study", "task", "finder", "seed", "level", "density", "metric", "test_value", "early_stop"),
    *("trial", "ticket"),
)
SUPERSEDED = "superseded"
_PLACE = 5  # columns that say of what finder, seed and level a trial is
_LOCK_SECONDS = 10.0


class CsvTracker(StudyListener):
    """Columns as in the table `trials` of `ltx report --data`, and the study's id.

    A new file of a study with a metric other than accuracy has the columns `metric` and
    `test_value` instead of `test_accuracy`, and takes trials of any study.

    A trial that diverged has the word "diverged" for its value, and no density, ticket or id.
    A trial that the file has already is not written again, and a line that a killed process left
    incomplete is removed. Where a study is run again and gives another trial, a line with the word
    "superseded" for its value names the earlier one, ahead of the line of the new one. Several
    studies and processes may share a file.
    """

    def __init__(self, location: str | os.PathLike[str], study: Study) -> None:
        self.path, self.study = Path(location).expanduser(), study
        self._lines: set[str] = set()
        # Lines of trials that are not superseded, by study, task, finder, seed and level.
        self._current: dict[tuple[str, ...], dict[str, None]] = {}
        self._measured: set[tuple[str, ...]] = set()  # by the search that is under way
        accuracy = set(study.metrics.values()) == {ACCURACY}
        self._columns = COLUMNS if accuracy else METRIC_COLUMNS
        self._size = 0  # bytes of the file that `_lines` covers
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with self._lock():
                self._read()
        except OSError as error:
            raise UsageError(
                f"--tracker=csv: cannot write to {self.path}: {error.strerror or error}; choose"
                " another file"
            ) from error
        if not accuracy and self._columns != METRIC_COLUMNS:
            raise UsageError(
                f"--tracker=csv: {self.path} has a column for accuracy, and the study has"
                f" {', '.join(sorted({one.name for one in study.metrics.values()}))}; choose"
                " another file"
            )

    def cell_started(self, cell: Cell) -> None:
        self._measured.clear()

    def measured(self, result: TrialResult) -> None:
        trial = result.trial
        values = (
            *(self.study.id, result.task, result.finder, result.seed, trial.level, trial.density),
            *self._value(trial.metric.name, trial.test.value),
            *(trial.early_stop, trial.id, trial.ticket),
        )
        self._put(values)

    def failed(self, failure: CellFailure) -> None:
        if failure.diverged and failure.ended:
            where = (self.study.id, failure.task, failure.finder, failure.seed, failure.level)
            metric = self.study.metrics[failure.task].name
            self._put((*where, None, *self._value(metric, "diverged"), None, None, None))

    def _value(self, metric: str, value: object) -> tuple[object, ...]:
        """The cells from `density` to `early_stop`."""
        return (value,) if self._columns == COLUMNS else (metric, value)

    def _put(self, values: tuple[object, ...]) -> None:
        """Add a line, unless the file has it; one for each trial that it supersedes goes first."""
        line, place = _line(values), tuple(map(str, values[:_PLACE]))
        with self._lock():
            self._read()
            current = self._current.get(place, {})
            if line not in current and place not in self._measured:
                for other in list(current):
                    ids = _values(other)[-2:]
                    if all(ids):
                        metric = _values(other)[METRIC_COLUMNS.index("metric")]
                        cells = self._value(metric, SUPERSEDED)
                        self._append(_line((*place, None, *cells, None, *ids)))
            if line not in self._lines or (values[-1] and line not in current):
                self._append(line)
        self._measured.add(place)

    def _lock(self) -> filelock.BaseFileLock:
        return filelock.FileLock(f"{self.path}.lock", timeout=_LOCK_SECONDS)

    def _read(self) -> None:
        """Read the lines that were added since the last time; write the header of a new file."""
        with open(self.path, "a+b") as file:
            file.seek(self._size)
            added = file.read()
            complete = added[: added.rfind(b"\n") + 1]
            if len(complete) < len(added):
                file.truncate(self._size + len(complete))
        if not self._size and complete:
            head = tuple(_values(complete.decode().partition("\n")[0]))
            self._columns = METRIC_COLUMNS if head == METRIC_COLUMNS else COLUMNS
        for line in complete.decode().split("\n"):
            self._take(f"{line}\n")
        self._size += len(complete)
        if not self._size:
            self._append(_line(self._columns))

    def _append(self, line: str) -> None:
        with open(self.path, "ab") as file:
            file.write(line.encode())
        self._take(line)
        self._size += len(line.encode())

    def _take(self, line: str) -> None:
        """Note a line of the file, and which trials are superseded after it."""
        self._lines.add(line)
        values = _values(line)
        if len(values) == len(self._columns):
            current = self._current.setdefault(tuple(values[:_PLACE]), {})
            if values[-4] != SUPERSEDED:
                current[line] = None
            else:
                for other in [one for one in current if _values(one)[-2:] == values[-2:]]:
                    del current[other]


def _values(line: str) -> list[str]:
    return next(csv.reader([line]), [])


def _line(values: tuple[object, ...]) -> str:
    buffer = io.StringIO()
    csv.writer(buffer, lineterminator="\n").writerow(values)
    return buffer.getvalue()
