"""new_finder: what it refuses; that what it writes works, test_writing_a_finder shows."""

import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
sys.path.append(str(ROOT / "tools"))
import new_finder  # noqa: E402


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("Movers", "lower-case"),
        ("my-finder", "lower-case"),
        ("2nd", "lower-case"),
        ("double__bar", "lower-case"),
        ("", "lower-case"),
        ("../elsewhere", "lower-case"),
        ("class", "keyword"),
        ("imp", "offered by ltx-lottery already"),
        ("plugins", "ltx_plugins is installed already"),
    ],
)
def test_a_name_that_will_not_do_is_refused(
    name: str, words: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert new_finder.main([name, "--into", str(tmp_path)]) == 2
    assert words in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_a_folder_within_this_repository_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert new_finder.main(["movers", "--into", str(ROOT / "docs")]) == 2
    assert "within ltx itself" in capsys.readouterr().err


def test_nothing_is_overwritten(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert new_finder.main(["movers", "--into", str(tmp_path)]) == 0
    module = tmp_path / "ltx-movers" / "ltx_movers.py"
    module.write_text("mine")
    assert new_finder.main(["movers", "--into", str(tmp_path)]) == 2
    assert "exists already" in capsys.readouterr().err
    assert module.read_text() == "mine"


def test_no_placeholder_is_left(tmp_path: Path) -> None:
    folder = new_finder.write("two_words", tmp_path)
    names = {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}
    assert names == {
        *("README.md", "ltx_two_words.py", "pyproject.toml", "study.gin"),
        "tests/test_ltx_two_words.py",
    }
    for name in names:
        assert "$" not in (folder / name).read_text()
        assert "TwoWords" in (folder / name).read_text() or not name.endswith(".py")
