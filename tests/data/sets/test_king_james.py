"""King James: a text as windows whose targets are one character further."""

from pathlib import Path

import numpy as np
import pytest

from ltx.core.errors import UsageError
from ltx.data import importing, loading
from ltx.data.sets import king_james

TEXT = "".join(f"Ge{n}:1 verse {n} of the text.\n" for n in range(1, 400))
PRINT = "#!/bin/sh\nfor n in $(seq 400); do echo Ge$n:1 verse $n of the text.; done\n"


@pytest.fixture
def no_bible(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(king_james.shutil, "which", lambda name: None)


def program(folder: Path, script: str, monkeypatch: pytest.MonkeyPatch) -> None:
    path = folder / "bible"
    path.write_text(script)
    path.chmod(0o755)
    monkeypatch.setattr(king_james.shutil, "which", lambda name: str(path))


def test_windows_follow_one_another_and_targets_are_the_next() -> None:
    made = king_james.windows(TEXT, 4)
    symbols = [" ", *sorted(set("".join(TEXT.split())) - set("G:"))]
    plain = "".join(f"verse {n} of the text.\n" for n in range(1, 400))
    assert len(made.inputs) + len(made.test_inputs) == (len(plain) - 1) // 4
    letters = dict(enumerate(["\n", *symbols], 1))
    read = "".join(letters[n] for n in made.inputs[:10].ravel())
    assert read == plain[:40]
    assert (made.targets[:10].ravel() == np.append(made.inputs[:10].ravel()[1:], 1 + 0)).sum() >= 39
    np.testing.assert_array_equal(made.targets[:, :-1], made.inputs[:, 1:])
    assert made.inputs.min() == 1  # 0 is padding
    assert 0.02 < len(made.test_inputs) / len(made.inputs) < 0.03


def test_a_task_gets_an_imported_text(no_bible: None, tmp_path: Path) -> None:
    del no_bible
    root = str(tmp_path / "data")
    source = tmp_path / "text"
    source.write_text(TEXT * 10)
    assert "is imported" in importing.import_files("king_james", str(source), root)
    data = loading.load("king_james", data_args={"length": 8}, data_dir=root)
    assert (data.input_shape, data.targets.shape) == ((8,), (8,))
    assert data.inputs.tokens == data.targets.classes > 10


def test_debians_program_is_asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program(tmp_path, PRINT, monkeypatch)
    assert king_james.load(length=4, data_dir=str(tmp_path)).inputs.shape[1] == 4
    for script in ("#!/bin/sh\necho no data >&2\nexit 3\n", "#!/bin/sh\necho no data\n"):
        program(tmp_path, script, monkeypatch)
        with pytest.raises(UsageError, match=r"did not print the text \(no data\).*--from=FILE"):
            king_james.load(data_dir=str(tmp_path))


def test_a_missing_text_is_one_line_with_its_remedies(no_bible: None, tmp_path: Path) -> None:
    del no_bible
    with pytest.raises(UsageError, match=r"apt-get install bible-kjv.*data import king_james"):
        loading.load("king_james", data_dir=str(tmp_path))
    with pytest.raises(UsageError, match=r"nothing cannot be read \(No such file"):
        importing.import_files("king_james", str(tmp_path / "nothing"), str(tmp_path))
    (tmp_path / "short").write_text("In the beginning")
    with pytest.raises(UsageError, match=r"more than 64000 characters, 1000 windows of 64, got 16"):
        importing.import_files("king_james", str(tmp_path / "short"), str(tmp_path))


def test_debians_text(king_james_text: str, tmp_path: Path) -> None:
    del king_james_text
    made = king_james.load(data_dir=str(tmp_path))
    assert len(made.inputs) + len(made.test_inputs) > 60000
    assert max(made.inputs.max(), made.test_inputs.max()) == 63
