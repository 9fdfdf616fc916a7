"""Numbers as text: missing ones stay missing, and each kind has one form."""

import pytest

from ltx.analysis.paired_tests import Interval
from ltx.core.objectives.metric import ACCURACY
from ltx.reporting import format

NAN = float("nan")


def test_numbers_that_are_not_there_are_said_to_be_missing() -> None:
    assert format.measure(None) == format.steps(None) == format.difference(None) == "missing"
    assert format.measure(Interval(NAN, NAN, NAN)) == "missing"
    assert format.measure(Interval(0.5, NAN, NAN, 1)) == "50.00"
    assert format.measure(Interval(0.5, 0.25, 0.75, 2)) == "50.00 ± 25.00"
    assert format.measure(Interval(0.5, 0.25, 0.75, 2), unit=True) == "50.00% ± 25.00"
    assert format.steps(None, format.DASH) == "-"
    assert format.difference(Interval(-0.5, -1, 0.25, 2)) == "-50.00 [-100.00, +25.00]"
    assert format.more_seeds(float("inf")) == "more than 100"
    assert [format.more_seeds(n) for n in (0.0, NAN, 3.0)] == ["", "?", "3"]
    assert [format.more_seeds(n, "+", "+>") for n in (3.0, float("inf"))] == ["+3", "+>100"]
    assert format.number(None) == format.number(NAN, ".2f") == format.share(None) == "-"
    assert format.number(0) == "0"


def test_no_number_reads_as_minus_zero() -> None:
    assert ACCURACY.change(-0.00001) == ACCURACY.change(0.0) == "+0.00"
    assert format.difference(Interval(-1e-6, -1e-6, 1e-6, 3)) == "+0.00 [+0.00, +0.00]"


def test_a_p_value_above_a_bound_never_reads_as_equal_to_it() -> None:
    assert [format.p_value(p) for p in (0.05, 0.0501, 1.0)] == ["0.050", "0.051", "1.000"]
    assert format.brief_p_value(0.0004) == "<.001"


@pytest.mark.parametrize(
    ("count", "text"),
    [(0, "0"), (950, "950"), (12_300, "12.3k"), (3.4e9, "3.4G"), (2e15, "2P"), (999_700, "1000k")],
)
def test_si_prefixes_leave_three_digits(count: float, text: str) -> None:
    assert format.si(count) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.2, "0 s"), (89, "89 s"), (600, "10 min"), (7260, "2 h 1 min"), (200_000, "2 d 7 h")],
)
def test_a_duration_has_two_units_at_most(seconds: float, text: str) -> None:
    assert format.duration(seconds) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.00123, "1.23 ms"),
        (0.5, "500 ms"),
        (0.9999, "1 s"),
        (59.0, "59 s"),
        (59.99, "1 min"),
        (90.0, "1.5 min"),
        (3600.0, "1 h"),
        (7200.0, "2 h"),
        (129600.0, "1.5 d"),
    ],
)
def test_a_brief_duration_has_one_unit(seconds: float, text: str) -> None:
    assert format.brief_duration(seconds) == text
