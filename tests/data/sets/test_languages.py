"""Languages: words of one list alone, from lists that the user has."""

from pathlib import Path

import numpy as np
import pytest

from ltx.core.errors import UsageError
from ltx.data import importing, loading
from ltx.data.sets import languages

SYLLABLES = {"english": "th", "german": "ü", "french": "ç", "spanish": "ñ", "italian": "ò"}


@pytest.fixture
def lists(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with five lists of 30 words that count, and of others that do not."""
    folder = tmp_path / "dict"
    folder.mkdir()
    monkeypatch.setattr(languages, "DICTIONARIES", folder)
    for name, syllable in SYLLABLES.items():
        own = [f"a{chr(97 + n // 26)}{chr(97 + n % 26)}e{syllable}" for n in range(30)]
        others = ["shared", "Upper", "it's", "abc", "x" * 15, "", "two words"]
        (folder / languages.FILES[name]).write_text("\n".join(own + others), encoding="utf-8")
    return folder


def test_words_are_those_of_one_language(lists: Path, tmp_path: Path) -> None:
    made = languages.load(words=30, data_dir=str(tmp_path))
    words = np.concatenate([made.inputs, made.test_inputs]).tolist()
    assert len(words) == len(set(words)) == 150
    for word, number in zip(made.inputs, made.targets, strict=True):
        assert word.endswith(SYLLABLES[made.classes[number]])
    assert np.bincount(made.test_targets).tolist() == [5] * 5
    assert languages.load(words=30, data_dir=str(tmp_path)).inputs.tolist() == made.inputs.tolist()


def test_a_task_gets_tokens(lists: Path, tmp_path: Path) -> None:
    data = loading.load("languages", data_args={"words": 30}, data_dir=str(tmp_path))
    assert (data.classes, data.input_shape, data.inputs.tokens) == (5, (6,), data.inputs.tokens)
    assert data.inputs.tokens > 26
    assert data.targets.names == tuple(SYLLABLES)


def test_imported_lists_are_read_where_none_are_installed(lists: Path, tmp_path: Path) -> None:
    root = str(tmp_path / "data")
    before = languages.load(words=30, data_dir=root)
    message = importing.import_files("languages", str(lists), root)
    assert str(tmp_path / "data" / "imported" / "languages") in message
    for file in lists.iterdir():
        file.unlink()
    assert languages.load(words=30, data_dir=root).inputs.tolist() == before.inputs.tolist()


def test_a_missing_list_is_one_line_with_its_remedy(lists: Path, tmp_path: Path) -> None:
    (lists / "french").unlink()
    with pytest.raises(UsageError, match=r"no word list french; `apt-get install wamerican wng"):
        loading.load("languages", data_dir=str(tmp_path))
    with pytest.raises(UsageError, match=r"nowhere has no word list american-english, ngerman"):
        importing.import_files("languages", str(tmp_path / "nowhere"), str(tmp_path))


def test_bad_lists_are_refused(lists: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"at least 31 words of english alone, got 30; set 'words"):
        languages.load(words=31, data_dir=str(tmp_path))
    with pytest.raises(UsageError, match=r"words: expected a count"):
        languages.load(words=0, data_dir=str(tmp_path))
    (lists / "spanish").write_bytes("año\n".encode("latin1"))
    with pytest.raises(UsageError, match=r"spanish is not UTF-8.*iconv"):
        languages.load(words=30, data_dir=str(tmp_path))


def test_debians_lists(word_lists: Path, tmp_path: Path) -> None:
    del word_lists
    made = languages.load(data_dir=str(tmp_path))
    assert (len(made.inputs), len(made.test_inputs)) == (50000, 10000)
    assert {"ß", "ñ", "ç"} < set("".join(made.inputs.tolist()))
