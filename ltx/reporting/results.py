"""Results: the trials, verdicts and tickets of a study as pandas DataFrames."""

import functools
import html
import importlib
import os
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any

from ltx.analysis import transfer, verdict
from ltx.analysis.verdict import LevelVerdict
from ltx.core.environment import DISTRIBUTION
from ltx.core.errors import UsageError
from ltx.store.store import Store
from ltx.study.record import StudyRecord
from ltx.study.results import failure_lines

if TYPE_CHECKING:
    import pandas


class Results:
    """What a store has of a study.

    Frames have the columns of the tables that `ltx report --data` writes (docs/formats.md). A
    missing value is NA, never zero.
    """

    def __init__(self, record: StudyRecord, store: Store) -> None:
        self.record, self.store = record, store

    @classmethod
    def read(cls, store: Store | str | os.PathLike[str], id: str = "") -> "Results":
        """The results of the study with this id or unique id prefix; the latest for ""."""
        opened = store if isinstance(store, Store) else Store(store, create=False)
        return cls(StudyRecord.read(opened, id), opened)

    @property
    def id(self) -> str:
        return self.record.id

    @property
    def finished(self) -> bool:
        """Whether every cell was run; the same study, run again, continues one that is not."""
        return self.record.finished

    @functools.cached_property
    def trials(self) -> "pandas.DataFrame":
        """A row for each trial, and one for each missing trial with the reason."""
        measurements = _tables("measurements")
        return _frame(measurements.trials(self.record, self.tickets), measurements.TRIALS)

    @functools.cached_property
    def levels(self) -> "pandas.DataFrame":
        """A row for each task, finder and level: means over seeds, intervals and the verdict."""
        analyses = _tables("analyses")
        return _frame(analyses.levels(self._levels), analyses.LEVELS)

    @functools.cached_property
    def comparisons(self) -> "pandas.DataFrame":
        """A row for each level and control: the finder's lead over it, paired by seed."""
        analyses = _tables("analyses")
        return _frame(analyses.comparisons(self._levels), analyses.COMPARISONS)

    @functools.cached_property
    def verdicts(self) -> "pandas.DataFrame":
        """A row for each task and finder: how many levels have each verdict, and the sentence."""
        rows = []
        for (task, finder), levels in self._by_finder.items():
            sparse = [level.verdict for level in levels if level.level > 0]
            counts = {word: sparse.count(word) for word in verdict.VERDICTS}
            sentence = verdict.sentence(levels)
            rows.append({"task": task, "finder": finder, **counts, "sentence": sentence})
        columns = ["task", "finder", *verdict.VERDICTS, "sentence"]
        return _pandas().DataFrame(rows, columns=columns)

    @functools.cached_property
    def stability(self) -> "pandas.DataFrame":
        """A row for each ticket and rewind point whose stability was to be measured."""
        measurements = _tables("measurements")
        return _frame(measurements.stability(self.record), measurements.STABILITY)

    @functools.cached_property
    def transfers(self) -> "pandas.DataFrame":
        """A row for each level of each transfer of tickets between tasks."""
        analyses = _tables("analyses")
        results = transfer.transfer_results(self.record, self.store)
        return _frame(analyses.transfers(results), analyses.TRANSFERS)

    @functools.cached_property
    def tickets(self) -> dict[str, dict]:
        """The manifests of the study's tickets by id; `store.ticket(id)` reads the ticket."""
        return self.store.manifests_by_id(row.trial.ticket for row in self.record.rows)

    @property
    def failures(self) -> list[str]:
        """What stopped early, and why: each error once, with all cells that it stopped."""
        return failure_lines(self.record.failures)

    @functools.cached_property
    def _levels(self) -> list[LevelVerdict]:
        record = self.record
        return verdict.levels(
            record.rows, margin=record.margin, seeds=record.seeds, controls=record.controls
        )

    @property
    def _by_finder(self) -> dict[tuple[str, str], list[LevelVerdict]]:
        groups: dict[tuple[str, str], list[LevelVerdict]] = {}
        for level in self._levels:
            groups.setdefault((level.task, level.finder), []).append(level)
        return groups

    @property
    def _head(self) -> str:
        state = "" if self.finished else ", not finished"
        count = len(self.record.rows)
        return f"study {self.id}: {count} trial{'s' * (count != 1)}{state}"

    @property
    def _sentences(self) -> list[str]:
        verdicts = map(verdict.sentence, self._by_finder.values())
        return [*verdicts, *verdict.unused(self.record.controls), *self.failures]

    def __repr__(self) -> str:
        return "\n".join([f"<ltx.Results of {self._head}>", *self._sentences])

    def _repr_html_(self) -> str:
        """For notebooks: the verdicts, and the levels as a table."""
        sentences = "".join(f"<li>{html.escape(text)}</li>" for text in self._sentences)
        table = self.levels.to_html(index=False, na_rep="", float_format="{:.4g}".format)
        return f"<p><b>{html.escape(self._head)}</b></p><ul>{sentences}</ul>{table}"


def _frame(lines: Iterable[Mapping[str, object]], columns: Mapping[str, Any]) -> "pandas.DataFrame":
    """Lines of one of the tables as a frame, with nullable types."""
    import pyarrow

    pandas = _pandas()
    shown, columns = _tables("columns").measured(list(lines), columns)
    types = {pyarrow.int64(): pandas.Int64Dtype(), pyarrow.bool_(): pandas.BooleanDtype()}
    table = pyarrow.Table.from_pylist(shown, schema=pyarrow.schema(list(columns.items())))
    return table.to_pandas(types_mapper=types.get)


def _tables(name: str) -> Any:
    """A module of `ltx.reporting.tables`, which need pyarrow."""
    return _optional(lambda: importlib.import_module(f"ltx.reporting.tables.{name}"))


def _pandas() -> Any:
    def load() -> Any:
        import pandas

        return pandas

    return _optional(load)


def _optional(load: Callable[[], Any]) -> Any:
    """A module that comes with an extra."""
    try:
        return load()
    except ModuleNotFoundError as error:
        raise UsageError(
            f"ltx.Results: {error.name} is not installed;"
            f" `pip install '{DISTRIBUTION}[report]'` brings it"
        ) from error
