"""Cells: of two tickets of one cell and level the later supersedes the other, and says why."""

import dataclasses
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np
import pytest
from ltx_plugins.imp import IMP

from ltx import Finder, Lab, Mask, Store, Study, Task, Ticket
from ltx.core import environment
from ltx.study import loop
from ltx.study.record import StudyRecord
from ltx.testing import RECIPE, FakeLab

TASK = Task(data="fake", model="fake", recipe=RECIPE)
PACKAGE = __name__.partition(".")[0]
SAME_CODE = "same code: the finder is not deterministic, it draws from something outside lab"


class Code:
    """What the code of `Drawn` says at present."""

    draw = 0
    levels: tuple[int, ...] = (1, 2)


@dataclasses.dataclass(frozen=True)
class Drawn(Finder):
    """Its masks depend on what is not among its settings."""

    rate: float = 0.5

    def find(self, lab: Lab) -> Iterator[Ticket]:
        ticket = Ticket.of(lab, lab.dense(), lab.init())
        yield ticket
        for level in Code.levels:
            rng = lab.rng("mask", Code.draw, level)
            keep = {w.name: rng.random(w.shape) < self.rate for w in lab.prunable}
            yield Ticket.of(lab, Mask(keep), ticket.state, level=level, parent=ticket)


class Traced(FakeLab):
    """Has an origin, as labs of real models have."""

    now: Mapping[str, str] = {"model": "m1", "data": "d", "engine": "e"}

    @property
    def origin(self) -> Mapping[str, str]:
        return self.now


@pytest.fixture(autouse=True)
def code(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Code, "draw", 0)
    monkeypatch.setattr(Code, "levels", (1, 2))


def run(path: Path, seeds: int = 1, label: str = "mine") -> list[str]:
    """The ids of the tickets that a study finds, in a process of its own as far as stores go."""
    study = Study({label: Drawn()}, tasks=(TASK,), seeds=seeds)
    results = loop.run(study, lambda t, s, sealed: Traced(t, s, sealed=sealed), Store(path))
    return [row.trial.ticket for row in results]  # type: ignore[union-attr]


def marks(path: Path) -> dict[str, str | None]:
    return {m["id"]: m.get("superseded") for m in Store(path).manifests()}


def test_unchanged_code_supersedes_nothing_and_writes_nothing(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    first = run(tmp_path, seeds=2)
    found = {path: path.stat().st_mtime_ns for path in (tmp_path / "found").iterdir()}
    assert run(tmp_path, seeds=2) == first
    assert found == {path: path.stat().st_mtime_ns for path in (tmp_path / "found").iterdir()}
    assert set(marks(tmp_path).values()) == {None}
    assert "superseded" not in caplog.text


def test_a_finder_that_draws_from_elsewhere_is_named(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    dense, one, two = run(tmp_path)
    monkeypatch.setattr(Code, "draw", 1)
    same, other, third = run(tmp_path)
    assert same == dense
    assert {one, two}.isdisjoint({other, third})
    assert marks(tmp_path) == {
        **dict.fromkeys((dense, other, third)),
        one: f"by {other}: {SAME_CODE}, or another machine trained it",
        two: f"by {third}: {SAME_CODE}, or another machine trained it",
    }
    lines = [record.message for record in caplog.records if "superseded" in record.message]
    assert len(lines) == 2
    assert lines[0].startswith(
        f"mine on fake/fake, seed 0, level 1: ticket {one} is superseded by {other}: same code"
    )


def test_code_that_is_as_before_makes_its_tickets_current_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = run(tmp_path)
    monkeypatch.setattr(Code, "draw", 1)
    second = run(tmp_path)
    monkeypatch.setattr(Code, "draw", 0)
    assert run(tmp_path, label="a label is no part of it") == first
    current = {id for id, text in marks(tmp_path).items() if text is None}
    assert current == set(first)
    assert set(second) - current == set(second[1:])


def test_the_reason_is_the_code_that_changed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hashes = {PACKAGE: "sha256-1"}
    monkeypatch.setattr(environment, "package_hash", hashes.__getitem__)
    ids = [run(tmp_path)[1]]
    for change in (
        lambda: hashes.update({PACKAGE: "sha256-2"}),
        lambda: monkeypatch.setattr(Traced, "now", {**Traced.now, "model": "m2"}),
        lambda: monkeypatch.setattr("ltx.store.manifest.versions", lambda: {"numpy": "9"}),
        lambda: hashes.update({PACKAGE: environment.UNKNOWN}),
        lambda: None,
    ):
        change()
        monkeypatch.setattr(Code, "draw", Code.draw + 1)
        ids.append(run(tmp_path)[1])
    texts = [str(marks(tmp_path)[id]).partition(": ")[2] for id in ids[:-1]]
    assert texts[:2] == [
        f"the code of {PACKAGE} changed from sha256-1 to sha256-2",
        "the code of the model changed from m1 to m2",
    ]
    assert " changed from " in texts[2]
    assert texts[2].endswith(" to None") or "numpy changed" in texts[2]
    assert texts[3:] == [
        f"the code of {PACKAGE} changed from sha256-2 to unknown",
        f"unknown, as the code of {PACKAGE} cannot be read",
    ]


def test_a_level_that_is_not_found_any_more_is_superseded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = run(tmp_path)
    monkeypatch.setattr(Code, "levels", (1,))
    assert run(tmp_path) == first[:2]
    assert str(marks(tmp_path)[first[2]]).startswith("because no search finds it any more: same")
    assert marks(tmp_path)[first[1]] is None


def test_two_tickets_of_one_level_do_not_supersede_each_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    @dataclasses.dataclass(frozen=True)
    class Twice(Finder):
        def find(self, lab: Lab) -> Iterator[Ticket]:
            yield from (
                Ticket.of(lab, lab.dense(), lab.init(stream), level=0) for stream in ("a", "b")
            )

    study = Study({"twice": Twice()}, tasks=(TASK,), seeds=1)
    for _ in range(2):
        list(loop.run(study, lambda t, s, sealed: Traced(t, s, sealed=sealed), Store(tmp_path)))
        assert set(marks(tmp_path).values()) == {None}


def test_tickets_of_another_engine_or_data_set_stay(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = run(tmp_path)
    monkeypatch.setattr(Code, "draw", 1)
    monkeypatch.setattr(Traced, "now", {**Traced.now, "engine": "bfloat16"})
    assert run(tmp_path)[1:] != first[1:]
    assert set(marks(tmp_path).values()) == {None}


@pytest.mark.parametrize("older", ["no manifest of its own", "no hashes"])
def test_stores_of_older_versions_are_compared(
    tmp_path: Path, older: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ltx.store.manifest.sources_of", lambda finder: {})
    first = run(tmp_path)
    if older == "no hashes":
        without(tmp_path, monkeypatch)
        first = run(tmp_path / "again")
        tmp_path = tmp_path / "again"
        monkeypatch.undo()
    else:
        shutil.rmtree(tmp_path / "found")
    monkeypatch.setattr(Code, "draw", 1)
    second = run(tmp_path)
    now = marks(tmp_path)
    assert [now[id] is None for id in (*first, *second[1:])] == [True, False, False, True, True]
    if older == "no hashes":
        assert str(now[first[1]]).endswith(
            "unknown, as the ltx that found it kept no hashes of code"
        )


def without(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Manifests have none of the keys that older versions do not write."""
    from ltx.store import manifest

    made = manifest.of

    def of(*args: object) -> dict[str, object]:
        keys = ("sources", "lab")
        return {k: v for k, v in made(*args).items() if k not in keys}  # type: ignore[arg-type]

    monkeypatch.setattr(manifest, "of", of)


def test_a_record_says_which_of_its_trials_are_superseded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = Store(tmp_path)
    study = Study({"mine": Drawn()}, tasks=(TASK,), seeds=2)
    rows = list(loop.run(study, lambda t, s, sealed: Traced(t, s, sealed=sealed), store))
    record = dataclasses.replace(
        StudyRecord.of(study, None, command="", config="", plugins=[]),
        rows=tuple(rows),  # type: ignore[arg-type]
    )
    store.put_study(record.id, record.document())
    monkeypatch.setattr(Code, "draw", 1)
    monkeypatch.setattr(Traced, "now", {**Traced.now, "model": "m2"})
    run(tmp_path, seeds=1)
    read, manifests = StudyRecord.read(store), {m: store.manifest(m) for m in marks(tmp_path)}
    texts = [row.superseded(manifests[row.trial.ticket]) for row in read.rows]
    dense = read.rows[0].trial.ticket
    # The dense ticket is the same, and not what comes of training it.
    assert texts[0] == (f"by another trial of {dense}: the code of the model changed from m1 to m2")
    assert [bool(text) for text in texts] == [True, True, True, False, False, False]
    assert "the code of the model changed from m1 to m2" in texts[1]


def test_the_mark_does_not_touch_the_ticket(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = run(tmp_path)
    before = {path: path.read_bytes() for path in (tmp_path / "tickets").iterdir()}
    monkeypatch.setattr(Code, "draw", 1)
    run(tmp_path)
    store = Store(tmp_path)
    assert [store.ticket(id).id for id in first] == first
    assert all(path.read_bytes() == content for path, content in before.items())
    assert {t.id for t in store.tickets(superseded=None)} & set(first) == {first[0]}
    assert np.array_equal(
        store.ticket(first[1], "mine").mask.kept, store.ticket(first[1]).mask.kept
    )


def test_sources_are_those_of_the_packages_that_a_finder_runs(tmp_path: Path) -> None:
    run(tmp_path)
    [first, *_] = Store(tmp_path).manifests()
    assert set(first["sources"]) == {PACKAGE}
    assert first["lab"] == Traced.now
    assert set(environment.sources_of(IMP())) == {"ltx_plugins"}
