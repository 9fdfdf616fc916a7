"""CsvTracker: appends a line for each trial of a study to a CSV file, as it is measured."""

import csv
import io
import os
from pathlib import Path

import filelock

from ltx.core.errors import UsageError
from ltx.study.definition import Study
from ltx.study.listener import StudyListener
from ltx.study.results import CellFailure, TrialResult

COLUMNS = (
    *("study", "task", "finder", "seed", "level", "density", "test_accuracy", "early_stop"),
    *("trial", "ticket"),
)
_LOCK_SECONDS = 10.0


class CsvTracker(StudyListener):
    """Columns as in the table `trials` of `ltx report --data`, and the study's id.

    A trial that diverged has the word "diverged" for its accuracy, and no density, ticket or id.
    A trial that the file has already is not written again, and a line that a killed process left
    incomplete is removed. Several studies and processes may share a file.
    """

    def __init__(self, location: str | os.PathLike[str], study: Study) -> None:
        self.path, self.study = Path(location).expanduser(), study
        self._lines: set[str] = set()
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

    def measured(self, result: TrialResult) -> None:
        trial = result.trial
        values = (
            *(self.study.id, result.task, result.finder, result.seed, trial.level, trial.density),
            *(trial.test.accuracy, trial.early_stop, trial.id, trial.ticket),
        )
        self._put(values)

    def failed(self, failure: CellFailure) -> None:
        if failure.diverged and failure.ended:
            where = (self.study.id, failure.task, failure.finder, failure.seed, failure.level)
            self._put((*where, None, "diverged", None, None, None))

    def _put(self, values: tuple[object, ...]) -> None:
        """Add a line, unless the file has it."""
        line = _line(values)
        with self._lock():
            self._read()
            if line not in self._lines:
                self._append(line)

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
        self._lines.update(f"{line}\n" for line in complete.decode().split("\n"))
        self._size += len(complete)
        if not self._size:
            self._append(_line(COLUMNS))

    def _append(self, line: str) -> None:
        with open(self.path, "ab") as file:
            file.write(line.encode())
        self._lines.add(line)
        self._size += len(line.encode())


def _line(values: tuple[object, ...]) -> str:
    buffer = io.StringIO()
    csv.writer(buffer, lineterminator="\n").writerow(values)
    return buffer.getvalue()
