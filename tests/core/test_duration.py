"""Duration: what parses, and when epochs and percents become steps."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ltx import Duration, UsageError


@pytest.mark.parametrize(
    ("text", "steps"),
    [
        ("500it", 500),
        (" 500 it ", 500),
        ("2ep", 200),
        ("0.5ep", 50),
        ("10%", 90),
        ("100%", 900),
        ("0%", 0),
    ],
)
def test_steps(text: str, steps: int) -> None:
    assert Duration.parse(text).steps(epoch=100, whole=900) == steps


def test_a_parsed_duration_parses_to_itself() -> None:
    duration = Duration.parse("2ep")
    assert Duration.parse(duration) is duration


@pytest.mark.parametrize(
    "text", ["", "5", "it", "-5it", "1e3it", "5 epochs", "2.5it", "101%", "∞it"]
)
def test_what_is_no_duration_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="duration"):
        Duration.parse(text)


@pytest.mark.parametrize("value", [None, 500, 0.1, ["500it"]])
def test_what_is_no_text_is_refused(value: object) -> None:
    with pytest.raises(UsageError, match="500it"):
        Duration.parse(value)  # type: ignore[arg-type]


def test_percent_of_itself_means_nothing() -> None:
    with pytest.raises(UsageError, match="percent"):
        Duration.parse("10%").steps(epoch=10)


@given(st.integers(0, 10**9))
def test_steps_survive_being_written_and_read(steps: int) -> None:
    duration = Duration.parse(f"{steps}it")
    assert Duration.parse(str(duration)) == duration
    assert duration.steps(epoch=1) == steps


@given(st.floats(0, 100), st.integers(1, 10**6))
def test_a_share_never_exceeds_the_whole(percent: float, whole: int) -> None:
    steps = Duration.parse(f"{percent:.4f}%").steps(epoch=1, whole=whole)
    assert 0 <= steps <= whole
