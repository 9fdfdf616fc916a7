"""A training that is not finite is shown as diverged wherever a study shows results."""

import csv
import dataclasses
import io
import math
from collections.abc import Iterator
from pathlib import Path

import pytest
import rich.console
from ltx_plugins.imp import IMP
from tensorboard_reader import Reader

from ltx import Finder, Lab, Recipe, Store, Study, Task, Ticket
from ltx.core.run import Metrics
from ltx.evaluation.instability import Stability
from ltx.evaluation.trial import Trial
from ltx.reporting import page as report
from ltx.reporting import status_table, study_table
from ltx.reporting.csv_tracker import CsvTracker
from ltx.reporting.results import Results
from ltx.reporting.tables import measurements
from ltx.reporting.tensorboard import TensorBoardListener
from ltx.study import runner, status
from ltx.study.record import StudyRecord
from ltx.study.results import CellFailure
from ltx.testing import RECIPE, FakeLab

WILD = dataclasses.replace(RECIPE, learning_rate=3e38)
TASK = Task(data="fake", model="fake", recipe=RECIPE)
WILD_TASK = Task(data="wild", model="fake", recipe=WILD)


@dataclasses.dataclass(frozen=True)
class Untrained(Finder):
    """The dense ticket, whose trial diverges on a wild task; with a recipe, on each."""

    recipe: Recipe | None = None

    def find(self, lab: Lab) -> Iterator[Ticket]:
        yield dataclasses.replace(Ticket.of(lab, lab.dense(), lab.init()), recipe=self.recipe)


def run(made: Study, path: Path) -> tuple[Store, StudyRecord]:
    store = Store(path / "store")
    trackers = [CsvTracker(path / "trials.csv", made), TensorBoardListener(path / "logs", made)]
    record = runner.run(made, lambda t, s, sealed: FakeLab(t, s, sealed=sealed), store, trackers)
    return store, record


def shown(show, *args, **named) -> str:  # type: ignore[no-untyped-def]
    console = rich.console.Console(file=io.StringIO(), width=200)
    show(console, *args, **named)
    return console.file.getvalue()  # type: ignore[attr-defined]


@pytest.fixture(scope="module")
def diverged(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Store, StudyRecord]:
    path = tmp_path_factory.mktemp("diverged")
    made = Study({"imp": IMP(levels=1), "dense": Untrained()}, (TASK, WILD_TASK), seeds=2)
    return path, *run(made, path)


def test_no_trial_of_it_is_a_number(diverged: tuple[Path, Store, StudyRecord]) -> None:
    path, store, record = diverged
    assert {row.task for row in record.rows} == {"fake/fake"}
    assert [(f.task, f.finder, f.seed, f.diverged, f.level) for f in record.failures] == [
        ("wild/fake", "imp", 0, True, 0),
        ("wild/fake", "dense", 0, True, 0),
        ("wild/fake", "imp", 1, True, 0),
        ("wild/fake", "dense", 1, True, 0),
    ]
    assert StudyRecord.read(store).failures == record.failures
    assert len(record.rows) == 2 * 3
    with open(path / "trials.csv", newline="") as file:
        lines = [line for line in csv.DictReader(file) if line["task"] == "wild/fake"]
    assert {(line["test_accuracy"], line["early_stop"]) for line in lines} == {("diverged", "")}
    assert len(lines) == 4


def test_every_table_page_and_status_says_so(diverged: tuple[Path, Store, StudyRecord]) -> None:
    path, store, record = diverged
    cells = "imp on wild/fake, seeds 0, 1 and dense on wild/fake, seeds 0, 1"
    text = f"{cells} diverged at level 0: wild/fake: "
    assert text in shown(study_table.show, record.rows, record.failures)
    (found,) = status.statuses(store)
    assert {c.state for c in found.cells if c.task == "wild/fake"} == {"diverged"}
    assert f"{cells} diverged: wild/fake: " in shown(status_table.show, found)
    gaps = [line["missing"] for line in measurements.trials(record) if "missing" in line]
    assert len(gaps) == 4
    assert all(gap.startswith("diverged at level 0: ") for gap in gaps)
    page = report.write(store, path / "page.html")[0].read_text()
    assert text in page
    results = Results(record, store)
    assert [line.startswith(text) for line in results.failures] == [True]


def test_tensorboard_says_so(diverged: tuple[Path, Store, StudyRecord]) -> None:
    reader = Reader(diverged[0] / "logs")
    runs = reader.runs()
    wild = [tags for name, tags in runs.items() if "/wild-fake/" in name]
    assert [set(tags) for tags in wild] == [{"diverged"}] * 4
    states = {group["sessions"][0]["status"] for group in reader.groups()}
    assert states == {"STATUS_SUCCESS", "STATUS_FAILURE"}


def test_the_divergence_of_a_search_is_in_tensorboard_too(tmp_path: Path) -> None:
    @dataclasses.dataclass(frozen=True)
    class Searches(Finder):
        def find(self, lab: Lab) -> Iterator[Ticket]:
            lab.train(lab.init(), lab.dense())
            yield Ticket.of(lab, lab.dense(), lab.init())

    _, record = run(Study({"searches": Searches()}, (WILD_TASK,), seeds=1), tmp_path)
    assert [(f.diverged, f.level) for f in record.failures] == [(True, None)]
    runs = Reader(tmp_path / "logs").runs()
    assert [set(tags) for tags in runs.values()] == [{"diverged"}]


def test_a_copy_that_diverges_makes_its_cell_diverged(tmp_path: Path) -> None:
    made = Study(
        {"dense": Untrained(RECIPE)}, (WILD_TASK,), 1, stability=Stability(points=3, at=("20it",))
    )
    store, record = run(made, tmp_path)
    assert len(record.rows) == 1
    (failure,) = record.failures
    assert (failure.diverged, failure.ended, failure.at) == (True, False, "20it")
    (found,) = status.statuses(store)
    assert [cell.state for cell in found.cells] == ["diverged"]


def test_a_failure_stores_it_only_where_it_is_so(diverged: tuple[Path, Store, StudyRecord]) -> None:
    plain = dataclasses.replace(
        diverged[2], failures=(CellFailure("wild/fake", "imp", 0, "it broke"),)
    )
    (entry,) = plain.document()["failures"]  # type: ignore[misc]
    assert list(entry) == ["task", "finder", "seed", "error", "ended"]
    (first, *_) = diverged[2].document()["failures"]  # type: ignore[misc]
    assert first["diverged"] is True


@pytest.mark.parametrize("loss", [math.nan, math.inf])
def test_a_stored_trial_of_an_older_version_that_is_not_finite_is_no_number(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, loss: float
) -> None:
    made = Study({"dense": Untrained()}, (TASK,), seeds=1)
    whole = Trial.run
    with monkeypatch.context() as patch:
        patch.setattr(
            Trial, "run", lambda *a: dataclasses.replace(whole(*a), test=Metrics(loss, 0.1))
        )
        store, record = run(made, tmp_path)
    assert not record.rows[0].trial.is_finite
    back = StudyRecord.read(store)
    assert back.rows == ()
    # The reader refuses NaN, as a loss that no version of ltx means.
    diverged, damaged = (
        [(f.diverged, f.level) for f in back.failures],
        [d.level for d in back.damaged],
    )
    assert (diverged, damaged) == (([], [0]) if math.isnan(loss) else ([(True, 0)], []))
    again = run(made, tmp_path)[1]
    assert [row.trial.is_finite for row in again.rows] == [True]
