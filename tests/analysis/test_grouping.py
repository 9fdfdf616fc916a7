"""Results are grouped once, in an order that does not depend on the order of their rows."""

from compared_copies import compared
from verdict_rows import rows

from ltx.analysis.grouping import by_finder, by_origin, group


def test_a_group_keeps_the_order_of_its_items() -> None:
    assert group([3, 1, 2, 4], lambda n: n % 2) == {1: [3, 1], 0: [2, 4]}
    assert group([], lambda n: n) == {}


def test_trials_are_found_by_finder_level_and_seed() -> None:
    given = [*rows("imp", (0.9, 0.8), level=2), *rows("imp", (0.7,), level=0)]
    given += rows("reinit", (0.6,), level=1, task="u")
    found = by_finder(given)
    assert list(found) == [("t", "imp"), ("u", "reinit")]
    assert list(found["t", "imp"]) == [0, 2]
    assert found["t", "imp"][2] == {row.seed: row.trial for row in given[:2]}


def test_copies_are_kept_apart_by_where_they_start() -> None:
    given = [
        compared(level, seed, at=at)
        for at in ("9it", "ticket")
        for level in (1, 0)
        for seed in (0, 1)
    ]
    found = by_origin(given)
    assert list(found) == [("task", "imp", "9it"), ("task", "imp", "ticket")]
    assert [list(levels) for levels in found.values()] == [[0, 1], [0, 1]]
    assert found["task", "imp", "ticket"][1][0].id == "imp-1-0-ticket"
