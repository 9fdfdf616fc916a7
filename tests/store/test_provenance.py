"""Provenance: who found a ticket is stored by label and settings; older stores are read."""

import dataclasses
import logging
import os
import shutil
from pathlib import Path

import pytest
from ltx_plugins.imp import IMP

from ltx import Cost, Store, Ticket, UsageError
from ltx.core import identity
from ltx.testing import FakeLab


def a_ticket(**changes: object) -> Ticket:
    lab = FakeLab()
    return dataclasses.replace(Ticket.of(lab, lab.dense(), lab.init()), **changes)  # type: ignore[arg-type]


def put(store: Store, ticket: Ticket, name: str = "imp") -> str:
    return store.put_ticket(ticket, FakeLab().task, IMP(), name)


def test_no_label_of_several_that_found_one_ticket_is_lost(tmp_path: Path) -> None:
    store = Store(tmp_path)
    for label, steps in (("b", 5), ("a", 7), ("b", 5)):
        ticket = a_ticket(cost=Cost(steps=steps), note={"by": label})
        put(store, ticket, label)
    assert [(m["id"], m["finder"]) for m in store.manifests()] == [
        (ticket.id, "a"),
        (ticket.id, "b"),
    ]
    assert len(os.listdir(tmp_path / "tickets")) == 1
    assert store.manifest(ticket.id)["finder"] == "b"
    assert store.manifest(ticket.id)["finders"] == ["a", "b"]
    for label, steps in (("a", 7), ("b", 5)):
        [found] = store.tickets(finder=label)
        assert (found.id, found.cost.steps, found.note) == (ticket.id, steps, {"by": label})
    assert [found.id for found in store.tickets(seed=0)] == [ticket.id]
    assert store.tickets(finder="c") == []
    with pytest.raises(UsageError, match="'c' did not find it; it is of a, b"):
        store.ticket(ticket.id, "c")


def test_a_store_of_before_labels_were_kept_is_read_and_added_to(tmp_path: Path) -> None:
    store, ticket = Store(tmp_path), a_ticket()
    put(store, ticket, "old")
    shutil.rmtree(tmp_path / "found")
    assert [m["finder"] for m in store.manifests()] == ["old"]
    assert store.tickets(finder="old") == [ticket]
    assert store.manifests_by_id([ticket.id]) == {ticket.id: store.manifest(ticket.id)}
    put(store, ticket, "new")
    assert [m["finder"] for m in store.manifests()] == ["new", "old"]


def test_what_a_finder_left_of_a_ticket_is_found_by_label_and_settings(tmp_path: Path) -> None:
    store = Store(tmp_path)
    finders = [IMP(levels=1), IMP(levels=2), IMP(levels=1)]
    for finder in finders:
        ticket = a_ticket(note={"levels": finder.levels})
        store.put_ticket(ticket, FakeLab().task, finder, "imp")
    for finder in finders:
        found = store.find_manifest(ticket.id, "imp", identity.describe(finder))
        assert found is not None
        assert found["note"] == {"levels": finder.levels}
    for label, settings in (("imp", None), ("imp", {"is": "other"}), ("other", None)):
        found = store.find_manifest(ticket.id, label, settings)
        assert (found is not None) == ((label, settings) == ("imp", None))
    assert store.find_manifest("0" * 16, "imp") is None
    assert [(m["finder"], m["note"]) for m in store.manifests()] == [("imp", {"levels": 1})]
    shutil.rmtree(tmp_path / "found")  # as in an older store
    assert store.find_manifest(ticket.id, "imp", identity.describe(finders[0])) is not None
    assert store.find_manifest(ticket.id, "imp", identity.describe(finders[1])) is None


def test_a_damaged_label_is_noticed_and_made_anew(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    store, ticket = Store(tmp_path), a_ticket()
    put(store, ticket, "one")
    before = set((tmp_path / "found").iterdir())
    put(store, ticket, "two")
    [path] = set((tmp_path / "found").iterdir()) - before
    content = path.read_bytes()
    path.write_bytes(content[:-3])
    with caplog.at_level(logging.ERROR):
        assert [m["finder"] for m in store.manifests()] == ["one"]
    assert str(path) in caplog.text
    put(store, ticket, "two")
    assert [m["finder"] for m in store.manifests()] == ["one", "two"]


def test_a_label_alone_is_no_ticket(tmp_path: Path) -> None:
    store, ticket = Store(tmp_path), a_ticket()
    put(store, ticket)
    (tmp_path / "tickets" / f"{ticket.id}.safetensors").unlink()
    assert store.manifests() == []
    with pytest.raises(UsageError, match="no tickets"):
        store.ticket(ticket.id)
    put(store, ticket, "other")
    assert [m["finder"] for m in store.manifests()] == ["imp", "other"]
