"""Store: what goes in comes out byte for byte, damage is noticed, and processes share it."""

import dataclasses
import json
import logging
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from ltx_plugins.imp import IMP

from ltx import History, Mask, Metrics, State, Store, Ticket, Trial, UsageError
from ltx.core.errors import CorruptError
from ltx.store import atomic_files
from ltx.testing import RECIPE, FakeLab


def a_ticket(seed: int = 0, **changes: object) -> Ticket:
    lab = FakeLab(seed=seed)
    state = lab.train(lab.init(), lab.dense(), "5it").state
    ticket = Ticket.of(lab, lab.dense().shuffled(lab.rng("x")), state)
    return dataclasses.replace(ticket, **changes)  # type: ignore[arg-type]


def half() -> Mask:
    rng = np.random.default_rng(0)
    return Mask({w.name: rng.random(w.shape) < 0.5 for w in FakeLab().prunable})


def put(store: Store, ticket: Ticket, name: str = "imp") -> str:
    return store.put_ticket(ticket, FakeLab().task, IMP(), name)


def a_trial() -> Trial:
    return Trial.run(FakeLab(sealed=False), a_ticket())


def damage(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[-3] ^= 1
    path.write_bytes(content)


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"mask": half()},
        {"recipe": dataclasses.replace(RECIPE, schedule="step", drops=("50%", "75%"))},
        {
            "note": {"found_at": 3, "name": "ä", "curve": [1.5, None, True]},
            "parent": "abc",
            "level": 4,
        },
        {
            "state": State(
                {"w": np.zeros((0, 3), np.float16)}, {"m": np.array(3)}, {"s:": np.ones(1)}, 7
            )
        },
    ],
)
def test_a_ticket_comes_back_byte_for_byte(tmp_path: Path, changes: dict) -> None:
    ticket = a_ticket(**changes)
    put(Store(tmp_path), ticket)
    back = Store(tmp_path, create=False).ticket(ticket.id)
    assert back == ticket
    assert (back.id, back.mask.id, back.state.id) == (ticket.id, ticket.mask.id, ticket.state.id)
    assert back.note == ticket.note
    assert back.cost.steps == 5


def test_numbers_of_numpy_may_be_noted(tmp_path: Path) -> None:
    store = Store(tmp_path)
    ticket = a_ticket(note={"share": np.float32(0.5), "count": np.int64(3)})
    put(store, ticket)
    assert store.ticket(ticket.id).note == {"share": 0.5, "count": 3}


def test_tickets_with_one_state_store_it_once(tmp_path: Path) -> None:
    store = Store(tmp_path)
    for level in range(3):
        put(store, a_ticket(level=level))
    assert len(os.listdir(tmp_path / "tickets")) == 3
    assert len(os.listdir(tmp_path / "states")) == 1


def test_what_is_there_is_not_written_again(tmp_path: Path) -> None:
    store = Store(tmp_path)
    put(store, a_ticket())
    before = {p: p.stat().st_mtime_ns for p in tmp_path.rglob("*.safetensors")}
    put(store, a_ticket())
    assert {p: p.stat().st_mtime_ns for p in tmp_path.rglob("*.safetensors")} == before


def test_a_manifest_says_where_a_ticket_comes_from(tmp_path: Path) -> None:
    store = Store(tmp_path)
    manifest = store.manifest(put(store, a_ticket(note={"k": 1}), "my label"))
    assert manifest["finder"] == "my label"
    assert manifest["finder_settings"] == {"is": "ltx_plugins.imp:IMP"}
    assert (manifest["data"], manifest["model"], manifest["seed"]) == ("fake", "fake", 0)
    assert manifest["versions"]["numpy"] == np.__version__
    assert {"ltx", "tensorflow"} <= manifest["versions"].keys()
    assert manifest["cost"]["steps"] == 5
    json.dumps(manifest)


def test_tickets_are_listed_in_order_and_chosen_by_value(tmp_path: Path) -> None:
    store = Store(tmp_path)
    for seed, level in ((1, 1), (0, 1), (1, 0), (0, 0)):
        put(store, a_ticket(seed, level=level))
    assert [(m["seed"], m["level"]) for m in store.manifests()] == [(0, 0), (0, 1), (1, 0), (1, 1)]
    assert {t.seed for t in store.tickets(seed=1)} == {1}
    assert len(store.tickets(data="fake", level=0)) == 2
    assert store.tickets(data="other") == []


def test_an_id_may_be_cut_short_while_it_is_clear(tmp_path: Path) -> None:
    store = Store(tmp_path)
    ids = [put(store, a_ticket(level=level)) for level in range(20)]
    assert store.ticket(ids[0][:12]).id == ids[0]
    shared = next(i[0] for i in ids if sum(j[0] == i[0] for j in ids) > 1)
    with pytest.raises(UsageError, match=f"ticket '{shared}': [0-9]+ tickets"):
        store.ticket(shared)
    for absent in ("xyz", ""):
        with pytest.raises(UsageError, match="ltx tickets list"):
            store.ticket(absent)


def test_a_damaged_ticket_is_noticed_and_made_anew(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    store, ticket = Store(tmp_path), a_ticket()
    path = tmp_path / "tickets" / f"{put(store, ticket)}.safetensors"
    damage(path)
    with pytest.raises(CorruptError, match=str(path)):
        store.ticket(ticket.id)
    with caplog.at_level(logging.ERROR):
        assert store.manifests() == []
    assert str(path) in caplog.text
    put(store, ticket)
    assert store.ticket(ticket.id) == ticket
    assert len(os.listdir(tmp_path / "damaged")) == 1


def test_a_trial_without_an_accuracy_is_damaged(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    store, trial = Store(tmp_path), a_trial()
    store.put_trial(dataclasses.replace(trial, test=Metrics(0.5, float("nan"))))
    with caplog.at_level(logging.ERROR):
        assert store.trials() == []
    assert "test.accuracy: expected float >= 0.0, got nan" in caplog.text
    assert store.trial(trial.id) is None
    store.put_trial(trial)
    assert store.trial(trial.id) == trial
    document = trial.document()
    del document["history"]
    atomic_files.write_json(tmp_path / "trials" / f"{trial.id}.json", document)
    assert store.trial(trial.id) is None


def test_manifests_of_many_tickets_take_one_look_at_the_folder(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = Store(tmp_path)
    ids = [put(store, a_ticket(level=n), label) for n in range(4) for label in ("b", "a")]
    wanted = {id: store.manifest(id) for id in ids[:6]}
    asked = [*wanted, *wanted, ids[6], "not-there"]
    path = tmp_path / "tickets" / f"{ids[6]}.safetensors"
    damage(path)
    looks, listdir = [], os.listdir
    monkeypatch.setattr(os, "listdir", lambda folder: looks.append(folder) or listdir(folder))
    with caplog.at_level(logging.ERROR):
        found = store.manifests_by_id(asked)
    assert found == wanted
    assert all(one["finders"] == ["a", "b"] for one in found.values())
    assert looks == [tmp_path / "found"]
    assert str(path) in caplog.text


def test_a_damaged_state_is_noticed_and_made_anew(tmp_path: Path) -> None:
    store, ticket = Store(tmp_path), a_ticket()
    put(store, ticket)
    path = tmp_path / "states" / f"{ticket.state.id}.safetensors"
    damage(path)
    with pytest.raises(CorruptError, match=str(path)):
        store.ticket(ticket.id)
    put(store, ticket)
    assert store.ticket(ticket.id) == ticket
    path.unlink()
    with pytest.raises(CorruptError, match="state is missing"):
        store.ticket(ticket.id)


def test_a_trial_comes_back_and_a_damaged_one_is_put_aside(tmp_path: Path) -> None:
    store, trial = Store(tmp_path), a_trial()
    assert store.trial(trial.id) is None
    store.put_trial(trial)
    assert store.trial(trial.id) == trial
    assert store.trials() == [trial]
    damage(tmp_path / "trials" / f"{trial.id}.json")
    assert store.trials() == []
    assert store.trial(trial.id) is None
    assert not list((tmp_path / "trials").glob("*.json"))
    store.put_trial(trial)
    assert store.trial(trial.id) == trial
    assert store.trial(trial.id[:8]) is None


def test_numbers_that_json_lacks_survive(tmp_path: Path) -> None:
    store = Store(tmp_path)
    curve = History((1, 2), (float("inf"), 1e-300), (0.1, 1 / 3))
    trial = dataclasses.replace(a_trial(), history=curve, test=Metrics(float("inf"), 0.1))
    store.put_trial(trial)
    assert store.trial(trial.id) == trial


def test_a_study_record_replaces_the_older(tmp_path: Path) -> None:
    store = Store(tmp_path)
    store.put_study("x", {"done": False})
    path = store.put_study("x", {"done": True})
    assert atomic_files.read_json(path) == {"done": True}


WRITER = """
import sys
from ltx import Store
from ltx_plugins.imp import IMP
from ltx.testing import FakeLab
store, lab = Store(sys.argv[1]), FakeLab()
for ticket in IMP(levels=6).find(lab):
    store.put_ticket(ticket, lab.task, IMP(), sys.argv[2])
    assert store.ticket(ticket.id) == ticket
"""


def test_several_processes_may_write_the_same_tickets(tmp_path: Path) -> None:
    command = [sys.executable, "-c", WRITER, str(tmp_path / "store")]
    writers = [
        subprocess.Popen([*command, label], stderr=subprocess.PIPE, text=True)
        for label in ("imp", "twin", "imp")
    ]
    assert [writer.communicate()[1] for writer in writers] == [""] * 3
    store = Store(tmp_path / "store", create=False)
    assert [t.level for t in store.tickets()] == list(range(7))
    for label in ("imp", "twin"):
        assert [t.level for t in store.tickets(finder=label)] == list(range(7))
    assert len(store.manifests()) == 14
    assert not (store.path / "damaged").exists()
    assert not list(store.path.rglob("*.tmp"))


def test_a_manifest_tells_the_density_of_each_layer(tmp_path: Path) -> None:
    store = Store(tmp_path)
    ticket = list(IMP(levels=2).find(FakeLab()))[-1]
    store.put_ticket(ticket, FakeLab().task, IMP(), "imp")
    assert store.manifest(ticket.id)["densities"] == ticket.mask.densities()


def test_trials_are_found_by_their_ids(tmp_path: Path) -> None:
    store = Store(tmp_path)
    lab = FakeLab(sealed=False)
    made = [Trial.run(lab, ticket) for ticket in IMP(levels=2).find(FakeLab())]
    for trial in made:
        store.put_trial(trial)
    assert store.trials({made[1].id, "not there"}) == [made[1]]
    assert len(store.trials()) == len(made) == 3
