"""Likeness: a study's masks are compared between seeds, and between finders at like density."""

import itertools

import numpy as np
import pytest
import studied

from ltx import Store
from ltx.analysis.mask_similarity import MaskSimilarity, similarities
from ltx.study.record import StudyRecord


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    return studied.small(tmp_path_factory.mktemp("store"))


@pytest.fixture(scope="module")
def record(store: Store) -> StudyRecord:
    return StudyRecord.read(store)


@pytest.fixture(scope="module")
def found(record: StudyRecord, store: Store) -> list[MaskSimilarity]:
    return list(similarities(record, store))


def test_every_sparse_level_is_compared_between_seeds(
    record: StudyRecord, found: list[MaskSimilarity], store: Store
) -> None:
    own = {(f.task, f.finder, f.level): f for f in found if f.is_between_seeds}
    sparse = [row for row in record.rows if row.trial.density < 1]
    assert own.keys() == {(r.task, r.finder, r.trial.level) for r in sparse}
    for place, one in own.items():
        tickets = [r for r in sparse if (r.task, r.finder, r.trial.level) == place]
        masks = [store.ticket(row.trial.ticket).mask for row in tickets]
        shared = [2 * (a & b).kept / (a.kept + b.kept) for a, b in itertools.combinations(masks, 2)]
        assert one.whole.pairs == 3
        assert one.whole.shared == pytest.approx(np.mean(shared))
        assert one.layers.keys() == masks[0].keys()
        assert one.density == pytest.approx(np.mean([mask.density for mask in masks]))


def test_finders_are_compared_at_like_density_by_seed(found: list[MaskSimilarity]) -> None:
    others = [one for one in found if not one.is_between_seeds]
    assert all(one.whole.pairs == 3 for one in others)
    assert all(one.density / one.other_density == pytest.approx(1, rel=0.18) for one in others)
    # Its masks are those of IMP; SNIP's one density is like none of the others'.
    same = [one.whole.shared for one in others if (one.finder, one.other) == ("imp", "reinit")]
    assert same == [1.0] * 6
    assert not any("snip" in (one.finder, one.other) for one in others)
    assert {(f.finder, f.other) for f in others} == {
        pair for pair in itertools.combinations(studied.finders(), 2) if "snip" not in pair
    }


def test_what_is_missing_is_left_out(tmp_path) -> None:  # type: ignore[no-untyped-def]
    store = studied.tiny(tmp_path / "store")
    record = StudyRecord.read(store)
    assert list(similarities(record, store)) == []  # one seed, and one finder
    store = studied.small(tmp_path / "small", seeds=2)
    record = StudyRecord.read(store)
    for row in record.rows:
        if (row.task, row.seed) == (record.tasks[0], 1) and row.trial.density < 1:
            path = store.path / "tickets" / f"{row.trial.ticket}.safetensors"
            path.unlink(missing_ok=True)
    left = list(similarities(record, store))
    assert {one.task for one in left if one.is_between_seeds} == {record.tasks[1]}
    assert {one.whole.pairs for one in left if one.task == record.tasks[0]} == {1}
