"""Controlled: a control belongs to the finders that it holds, whatever their labels."""

import dataclasses
from collections.abc import Iterator
from pathlib import Path
from typing import ClassVar

import pytest
import studied
from ltx_plugins.corrupted import Corrupted
from ltx_plugins.imp import IMP
from ltx_plugins.oneshot import OneShot
from ltx_plugins.random_reinit import RandomReinit
from ltx_plugins.transfer import Transfer

import ltx
from ltx import Finder, Lab, Random, Store, Ticket
from ltx.analysis import verdict
from ltx.store import atomic_files
from ltx.study.definition import Study
from ltx.study.record import StudyRecord

IMP_2 = IMP(levels=2)


def controls(**finders: Finder) -> dict[str, tuple[str, ...]]:
    study = Study(finders, tasks=(studied.TASK,), seeds=2)
    return dict(StudyRecord.of(study, None, command="", config="", plugins=[]).controls)


def test_a_control_belongs_to_the_finder_that_it_holds() -> None:
    other = OneShot(density=0.2, score=Random())
    found = controls(mine=OneShot(density=0.2), other=other, reinit=RandomReinit(of=other))
    assert found == {"reinit": ("other",)}


def test_one_finder_under_two_labels_has_its_control_under_both() -> None:
    found = controls(a=IMP_2, reinit=RandomReinit(of=IMP(levels=2)), b=IMP(levels=2))
    assert found == {"reinit": ("a", "b")}


def test_a_control_of_a_transfer_is_none_of_what_was_transferred() -> None:
    carried = Transfer(of=IMP_2, source="other")
    found = controls(imp=IMP_2, carried=carried, reinit=RandomReinit(of=carried))
    assert found == {"reinit": ("carried",)}
    assert controls(imp=IMP_2, reinit=RandomReinit(of=carried)) == {"reinit": ()}


def test_a_control_of_a_control_belongs_to_what_that_one_holds() -> None:
    labels = Corrupted(of=IMP_2)
    both = RandomReinit(of=labels, mask="shuffled")
    assert controls(imp=IMP_2, both=both) == {"both": ("imp",)}
    assert controls(imp=IMP_2, labels=labels, both=both) == {"labels": ("imp",), "both": ("imp",)}


@dataclasses.dataclass(frozen=True)
class Pair(Finder):
    """A control that holds two finders, in fields of its own."""

    control: ClassVar[bool] = True

    subjects: tuple[Finder, ...] = ()

    def find(self, lab: Lab) -> Iterator[Ticket]:
        for number, subject in enumerate(self.subjects, 1):
            *_, ticket = subject.find(lab)
            weights = lab.init("again")
            yield ltx.Ticket.of(lab, ticket.mask, weights, level=10 * number, parent=ticket)


def test_tickets_of_other_levels_are_paired_through_their_parents(tmp_path: Path) -> None:
    imp, oneshot = IMP(levels=2), OneShot(density=0.2)
    study = Study(
        {"imp": imp, "oneshot": oneshot, "pair": Pair((imp, oneshot))},
        tasks=(studied.TASK,),
        seeds=2,
    )
    record = studied.run(study, Store(tmp_path))
    assert record.controls == {"pair": ("imp", "oneshot")}
    found = verdict.levels(record.rows, controls=record.controls)
    paired = {(one.finder, one.level): set(one.controls) for one in found if one.level}
    assert paired == {("imp", 1): set(), ("imp", 2): {"pair"}, ("oneshot", 1): {"pair"}}
    of_pair = {r.trial.level: r.trial for r in record.rows if (r.finder, r.seed) == ("pair", 0)}
    by = {(one.finder, one.level): one for one in found}
    assert by["imp", 2].control_densities["pair"] == pytest.approx(of_pair[10].density)
    assert by["oneshot", 1].control_densities["pair"] == pytest.approx(of_pair[20].density)


def test_corrupted_tickets_are_paired_by_their_level(tmp_path: Path) -> None:
    study = Study({"imp": IMP_2, "labels": Corrupted(of=IMP_2)}, tasks=(studied.TASK,), seeds=2)
    record = studied.run(study, Store(tmp_path))
    found = verdict.levels(record.rows, controls=record.controls)
    assert [list(one.controls) for one in found] == [[], ["labels"], ["labels"]]
    assert all(len(one.controls) == len(one.leads) for one in found)


def test_a_record_of_an_older_ltx_has_its_pairs_all_the_same(tmp_path: Path) -> None:
    study = Study({"imp": IMP_2, "reinit": RandomReinit(of=IMP_2)}, tasks=(studied.TASK,), seeds=2)
    store = Store(tmp_path)
    record = studied.run(study, store)
    path = store.path / "studies" / f"{record.id}.json"
    document = dict(atomic_files.read_json(path))
    del document["controls"]
    trials = [{k: v for k, v in e.items() if k != "parent"} for e in document["trials"]]
    store.put_study(record.id, {**document, "trials": trials})
    old = StudyRecord.read(store)
    assert old.controls == record.controls == {"reinit": ("imp",)}
    assert [r.parent for r in old.rows if r.control] == [r.parent for r in record.rows if r.control]
    assert all(row.parent for row in old.rows if row.control)
