"""Checks: what is outside its range is refused by name, with the range and what was got."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ltx import Duration, UsageError, check_choice, check_count, check_duration
from ltx.core.validation import check_number


@pytest.mark.parametrize("value", [0, -1, 1.0, True, "3", None, math.nan])
def test_a_count_is_a_whole_number_of_at_least_one(value: object) -> None:
    with pytest.raises(UsageError, match=r"^x: expected a whole number of at least 1, got"):
        check_count("x", value)  # type: ignore[arg-type]
    check_count("x", 1)
    check_count("x", 0, least=0)


@given(st.floats(-2, 2) | st.integers(-2, 2))
def test_a_number_lies_within_its_bounds(value: float) -> None:
    if 0 < value < 1:
        check_number("x", value, above=0, below=1)
    else:
        with pytest.raises(UsageError, match="x: expected a number above 0 and below 1, got"):
            check_number("x", value, above=0, below=1)


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, "1", None, True])
def test_what_is_no_number_is_outside_every_range(value: object) -> None:
    with pytest.raises(UsageError, match="x: expected a number"):
        check_number("x", value, least=-10)  # type: ignore[arg-type]


@pytest.mark.parametrize("value", ["soon", "1.5it", "101%", "-1ep", "", 10, True, None, ("10it",)])
def test_a_duration_is_steps_epochs_or_percent(value: object) -> None:
    with pytest.raises(UsageError, match=r"^x: duration .*") as error:
        check_duration("x", value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("value", ["500it", "2ep", "0.5 ep", "10%", Duration(3, "it")])
def test_a_duration_that_can_be_read_is_accepted(value: object) -> None:
    check_duration("x", value)


def test_a_choice_is_one_of_the_known() -> None:
    check_choice("x", "one", ("one", "two"))
    with pytest.raises(UsageError, match="unknown x 'on': did you mean one"):
        check_choice("x", "on", ("one", "two"))
