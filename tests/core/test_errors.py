"""Errors: the exit codes, and what is said of an unknown name."""

import dataclasses
import types
from pathlib import Path

import pytest

from ltx import Magnitude
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


def raised(code: str, file: str, module: str = "guest.finder") -> Exception:
    """What calling `run` of a module with this code raises."""
    Path(file).write_text(code)
    space = vars(types.ModuleType(module))
    try:
        exec(compile(code, file, "exec"), space)
        space["run"]()
    except Exception as error:
        return error
    raise AssertionError("nothing was raised")


def test_a_plugins_error_names_its_innermost_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    code = "import json\ndef run():\n    inner()\ndef inner():\n    json.loads(  '['  )\n"
    error = raised(code, str(tmp_path / "mine.py"))
    text = errors.describe(error, {"guest"})
    assert text.startswith("JSONDecodeError: Expecting value: line 1 column 2 (char 1)")
    assert text.endswith("(mine.py, line 5: json.loads( '[' ))")
    assert "(" not in errors.describe(error, {"another"}).partition("(char 1)")[2]
    assert errors.describe(error, {"json"}).startswith(text.partition("(mine")[0])
    assert "decoder.py, line " in errors.describe(error, {"guest", "json"})


@pytest.mark.parametrize(
    ("line", "text"),
    [
        ("raise KeyError('kernel')", "KeyError: 'kernel' ("),
        ("raise ValueError('two\\nlines')", "ValueError: two lines ("),
        ("assert not 1", "AssertionError ("),
        ("raise ValueError('" + "x" * 500 + "')", "..."),
    ],
)
def test_it_is_one_line(tmp_path: Path, line: str, text: str) -> None:
    file = str(tmp_path / "mine.py")
    shown = errors.describe(raised(f"def run():\n    {line}\n", file), ["guest"])
    assert text in shown
    assert "\n" not in shown
    assert f"{file}, line 2: {line[:50]}" in shown


def test_what_ltx_foresaw_is_its_text_alone(tmp_path: Path) -> None:
    code = "from ltx import UsageError\ndef run():\n    raise UsageError('imp.levels: 3')\n"
    assert errors.describe(raised(code, str(tmp_path / "mine.py")), {"guest"}) == "imp.levels: 3"


def test_the_packages_of_a_finder_are_its_own_and_its_parts() -> None:
    outer = dataclasses.make_dataclass("Outer", ["of", "score"])
    inner = dataclasses.make_dataclass("Inner", ["parts"])
    part = dataclasses.make_dataclass("Part", [])
    outer.__module__, inner.__module__, part.__module__ = "outer.finders", "inner", "part.of.it"
    finder = outer(inner((part(), 3)), Magnitude())
    assert errors.packages_of(finder) == {"outer", "inner", "part"}
    assert errors.packages_of(3) == set()
