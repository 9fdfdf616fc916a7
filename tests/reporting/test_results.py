"""Results: frames with the columns of the tables, and verdicts that people can read."""

import subprocess
import sys
from pathlib import Path

import pytest
import studied

from ltx import Results, Store, UsageError
from ltx.reporting.tables import analyses, measurements

MODULES = {
    "trials": measurements,
    "stability": measurements,
    "levels": analyses,
    "comparisons": analyses,
    "transfers": analyses,
}


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Results:
    path = tmp_path_factory.mktemp("small") / "store"
    studied.small(path, seeds=2)
    return Results.read(path)


@pytest.mark.parametrize("name", ["trials", "levels", "comparisons", "stability", "transfers"])
def test_a_frame_has_the_columns_of_its_table(results: Results, name: str) -> None:
    frame = getattr(results, name)
    assert list(frame.columns) == list(getattr(MODULES[name], name.upper()))
    assert getattr(results, name) is frame


def test_the_numbers_are_those_of_the_record(results: Results) -> None:
    trials = results.trials
    assert list(trials["trial"]) == [row.trial.id for row in results.record.rows]
    assert list(trials["test_accuracy"]) == [row.trial.test.value for row in results.record.rows]
    assert str(trials["level"].dtype) == "Int64"
    assert str(trials["control"].dtype) == "boolean"
    assert results.tickets.keys() == set(trials["ticket"])
    ticket = results.store.ticket(trials["ticket"][0])
    assert ticket.density == trials["density"][0]


def test_a_lost_trial_is_a_row_without_numbers(tmp_path: Path) -> None:
    store = studied.tiny(tmp_path / "store")
    sorted((store.path / "trials").iterdir())[0].unlink()
    trials = Results.read(store).trials
    assert list(trials["missing"].notna()) == [False, True]
    assert list(trials["test_accuracy"].isna()) == [False, True]


def test_verdicts_have_a_row_for_each_task_and_finder(results: Results) -> None:
    verdicts = results.verdicts
    frame = results.levels
    for row in verdicts.to_dict("records"):
        own = frame[(frame["task"] == row["task"]) & (frame["finder"] == row["finder"])]
        sparse = own[own["level"] > 0]
        assert row["inconclusive"] == (sparse["verdict"] == "inconclusive").sum()
        assert row["sentence"].startswith(f"{row['finder']} on {row['task']}: ")
    assert not verdicts.duplicated(["task", "finder"]).any()
    assert set(verdicts["finder"]) == {"imp", "snip", "from_fake", "from_third"}


def test_results_are_readable_in_a_console_and_in_a_notebook(results: Results) -> None:
    text = repr(results).splitlines()
    assert text[0].startswith(f"<ltx.Results of study {results.id}: ")
    assert text[1:] == list(results.verdicts["sentence"])
    page = results._repr_html_()
    assert page.count("<li>") == len(results.verdicts)
    assert page.count("<tr") == 1 + len(results.levels)
    assert "nan" not in page.lower()


def test_a_store_that_is_not_there_is_not_made(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no store there"):
        Results.read(tmp_path / "none")
    assert not list(tmp_path.iterdir())
    with pytest.raises(UsageError, match="no study was run"):
        Results.read(Store(tmp_path / "empty"))


def test_frames_without_pandas_say_what_brings_it(
    results: Results, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "pandas", None)
    fresh = Results(results.record, results.store)
    for name in ("trials", "levels", "verdicts"):
        with pytest.raises(
            UsageError, match=r"pandas is not installed; `pip install 'ltx-lottery\[report"
        ):
            getattr(fresh, name)


def test_results_need_no_extra_and_frames_say_which_they_need(tmp_path: Path) -> None:
    studied.tiny(tmp_path / "store")
    code = "import sys; sys.modules['pyarrow'] = None\nimport ltx\n"
    code += "results = ltx.Results.read(sys.argv[1])\nprint(results)\nresults.trials"
    command = [sys.executable, "-c", code, str(tmp_path / "store")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.stdout.startswith("<ltx.Results of study ")
    assert done.stderr.splitlines()[-1] == (
        "ltx.core.errors.UsageError: ltx.Results: pyarrow is not installed;"
        " `pip install 'ltx-lottery[report]'` brings it"
    )
