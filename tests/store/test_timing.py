"""Took: what the log tells of trials' seconds, and nothing where it does not."""

import math
from pathlib import Path

import pytest

from ltx import Store
from ltx.store import timing
from ltx.store.timing import Timing


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path)


def test_what_was_told_is_read_and_the_last_counts(store: Store) -> None:
    timing.log(store, "a", Timing(1.5, 2.0))
    timing.log(store, "b", Timing(3.0, 4.0))
    store.record({"study": "s", "is": "started"})
    timing.log(store, "a", Timing(1.0, 2.0))
    timing.log(store, "other", Timing(9.0, 9.0))
    assert timing.read(store, {"a", "b", "c"}) == {"a": Timing(1.0, 2.0), "b": Timing(3.0, 4.0)}
    assert timing.read(store, {"a"})["a"].total == 3.0


def test_what_is_not_known_stays_unknown(store: Store) -> None:
    timing.log(store, "a", Timing(math.nan, 2.0))
    assert "NaN" not in (store.path / "log.jsonl").read_text()  # which is no JSON
    found = timing.read(store, {"a"})["a"]
    assert math.isnan(found.found)
    assert found.trained == 2.0
    assert math.isnan(found.total)


def test_without_a_log_nothing_is_known(store: Store) -> None:
    assert timing.read(store, {"a"}) == {}
