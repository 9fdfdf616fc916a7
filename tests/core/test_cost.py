"""Cost: adds up and takes apart, field by field; a ledger's seconds are those of work."""

import math

import pytest
from hands import Hands
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ltx import Cost
from ltx.core.cost import Ledger

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


blocks = st.recursive(st.integers(0, 9), st.lists, max_leaves=9)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.tuples(st.integers(0, 9), blocks)))
def test_seconds_count_once_however_blocks_are_nested(hands: Hands, work: list) -> None:
    ledger = Ledger()

    def do(block: int | list) -> int:
        with ledger.working():
            if isinstance(block, int):
                hands.move(block)
                return block
            done = 0
            before = ledger.seconds
            for part in block:
                done += do(part)
                assert ledger.seconds == before + done
            return done

    done = 0
    for idle, block in work:
        hands.move(idle)
        done += do(block)
        assert ledger.seconds == done


def test_seconds_may_be_set_in_the_middle_of_work(hands: Hands) -> None:
    ledger = Ledger()
    with ledger.working():
        hands.move(2)
        before = ledger.seconds
        with ledger.working():
            hands.move(1)
            ledger.seconds = before + 50
        hands.move(3)
        assert ledger.seconds == 55
    hands.move(7)
    assert ledger.seconds == 55


def test_what_is_unknown_stays_unknown(hands: Hands) -> None:
    ledger = Ledger()

    def fail() -> None:
        with ledger.working():
            hands.move(2)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    hands.move(9)
    assert ledger.seconds == 2
    ledger.seconds = math.nan
    with ledger.working():
        hands.move(2)
    assert math.isnan(ledger.seconds)
