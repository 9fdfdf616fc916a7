"""StoreFolder: only a store is opened, corrupt files are quarantined, processes share it."""

import logging
import os
import threading
from pathlib import Path

import pytest

from ltx import UsageError
from ltx.store import atomic_files
from ltx.store.folder import StoreFolder


def damage(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[-3] ^= 1
    path.write_bytes(content)


def test_a_file_is_no_store(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for path in (tmp_path / "file", tmp_path / "file" / "below"):
        with pytest.raises(UsageError, match="--store"):
            StoreFolder(path)


def test_a_folder_with_other_things_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("x")
    with pytest.raises(UsageError, match="other things"):
        StoreFolder(tmp_path)
    assert os.listdir(tmp_path) == ["thesis.tex"]


def test_without_create_a_store_must_be_there(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no store there"):
        StoreFolder(tmp_path / "none", create=False)
    assert os.listdir(tmp_path) == []


def test_a_newer_format_is_refused(tmp_path: Path) -> None:
    StoreFolder(tmp_path)
    atomic_files.write_json(tmp_path / "ltx-store.json", {"format": 2})
    with pytest.raises(UsageError, match="upgrade ltx"):
        StoreFolder(tmp_path)


def test_a_damaged_mark_is_written_anew(tmp_path: Path) -> None:
    path = StoreFolder(tmp_path).file("trials", "x")
    atomic_files.write_json(path, {"a": 1})
    damage(tmp_path / "ltx-store.json")
    assert StoreFolder(tmp_path).files("trials") == [path]
    assert atomic_files.read_json(tmp_path / "ltx-store.json") == {"format": 1}


def test_a_store_whose_maker_was_killed_at_once_can_be_made(tmp_path: Path) -> None:
    (tmp_path / "locks").mkdir()
    (tmp_path / ".ltx-store.json.0a1b2c3d4e5f.tmp").write_text('{"form')
    assert StoreFolder(tmp_path).files("tickets") == []
    assert atomic_files.read_json(tmp_path / "ltx-store.json") == {"format": 1}


def test_many_may_make_one_store_at_once(tmp_path: Path) -> None:
    errors: list[Exception] = []

    def make(path: Path, gate: threading.Barrier) -> None:
        gate.wait()
        try:
            StoreFolder(path)
        except Exception as error:  # a thread's error would otherwise only be printed
            errors.append(error)

    for number in range(30):
        gate = threading.Barrier(4)
        makers = [
            threading.Thread(target=make, args=(tmp_path / str(number), gate)) for _ in range(4)
        ]
        for maker in makers:
            maker.start()
        for maker in makers:
            maker.join()
    assert errors == []


def test_damaged_files_are_named_and_those_gone_passed_over(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder = StoreFolder(tmp_path)
    whole, damaged, gone = (folder.file("trials", id) for id in "abc")
    for path in (whole, damaged):
        atomic_files.write_json(path, {"id": path.stem})
    damage(damaged)
    with caplog.at_level(logging.ERROR):
        assert list(folder.read_all([gone, damaged, whole], atomic_files.read_json)) == [
            (whole, {"id": "a"})
        ]
    assert [record.message.count(str(damaged)) for record in caplog.records] == [1]
    assert folder.read_valid(damaged, atomic_files.read_json) is None
    assert folder.files("trials") == [whole]
    assert len(os.listdir(tmp_path / "damaged")) == 1
