"""Order: every epoch sees every example once, and a cut changes nothing."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ltx import UsageError
from ltx.data import order


def test_an_epoch_sees_no_example_twice() -> None:
    table = order.batch_table(0, "order", 23, 5, 0, 8)
    assert table.shape == (8, 5)
    assert table.dtype == np.int32
    for epoch in (table[:4], table[4:]):
        assert len(set(epoch.ravel())) == 20
        assert set(epoch.ravel()) <= set(range(23))
    assert (table[:4] != table[4:]).any()


@given(st.lists(st.integers(0, 30), min_size=3, max_size=3), st.integers(1, 9))
def test_a_cut_changes_nothing(cuts: list[int], batch: int) -> None:
    low, middle, high = sorted(cuts)
    parts = [
        order.batch_table(1, "order", 20, batch, a, b) for a, b in ((low, middle), (middle, high))
    ]
    whole = order.batch_table(1, "order", 20, batch, low, high)
    np.testing.assert_array_equal(np.concatenate(parts), whole)
    np.testing.assert_array_equal(order.batch_table(1, "order", 20, batch, 0, high)[low:], whole)


def test_seed_and_stream_change_the_order() -> None:
    tables = [order.batch_table(s, n, 50, 50, 0, 1) for s, n in ((0, "a"), (1, "a"), (0, "b"))]
    assert len({table.tobytes() for table in tables}) == 3


def test_a_batch_larger_than_the_set_is_refused() -> None:
    with pytest.raises(UsageError, match="61 is more than the 60"):
        order.steps_per_epoch(60, 61)
    assert order.steps_per_epoch(60, 60) == 1
