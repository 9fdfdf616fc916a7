"""Errors: the exit codes, and what is said of an unknown name."""

import pytest

from ltx.core import errors


def test_only_bad_input_exits_with_two() -> None:
    kinds = [e for e in vars(errors).values() if isinstance(e, type) and issubclass(e, Exception)]
    assert {kind for kind in kinds if kind.exit_code == 2} == {  # type: ignore[attr-defined]
        errors.UsageError,
        errors.UnsupportedError,  # of the backend that was chosen
    }
    assert all(issubclass(kind, errors.LtxError) for kind in kinds)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("adma", "unknown optimizer 'adma': did you mean adam or adamw? Known: adam, adamw, sgd."),
        ("xyz", "unknown optimizer 'xyz'. Known: adam, adamw, sgd. Choose one."),
    ],
)
def test_an_unknown_name_shows_close_ones_then_all(name: str, text: str) -> None:
    remedy = "" if "did" in text else "Choose one."
    assert str(errors.unknown("optimizer", name, ["sgd", "adamw", "adam"], remedy)) == text


def test_an_unknown_name_among_none() -> None:
    assert "Known: none." in str(errors.unknown("finder", "imp", []))
