"""CSV and Parquet: every cell is a text until its type is declared or inferred."""

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from pyarrow import parquet

from ltx.core.errors import UsageError
from ltx.data import loading
from ltx.data.dataset import Dataset

ROWS = [f"{i % 7}.5,0{i % 3}067,{'red' if i % 2 else 'blue'},{i % 3}" for i in range(30)]
TABLE = "\n".join(["size,zip,colour,kind", *ROWS]) + "\n"


def load(path: Path, text: str | bytes, **arguments: Any) -> Dataset:
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    options = {k: arguments.pop(k) for k in ("test", "preprocessing", "classes") if k in arguments}
    return loading.load(
        f"csv:{path}", test=options.pop("test", 0.2), data_args=arguments, **options
    )


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "table.csv"


def test_numbers_are_scaled_and_categories_become_columns(file: Path) -> None:
    made = load(file, TABLE, target="kind")
    assert made.targets.names == ("0", "1", "2")
    assert made.input_shape == (1 + 3 + 2,)
    rows = made.train.inputs
    assert rows.dtype == np.float32
    assert set(np.unique(rows[:, 1:])) == {0, 1}
    assert (rows[:, 1:4].sum(axis=1) == 1).all()
    every = np.concatenate([made.train.inputs, made.validation.inputs])
    assert abs(rows[:, 0].mean()) < 1e-6
    assert len(every) == 24


def test_what_was_inferred_is_said_and_is_part_of_the_identity(
    file: Path, caplog: pytest.LogCaptureFixture
) -> None:
    made = load(file, TABLE, target="kind")
    assert "column 'zip' is read as category" in caplog.text
    assert "targets are names, numbered 0 '0', 1 '1', 2 '2'" in caplog.text
    assert str(file) not in " ".join(made.notes)
    declared = load(file, TABLE, target="kind", types={"zip": "category"})
    assert made.fingerprint != declared.fingerprint
    number = load(file, TABLE, target="kind", types={"zip": "number"})
    assert number.input_shape == (1 + 1 + 2,)


def test_the_same_content_elsewhere_is_the_same_data(file: Path, tmp_path: Path) -> None:
    other = load(tmp_path / "other.csv", TABLE, target="kind")
    assert load(file, TABLE, target="kind").fingerprint == other.fingerprint


def test_a_number_is_a_target_of_a_regression(file: Path) -> None:
    text = "a,y\n" + "".join(f"{i},{i * 1.25}\n" for i in range(40))
    made = load(file, text, target="y")
    assert made.targets.floating
    several = load(file, TABLE, target=["size", "kind"], inputs="colour")
    assert several.targets.shape == (2,)


def test_a_text_alone_becomes_tokens(file: Path) -> None:
    text = "review,good\n" + "".join(f'"word {i}, and\nmore",{i % 2}\n' for i in range(20))
    made = load(file, text, target="good", preprocessing={"tokens": "words"})
    assert made.train.inputs.dtype == np.int32
    assert made.input_shape == (4,)


@pytest.mark.parametrize(
    ("encode", "arguments"),
    [
        (lambda text: text.encode("utf-8-sig"), {}),
        (lambda text: text.encode("latin-1"), {"encoding": "latin-1"}),
        (lambda text: text.replace(",", ";").encode(), {"delimiter": ";"}),
        (
            lambda text: text.replace(",", ";").replace(".", ",").encode(),
            {"delimiter": ";", "decimal": ","},
        ),
        (lambda text: text.replace("\n", "\r\n").encode(), {}),
    ],
)
def test_files_of_other_programs_have_the_same_content(
    file: Path, encode: Any, arguments: dict[str, str]
) -> None:
    text = TABLE.replace("blue", "grün")
    expected = load(file, text, target="kind").fingerprint
    assert load(file, encode(text), target="kind", **arguments).fingerprint == expected


def test_gaps_are_counted_or_filled_by_the_mean_of_the_training_rows(file: Path) -> None:
    text = "a,b,y\n" + "".join(f"{i if i % 5 else 'NA'},{i},{i % 2}\n" for i in range(50))
    with pytest.raises(UsageError, match=r"10 of 50 cells, the first 'NA' in row 1;.*gaps"):
        load(file, text, target="y")
    with pytest.raises(UsageError, match=r"10 missing cells of 50, the first in row 1;.*'mean'"):
        load(file, text, target="y", gaps=("NA",))
    none = {"scaling": "none"}
    made = load(file, text, target="y", gaps=("NA",), missing="mean", preprocessing=none)
    column = made.train.source[:, 0]
    known = np.array([i for i in np.r_[made.train.rows, made.validation.rows] if i % 5])
    training = np.array([i for i in made.train.rows if i % 5])
    assert len(known) > len(training)
    np.testing.assert_allclose(column[::5], training.mean(), rtol=1e-6)


def test_categories_are_those_of_the_training_rows(file: Path) -> None:
    text = "a,b,y\n" + "".join(
        f"{'rare' if i == 3 else 'xyz'[i % 3]},1,{i % 2}\n" for i in range(40)
    )
    seen = set()
    for seed in range(6):
        file.write_text(text)
        made = loading.load(
            f"csv:{file}",
            test=0.2,
            split_seed=seed,
            validation=0.4,
            data_args={"target": "y", "inputs": "a", "types": {"a": "category"}},
        )
        has = 3 in made.train.rows
        assert made.input_shape == (4 if has else 3,)
        if not has:
            assert not made.train.source[3].any()
        seen.add(has)
    assert seen == {True, False}


def test_a_file_of_its_own_holds_the_test(file: Path, tmp_path: Path) -> None:
    (tmp_path / "test.csv").write_text("size,zip,colour,kind\n1.5,00067,red,1\n2.5,01067,red,0\n")
    made = load(file, TABLE, target="kind", test_file=str(tmp_path / "test.csv"), test=0)
    assert made.test.targets.tolist() == [1, 0]


@pytest.mark.parametrize(
    ("text", "arguments", "says"),
    [
        (TABLE, {}, "missing a required argument: 'target'"),
        (TABLE, {"target": "knd"}, "unknown column .*'knd': did you mean kind"),
        (TABLE, {"target": "kind", "inputs": ["size", "kind"]}, "both input and target"),
        (TABLE, {"target": "kind", "inputs": ["size", "size"]}, "'size' twice"),
        (TABLE, {"target": "kind", "inputs": []}, "at least one target and one other column"),
        (TABLE, {"target": 3}, "target: expected a name or several, got 3"),
        (TABLE, {"target": "kind", "types": {"zip": "float"}}, "unknown type.*category, number"),
        (TABLE, {"target": "kind", "types": "zip"}, "types: expected"),
        (TABLE, {"target": "kind", "types": {"colour": "number"}}, "30 of 30 cells are none"),
        (TABLE, {"target": "kind", "types": {"colour": "text"}}, "is a text, which stands alone"),
        (TABLE, {"target": "kind", "missing": "median"}, "missing.*refuse"),
        (TABLE, {"target": "kind", "typs": {}}, "unknown argument.*did you mean types"),
        (TABLE, {"target": "kind", "delimiter": ";;"}, "expected one character"),
        (TABLE, {"target": "kind", "encoding": "utf-9"}, "unknown encoding 'utf-9'"),
        (TABLE, {"target": "kind", "decimal": ":"}, "decimal"),
        (TABLE, {"target": "kind", "test_file": "none.csv"}, "there is no file none.csv"),
        (TABLE.replace(",", ";"), {"target": "kind"}, "one column, .*delimiter to ';'"),
        ("a\n1\n", {"target": "a"}, "there is one column, 'a'"),
        ("a,a,y\n1,2,3\n", {"target": "y"}, "two columns are named 'a'"),
        ("a,,y\n1,2,3\n", {"target": "y"}, "column 2 of the first line has no name"),
        ("a,y\n1,2\n1,2,3\n", {"target": "y"}, r"Row #\d: Expected 2 columns, got 3"),
        ("a,y\n1,2\n1\n", {"target": "y"}, "Expected 2 columns, got 1"),
        ("a,y\n", {"target": "y"}, "no examples"),
        ("", {"target": "y"}, "is empty"),
        (TABLE.replace("blue", "grün").encode("latin-1"), {"target": "kind"}, "encoding, as in"),
        ("a,y\n" + "1,\n2,1\n" * 9, {"target": "y"}, "target of example 0 is missing"),
        ("a,y\n" + "1,\n2,1.5\n3,2.5\n" * 9, {"target": "y"}, "9 of 27 targets are missing"),
        ("a,y\n" + ",1\n,2\n" * 9, {"target": "y"}, "column 'a' is empty"),
        ("a,y\n" + "1,yes\n" * 9, {"target": "y"}, "all training targets are"),
        ("a,y\n" + '"3,5",1\n"4,5",0\n' * 9, {"target": "y"}, "decimal commas"),
        (
            "a,y\n" + "1,x\n2,5\n" * 9,
            {"target": "a", "inputs": "y"},
            "9 of 18 cells, the first 'x'",
        ),
        (b"\x00\xff\x00" * 99, {"target": "y"}, "csv:"),
    ],
)
def test_a_table_that_cannot_be_read_is_one_line(
    file: Path, text: str | bytes, arguments: dict[str, Any], says: str
) -> None:
    with pytest.raises(UsageError, match=says) as error:
        load(file, text, **arguments)
    assert "\n" not in str(error.value)


def test_what_is_no_file_is_said(tmp_path: Path) -> None:
    for scheme in ("csv", "parquet"):
        for path, says in ((tmp_path, "is a folder"), (tmp_path / "none", "there is no file")):
            with pytest.raises(UsageError, match=says):
                loading.load(f"{scheme}:{path}", data_args={"target": "y"}, test=0.2)
    with pytest.raises(UsageError, match="expected csv:WHAT"):
        loading.load("csv", data_args={"target": "y"}, test=0.2)


# Parquet


@pytest.fixture
def columns() -> dict[str, Any]:
    n = 40
    return {
        "number": pa.array([None if i == 3 else i / 2 for i in range(n)], pa.float32()),
        "whole": pa.array(range(n), pa.int64()),
        "flag": pa.array([i % 2 == 0 for i in range(n)]),
        "name": pa.array(["NA", "b", "c", "d"] * 10).dictionary_encode(),
        "signal": pa.array([[i, i + 1.5] for i in range(n)], pa.list_(pa.float32())),
        "ragged": pa.array([[1.0] * (1 + i % 3) for i in range(n)]),
        "day": pa.array(range(n), pa.date32()),
        "label": pa.array([i % 3 for i in range(n)], pa.int8()),
    }


def write(path: Path, columns: dict[str, Any]) -> str:
    parquet.write_table(pa.table(columns), path)
    return f"parquet:{path}"


def test_parquet_has_types(tmp_path: Path, columns: dict[str, Any]) -> None:
    name = write(tmp_path / "t.parquet", columns)

    def of(inputs: Any, **arguments: Any) -> Dataset:
        return loading.load(
            name, test=0.2, data_args={"target": "label", "inputs": inputs, **arguments}
        )

    assert of(["whole", "flag"]).input_shape == (2,)
    assert of(["whole", "name"]).input_shape == (5,)
    assert of("signal").input_shape == (2,)
    assert of("number", missing="mean").input_shape == (1,)
    for inputs, says in (
        ("number", "1 missing cells of 40, the first in row 4"),
        ("ragged", "holds lists of 1 to 3 entries"),
        ("day", "of type date32"),
        (["signal", "whole"], "holds arrays and 'whole' does not"),
        (None, "ragged|date32"),
    ):
        with pytest.raises(UsageError, match=says):
            of(inputs)


def test_targets_of_parquet(tmp_path: Path, columns: dict[str, Any]) -> None:
    name = write(tmp_path / "t.parquet", columns)

    def of(target: Any, **arguments: Any) -> Dataset:
        arguments = {"target": target, "inputs": "flag", **arguments}
        return loading.load(name, test=0.2, data_args=arguments)

    assert of("label").classes == 3
    assert of("label", types={"label": "number"}).targets.floating
    assert of("name").targets.names == ("NA", "b", "c", "d")
    with pytest.raises(UsageError, match="1 of 40 targets are missing"):
        of("number")


def test_what_is_no_parquet_is_said(tmp_path: Path) -> None:
    (tmp_path / "t.parquet").write_text("a,y\n1,2\n")
    with pytest.raises(UsageError, match="expected a Parquet file"):
        loading.load(f"parquet:{tmp_path / 't.parquet'}", data_args={"target": "y"}, test=0.2)
