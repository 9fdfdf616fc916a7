"""Readers: forged and misplaced files are refused in one line, whatever their digest says."""

import dataclasses
import functools
import json
import logging
import math
import os
import random
import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from ltx_plugins.early_rewind import EarlyRewind
from ltx_plugins.imp import IMP

from ltx import Mask, State, Store, Ticket, UsageError
from ltx.core.errors import CorruptError
from ltx.core.objectives.regression import Regression
from ltx.store import atomic_files, manifest, readers
from ltx.store.memo import MemoLab
from ltx.study.record import StudyRecord
from ltx.testing import FakeLab

ROOT = Path(__file__).parents[2]
sys.path.append(str(ROOT / "tools"))
import fuzz_store  # noqa: E402


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return fuzz_store.make(tmp_path_factory.mktemp("made") / "store").path


@pytest.fixture
def store(made: Path, tmp_path: Path) -> Store:
    shutil.copytree(made, tmp_path / "store")
    return Store(tmp_path / "store", create=False)


def last_ticket(store: Store) -> Path:
    return store.path / "tickets" / f"{store.manifests()[-1]['id']}.safetensors"


def first(store: Store, pattern: str) -> Path:
    return min(store.path.glob(pattern))


def rewritten(path: Path, change: Callable[[dict, dict], object]) -> None:
    """Change the arrays and the header, or the document, of a file; its digest is right again."""
    if path.suffix == ".json":
        document = atomic_files.read_json(path)
        change({}, document)
        atomic_files.write_json(path, document)
        return
    arrays, header = atomic_files.read_arrays(path)
    arrays = {name: array.copy() for name, array in arrays.items()}
    change(arrays, header)
    atomic_files.write_arrays(path, arrays, header)


def invert(arrays: dict, header: dict) -> None:
    name = max(arrays)
    arrays[name] = ~arrays[name]


def setting(key: str, value: object) -> Callable[[dict, dict], object]:
    *where, last = key.split(".")
    return lambda _, header: functools.reduce(dict.__getitem__, where, header).update({last: value})


FORGED = {
    "mask bits inverted": (invert, "density|id: expected"),
    "a mask is missing": (lambda arrays, _: arrays.popitem(), "weights: expected"),
    "a mask is cut": (lambda a, _: a.update({max(a): a[max(a)][:-1]}), "packed mask of"),
    "a mask of another shape": (
        lambda _, h: h["shapes"].update({max(h["shapes"]): [1]}),
        "mask of",
    ),
    "a huge shape": (lambda _, h: h["shapes"].update({max(h["shapes"]): [10**15]}), "mask of"),
    "level -5": (setting("level", -5), "level: expected int >= 0, got -5"),
    "another level": (setting("level", 7), "id: expected"),
    "level of text": (setting("level", "1"), "level: expected int, got str"),
    "level of truth": (setting("level", True), "level: expected int, got bool"),
    "another seed": (setting("seed", 3), "id: expected"),
    "another task": (setting("task_id", "0" * 16), "id: expected"),
    "another parent": (setting("parent", "0" * 16), "id: expected"),
    "another recipe": (setting("recipe", {"is": "Recipe", "length": "5it"}), "id: expected"),
    "no recipe": (setting("recipe", {"is": "Recipe", "length": "-x"}), "-x"),
    "another density": (setting("density", 0.5), "density: expected"),
    "density NaN": (setting("density", math.nan), "density: expected .* got nan"),
    "a state elsewhere": (setting("state", "../../x"), "state: expected .* got '../../x'"),
    "another state": (setting("state", "0" * 32), "id: expected"),
    "cost of text": (setting("cost.steps", "many"), "cost.steps: expected int"),
    "no note": (setting("note", None), "note: expected object"),
    "no level": (lambda _, header: header.pop("level"), "missing required field"),
    "another kind": (setting("kind", "state"), "kind"),
}


@pytest.mark.parametrize("name", FORGED)
def test_a_forged_ticket_is_refused_in_every_way_to_read_it(
    store: Store, name: str, caplog: pytest.LogCaptureFixture
) -> None:
    change, text = FORGED[name]
    path = last_ticket(store)
    rewritten(path, change)
    for read in (store.ticket, store.manifest):
        with pytest.raises(CorruptError, match=text) as info:
            read(path.stem)
        assert str(path) in str(info.value)
        assert "\n" not in str(info.value)
    assert store.packed(path.stem) is None
    with caplog.at_level(logging.ERROR):
        assert path.stem not in {one["id"] for one in store.manifests()}
        assert store.manifests_by_id([path.stem]) == {}
    assert str(path) in caplog.text
    assert store.find_manifest(path.stem, "twin") is None  # it is put aside
    assert not path.exists()


def test_bits_beyond_a_mask_are_refused(tmp_path: Path) -> None:
    # The mask's id does not cover them, but densities count them.
    store, lab = Store(tmp_path), FakeLab()
    mask = Mask({"w": np.array([True, False, True])})
    ticket = Ticket(mask, State({"w": np.ones(3)}), level=0, task="t", seed=0)
    store.put_ticket(ticket, lab.task, IMP(), "imp")
    assert store.ticket(ticket.id) == ticket
    path = tmp_path / "tickets" / f"{ticket.id}.safetensors"
    rewritten(path, lambda arrays, _: np.copyto(arrays["w"], np.uint8(0b10100001)))
    with pytest.raises(CorruptError, match="mask of w: expected 3 bits, got more"):
        store.manifest(ticket.id)


def test_a_sound_file_under_another_name_is_refused(store: Store) -> None:
    for pattern, read in (
        ("tickets/*", readers.ticket),
        ("states/*", readers.state),
        ("trials/*", readers.trial),
        ("stability/*", readers.instability),
        ("studies/*", readers.study),
        ("found/*", readers.found),
    ):
        path = first(store, pattern)
        read(path)
        digits = "0" * 16 if path.stem[0] != "0" else "1" * 16
        other = path.with_name(digits + path.name[16:])
        os.replace(path, other)
        with pytest.raises(CorruptError, match=f"{other}: id: expected"):
            read(other)


def scale(arrays: dict, _: dict) -> None:
    arrays["weights/hidden/kernel"] *= 2


def spoil(arrays: dict, _: dict) -> None:
    arrays["weights/hidden/kernel"].reshape(-1)[0] = math.nan


@pytest.mark.parametrize(
    ("change", "text"),
    [
        (scale, "id: expected"),
        (spoil, "weights/hidden/kernel': expected finite"),
        (lambda arrays, _: arrays.pop("weights/hidden/kernel"), "id: expected"),
        (lambda arrays, _: arrays.pop("step"), "step: expected an int64"),
        (lambda arrays, _: arrays.update(step=np.int64(-1).reshape(())), "step: expected an int64"),
        (
            lambda arrays, _: arrays.update(step=np.float64(1).reshape(())),
            "step: expected an int64",
        ),
        (lambda arrays, _: arrays.update(other=np.zeros(1)), "'other': expected a name"),
        (setting("id", "x"), "id: expected"),
    ],
)
def test_a_forged_state_is_refused(store: Store, change: Callable, text: str) -> None:
    path = store.path / "states" / f"{store.manifests()[0]['state']}.safetensors"
    rewritten(path, change)
    with pytest.raises(CorruptError, match=text):
        store.ticket(store.manifests()[0]["id"])


@pytest.mark.parametrize(
    ("key", "value"),
    [
        *(("test.accuracy", bad) for bad in ("high", math.nan, 1.5, -0.1, None, True)),
        *(("history.accuracy", bad) for bad in ([math.nan] * 5, [0.5], "text", [[]])),
        *(("history.steps", bad) for bad in ([3, 2, 1, 4, 5], [0.5], [-1])),
        *(("validation.loss", bad) for bad in (math.nan, "low")),
        *(("level", -1), ("density", 2), ("ticket", "../x"), ("found_for.steps", -1)),
    ],
)
def test_a_forged_trial_is_refused(store: Store, key: str, value: object) -> None:
    path = first(store, "trials/*")
    rewritten(path, setting(key, value))
    with pytest.raises(CorruptError, match=f"{path}: {key.partition('.')[0]}.*expected"):
        readers.trial(path)
    assert path.stem not in {trial.id for trial in store.trials()}
    assert store.trial(path.stem) is None


@pytest.mark.parametrize(
    ("key", "value"),
    [
        *(("errors", bad) for bad in ([0.1], [2.0] * 3, "text", [math.nan] * 3)),
        *(("losses", bad) for bad in ([0.1], "text", [math.nan] * 3)),
        *(("alphas", []), ("to_order.angle", 200), ("to_order.distance", math.inf), ("split", "x")),
    ],
)
def test_a_forged_instability_is_refused(store: Store, key: str, value: object) -> None:
    path = first(store, "stability/*")
    rewritten(path, setting(key, value))
    with pytest.raises(CorruptError, match=key.partition(".")[0]):
        readers.instability(path)


def test_errors_of_a_metric_that_is_no_share_may_exceed_one(store: Store) -> None:
    path = first(store, "stability/*")
    points = len(readers.instability(path).errors)
    rewritten(path, setting("metric", dataclasses.asdict(Regression.metric)))
    rewritten(path, setting("errors", [54.0] * points))
    assert readers.instability(path).errors == (54.0,) * points


@pytest.mark.parametrize(
    ("key", "value", "text"),
    [
        ("trials", [{"trial": "../../x"}], "trials"),
        ("stability", {"points": -1}, "Stability.points"),
        ("stability", {"colour": 1}, "colour"),
        ("finders", ["imp"], "finders: expected object"),
        ("failures", [{"error": 5}], "failures"),
        ("seeds", ["x"], r"seeds\[0\]: expected int, got str"),
    ],
)
def test_a_forged_study_is_refused(store: Store, key: str, value: Any, text: str) -> None:
    path = first(store, "studies/*")
    rewritten(path, setting(key, value))
    with pytest.raises(CorruptError, match=text):
        StudyRecord.read(store)


def test_a_record_without_its_settings_is_refused_by_the_page_only(store: Store) -> None:
    store.put_study("old", {"id": "old", "command": "ltx run old"})
    assert "old" in {record["id"] for record in store.studies()}
    with pytest.raises(CorruptError, match="its record has no 'config'"):
        StudyRecord.read(store, "old")


def test_a_finders_manifest_has_to_be_of_the_ticket(
    store: Store, caplog: pytest.LogCaptureFixture
) -> None:
    id = store.manifests()[-1]["id"]
    twin = next(p for p in store.path.glob(f"found/{id}*") if readers.found(p)["finder"] == "twin")
    assert {one["finder"] for one in store.manifests() if one["id"] == id} == {"imp", "twin"}
    rewritten(twin, setting("level", 9))
    with caplog.at_level(logging.ERROR):
        assert {one["finder"] for one in store.manifests() if one["id"] == id} == {"imp"}
    assert f"{twin}: level: expected 1, got 9" in caplog.text
    assert store.find_manifest(id, "twin") is None


def trained(store: Store, length: str = "20it", seed: int = 0) -> tuple[MemoLab, Ticket, Path]:
    lab = MemoLab(FakeLab(seed=seed), store)
    ticket = Ticket.of(lab, lab.dense(), lab.init())
    lab.train(ticket.state, ticket.mask, length)
    key = lab.key(ticket.state, ticket.mask, "order")
    return lab, ticket, next((store.path / "memo" / key).glob("20.safetensors"))


def test_a_memo_entry_of_another_training_is_not_taken(tmp_path: Path) -> None:
    store = Store(tmp_path)
    lab, ticket, path = trained(store)
    expected = lab.train(ticket.state, ticket.mask, "20it").state
    _, _, other = trained(store, seed=1)
    shutil.copy(other, path)
    assert lab.train(ticket.state, ticket.mask, "20it").state == expected
    assert len(os.listdir(tmp_path / "damaged")) == 1


@pytest.mark.parametrize(
    ("change", "text"),
    [
        (lambda arrays, _: arrays.pop("weights/hidden/kernel"), "shapes of weights"),
        (spoil, "expected finite"),
        (lambda arrays, _: arrays.update(step=np.int64(19).reshape(())), "step: expected '20'"),
        (setting("history.accuracy", [math.nan]), "history.accuracy"),
        (setting("history.loss", []), "history.loss: points"),
        (setting("history", {"steps": [30], "loss": [1.0], "accuracy": [0.1]}), "none after 20"),
        (setting("seconds", "long"), "seconds: expected"),
        (setting("key", "0" * 16), "key: expected"),
    ],
)
def test_a_forged_memo_entry_is_trained_again(tmp_path: Path, change: Callable, text: str) -> None:
    store = Store(tmp_path)
    lab, ticket, path = trained(store)
    expected = lab.train(ticket.state, ticket.mask, "20it").state
    rewritten(path, change)
    with pytest.raises(CorruptError, match=text):
        readers.memo_run(path, ticket.state)
    assert lab.train(ticket.state, ticket.mask, "20it").state == expected
    assert len(os.listdir(tmp_path / "damaged")) == 1


def test_a_memo_entry_of_an_older_version_is_read(tmp_path: Path) -> None:
    store = Store(tmp_path)
    lab, ticket, path = trained(store)
    rewritten(path, lambda _, header: (header.pop("key"), header.pop("seconds")))
    run = lab.cached_run(path.parent.name, 20, start=ticket.state)
    assert run is not None
    assert math.isnan(run.seconds)
    lab.once(["x"], lambda: [1.0, 2.0])
    numbers = next(store.path.glob("memo/*/numbers.json"))
    rewritten(numbers, lambda _, document: (document.pop("key"), document.pop("seconds")))
    assert readers.memo_numbers(numbers).values == [1.0, 2.0]


def test_files_that_are_no_states_are_left_out_of_the_memo(tmp_path: Path) -> None:
    store = Store(tmp_path)
    _, ticket, path = trained(store)
    for name in ("12abc.safetensors", "9" * 5000, "-3.safetensors", "0x1.safetensors"):
        if len(name) < 200:
            path.with_name(name).write_bytes(b"")
    assert store.memo.run(path.parent.name, 19) is None
    assert store.memo.run(path.parent.name, 20, start=ticket.state) is not None


@pytest.mark.parametrize("id", ["../../x", "/etc/passwd", "..", "a\0b", "x" * 5000, ".hidden"])
def test_an_id_never_leads_out_of_the_store(tmp_path: Path, id: str) -> None:
    store = Store(tmp_path / "store")
    (tmp_path / "x.safetensors").write_bytes(b"")
    for read in (store.ticket, store.manifest, store.packed, store.trial, store.instability):
        with pytest.raises(UsageError):
            read(id)


def test_the_log_skips_lines_of_wrong_types(store: Store) -> None:
    known = len(list(store.events()))
    stamp = {"time": 1.0, "pid": 1, "host": "h"}
    lines = [
        json.dumps({**stamp, "study": "s", "cell": ["a", 1, 0], "is": "begun"}),
        json.dumps({**stamp, "trained": "k", "from": "0", "to": 1, "seconds": 1}),
        json.dumps({**stamp, "host": "h" * 300, "study": "s"}),
        json.dumps({**stamp, "time": math.inf, "study": "s"}),
        *('["time"]', "[" * 100_000, "9" * 5000, "null", "5"),
    ]
    with open(store.path / "log.jsonl", "ab") as file:
        file.write("\n".join(lines).encode() + b"\n\xff\xfe\n")
    assert len(list(store.events())) == known


def test_the_id_of_a_manifest_is_that_of_the_ticket(tmp_path: Path) -> None:
    store = Store(tmp_path)
    for finder in (IMP(levels=1), EarlyRewind(levels=1, rewind="10it", mode="fine_tune")):
        for ticket in finder.find(FakeLab()):
            store.put_ticket(ticket, FakeLab().task, finder, "label")
            header, bits = readers.ticket(store.path / "tickets" / f"{ticket.id}.safetensors")
            mask_id = manifest.mask_id(header, bits, ticket.id.encode())
            assert mask_id == ticket.mask.id
            assert manifest.id_of(header, mask_id) == ticket.id


@pytest.fixture(scope="module")
def fuzzed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[int], list[str]]]:
    store = fuzz_store.make(tmp_path_factory.mktemp("fuzz") / "store")
    reader, files = fuzz_store.Reader(store), fuzz_store.contents(store)
    logging.disable(logging.CRITICAL)
    yield lambda seed: list(fuzz_store.try_one(reader, random.Random(seed), files))
    logging.disable(logging.NOTSET)


@settings(max_examples=150)
@given(seed=st.integers(0, 1 << 32))
def test_a_mutated_file_gives_no_traceback_and_no_wrong_ticket(
    fuzzed: Callable[[int], list[str]], seed: int
) -> None:
    assert fuzzed(seed) == []
