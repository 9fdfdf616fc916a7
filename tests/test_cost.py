"""Cost: adds up and takes apart, field by field."""

from hypothesis import given
from hypothesis import strategies as st

from ltx import Cost
from ltx.cost import Ledger

counts = st.integers(0, 10**15)
costs = st.builds(Cost, counts, counts, counts, counts)


@given(costs, costs)
def test_sums_come_apart_again(one: Cost, other: Cost) -> None:
    assert (one + other) - other == one
    assert one + other == other + one
    assert one + Cost() == one
    assert (one + other).flops == one.flops + other.flops


@given(st.lists(costs))
def test_a_ledger_holds_the_sum(spent: list[Cost]) -> None:
    ledger = Ledger()
    for cost in spent:
        ledger.add(cost)
    assert ledger.total == sum(spent, Cost())
