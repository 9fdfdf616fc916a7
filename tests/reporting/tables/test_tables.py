"""Tables hold what the study holds, and CSV and Parquet say the same."""

import dataclasses
from pathlib import Path

import pyarrow.csv
import pyarrow.parquet
import pytest
import studied

from ltx import Store
from ltx.analysis import mask_similarity, transfer, verdict
from ltx.reporting.tables import analyses, columns, measurements
from ltx.store.event_log import Timing
from ltx.study.record import StudyRecord
from ltx.study.results import CellFailure


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    return studied.small(tmp_path_factory.mktemp("store"), seeds=2)


@pytest.fixture(scope="module")
def record(store: Store) -> StudyRecord:
    return StudyRecord.read(store)


def test_every_trial_is_a_line_and_every_gap_one_without_numbers(record: StudyRecord) -> None:
    failure = CellFailure(record.tasks[0], "imp", 1, "it broke")
    rows = tuple(row for row in record.rows if (row.finder, row.seed) != ("imp", 1))
    lines = measurements.trials(dataclasses.replace(record, rows=rows, failures=(failure,)))
    whole = [line for line in lines if "missing" not in line]
    gone = [line for line in lines if "missing" in line]
    assert [line["trial"] for line in whole] == [row.trial.id for row in rows]
    assert len(gone) == len(record.rows) - len(rows) == 8
    assert all("test_accuracy" not in line for line in gone)


def test_seconds_are_there_where_they_are_known(record: StudyRecord) -> None:
    lines = measurements.trials(record)
    assert all(0 <= line["found_seconds"] < line["seconds"] for line in lines)  # type: ignore
    first = record.rows[0].trial.id
    unknown = {**record.timings, first: Timing(float("nan"), 1.0)}
    line = measurements.trials(dataclasses.replace(record, timings=unknown))[0]
    assert line["seconds"] is line["found_seconds"] is None
    lines = measurements.trials(dataclasses.replace(record, timings={}))
    assert all(line["seconds"] is None for line in lines)


def test_layers_add_up_to_the_tickets_density(record: StudyRecord, store: Store) -> None:
    manifests = measurements.manifests(record, store)
    lines = measurements.layers(record, manifests)
    names = manifests[record.rows[0].trial.ticket]["shapes"].keys()
    for row in record.rows[:8]:
        ticket = store.ticket(row.trial.ticket)
        own = {
            line["layer"]: line["density"]
            for line in lines
            if [line[key] for key in ("task", "finder", "seed", "level")]
            == [row.task, row.finder, row.seed, row.trial.level]
        }
        assert own == ticket.mask.densities()
        assert own.keys() == names


def test_what_is_effective_is_the_manifests(record: StudyRecord, store: Store) -> None:
    manifests = measurements.manifests(record, store)
    lines = measurements.trials(record, manifests)
    for row, line in zip(record.rows, lines, strict=True):
        known = manifests[row.trial.ticket].get("effective_density")
        assert line["effective_density"] == known
        assert (known is None) == (row.trial.density == 1)  # of dense ones it is not measured
    layers = [line for line in measurements.layers(record, manifests) if line["finder"] == "snip"]
    dead = [line["dead_units"] for line in layers if line["layer"] == "hidden/kernel"]
    assert None in dead
    assert max(n for n in dead if n is not None) > 0
    assert {line["units"] for line in layers} == {None, 12, 4}


def test_a_ticket_that_is_gone_has_no_layers(record: StudyRecord, tmp_path: Path) -> None:
    store = studied.tiny(tmp_path / "store")
    tiny = StudyRecord.read(store)
    gone, damaged = (row.trial.ticket for row in tiny.rows)
    (store.path / "tickets" / f"{gone}.safetensors").unlink()
    path = store.path / "tickets" / f"{damaged}.safetensors"
    path.write_bytes(path.read_bytes()[:-1])
    assert measurements.manifests(tiny, store) == {}
    assert measurements.layers(tiny, {}) == []


@pytest.mark.parametrize(
    ("name", "types"),
    [
        *(("trials", measurements.TRIALS), ("levels", analyses.LEVELS)),
        *(("comparisons", analyses.COMPARISONS), ("layers", measurements.LAYERS)),
        *(("overlaps", analyses.OVERLAPS), ("transfers", analyses.TRANSFERS)),
    ],
)
def test_csv_and_parquet_say_the_same(
    record: StudyRecord, store: Store, tmp_path: Path, name: str, types: dict
) -> None:
    levels = verdict.levels(record.rows, controls=record.controls)
    manifests = measurements.manifests(record, store)
    lines = {
        "trials": lambda: measurements.trials(record, manifests),
        "layers": lambda: measurements.layers(record, manifests),
        "overlaps": lambda: analyses.overlaps(mask_similarity.similarities(record, store)),
        "levels": lambda: analyses.levels(levels),
        "comparisons": lambda: analyses.comparisons(levels),
        "transfers": lambda: analyses.transfers(transfer.transfer_results(record, store)),
    }[name]()
    assert all(set(line) <= set(types) for line in lines)
    csv, parquet = columns.write(tmp_path / "new" / "folder", name, lines, types)
    told = pyarrow.parquet.read_table(parquet)
    options = pyarrow.csv.ConvertOptions(
        column_types=told.schema, strings_can_be_null=True, quoted_strings_can_be_null=False
    )
    assert pyarrow.csv.read_csv(csv, convert_options=options).equals(told)
    assert told.num_rows == len(lines) > 0
    assert list(told.column_names) == list(types)


def test_the_levels_carry_their_verdicts(record: StudyRecord) -> None:
    found = verdict.levels(
        record.rows, margin=record.margin, seeds=record.seeds, controls=record.controls
    )
    for line, level in zip(analyses.levels(found), found, strict=True):
        assert line["accuracy"] == level.value.mean
        assert line["verdict"] == (level.verdict or None)
        assert line.get("gain") == (level.gain.mean if level.gain else None)
    leads = analyses.comparisons(found)
    assert {line["control"] for line in leads} == {"reinit"}


def test_what_was_carried_has_its_gap_and_what_lacks_native_none(
    record: StudyRecord, store: Store
) -> None:
    found = transfer.transfer_results(record, store)
    for line, one in zip(analyses.transfers(found), found, strict=True):
        assert line.get("gap") == (one.gap.mean if one.gap else None)
        native = "from_fake" if one.task == "fake/fake" else "imp"
        assert (line["native"], line["source"], line["word"]) == (native, one.source, one.verdict)
        assert line["native_head"] == (None if native == "imp" else "fresh")
        assert line["native_density"] == one.native_density
    assert any(one.gap for one in found)
    rows = tuple(row for row in record.rows if row.finder not in ("imp", "from_fake"))
    alone = transfer.transfer_results(dataclasses.replace(record, rows=rows), store)
    for line in analyses.transfers(alone):
        assert line["native"] is None
        assert not line.keys() & {"gap", "gap_low", "native_accuracy", "dense_accuracy"}
        assert line["missing_seeds"] == 2
