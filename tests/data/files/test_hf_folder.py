"""Hugging Face's folders: Arrow streams with the names of classes in their metadata."""

import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from ltx.core.errors import UsageError
from ltx.data import loading

NAMES = ["neg", "pos"]


def write(folder: Path, rows: int = 40, files: int = 2, **state: Any) -> Path:
    """A split as `save_to_disk` of datasets 5.2 writes it."""
    folder.mkdir(parents=True)
    features = {
        "text": {"dtype": "string", "_type": "Value"},
        "label": {"names": NAMES, "_type": "ClassLabel"},
    }
    metadata = {"huggingface": json.dumps({"info": {"features": features}})}
    table = pa.table(
        {
            "text": [f"word {i} of {i % 5}" for i in range(rows)],
            "label": pa.array([i % 2 for i in range(rows)], pa.int64()),
            "wave": pa.array([[float(i), 1.0] for i in range(rows)], pa.list_(pa.float32(), 2)),
        }
    ).replace_schema_metadata(metadata)
    names = [f"data-{n:05}-of-{files:05}.arrow" for n in range(files)]
    for n, name in enumerate(names):
        part = table.slice(n * rows // files, rows // files)
        with (
            pa.OSFile(str(folder / name), "wb") as sink,
            pa.ipc.new_stream(sink, table.schema) as stream,
        ):
            stream.write_table(part)
    content = {"_data_files": [{"filename": name} for name in names], **state}
    (folder / "state.json").write_text(json.dumps(content))
    return folder


def both(root: Path) -> Path:
    write(root / "train")
    write(root / "test", rows=10, files=1)
    (root / "dataset_dict.json").write_text(json.dumps({"splits": ["train", "test"]}))
    return root


def test_one_split_of_several_files(tmp_path: Path) -> None:
    folder = write(tmp_path / "set")
    made = loading.load(f"hf:{folder}", test=0.2, data_args={"target": "label", "inputs": "text"})
    assert made.targets.names == ("neg", "pos")
    assert made.targets.classes == 2
    assert len(made.train) + len(made.validation) == 32
    waves = loading.load(f"hf:{folder}", test=0.2, data_args={"target": "label", "inputs": "wave"})
    assert waves.input_shape == (2,)


def test_a_dictionary_of_splits_has_its_own_test(tmp_path: Path) -> None:
    name, args = f"hf:{both(tmp_path)}", {"target": "label", "inputs": "text"}
    assert len(loading.load(name, data_args=args).test) == 10
    with pytest.raises(UsageError, match=r"unknown split .*did you mean train"):
        loading.load(name, data_args={**args, "split": "trian"})
    with pytest.raises(UsageError, match="no test split"):
        loading.load(name, data_args={**args, "test_split": "validation"})


def test_a_label_that_is_missing_is_counted(tmp_path: Path) -> None:
    folder = write(tmp_path / "set", files=1)
    with pa.OSFile(str(folder / "data-00000-of-00001.arrow")) as file:
        table = pa.ipc.open_stream(file).read_all()
    labels = pa.array([-1, None, *[0, 1] * 19], pa.int64())
    table = table.set_column(1, "label", labels)
    with (
        pa.OSFile(str(folder / "data-00000-of-00001.arrow"), "wb") as sink,
        pa.ipc.new_stream(sink, table.schema) as stream,
    ):
        stream.write_table(table)
    with pytest.raises(UsageError, match="'label' is missing in 2 of 40 rows, the first in row 1"):
        loading.load(f"hf:{folder}", test=0.2, data_args={"target": "label", "inputs": "text"})


def test_what_is_no_such_folder_is_said(tmp_path: Path) -> None:
    def refused(folder: Path, says: str) -> None:
        with pytest.raises(UsageError, match=says) as error:
            loading.load(f"hf:{folder}", test=0.2, data_args={"target": "label"})
        assert "\n" not in str(error.value)

    refused(tmp_path / "none", "is no folder")
    refused(tmp_path, "has neither")
    refused(write(tmp_path / "rows", _indices_data_files=[{"filename": "x"}]), "flatten_indices")
    spoilt = write(tmp_path / "spoilt")
    next(spoilt.glob("*.arrow")).write_bytes(b"nothing")
    refused(spoilt, "is no Arrow stream")
    (spoilt / "state.json").write_text("{")
    refused(spoilt, "cannot be read")
    refused(write(tmp_path / "empty", rows=0), "no examples")
