"""Loading: data sets that installed distributions offer, good, broken, and two of one name."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from ltx.cli.main import main
from ltx.config import plugins
from ltx.core.errors import UsageError
from ltx.data import loading

CODE = '''
import numpy as np
import ltx

def load(rows=20, **more):
    """Random numbers. More."""
    return ltx.Arrays(np.zeros((rows, 2)) + np.arange(rows)[:, None], np.arange(rows) % 2)

def named(argument):
    """`NAME:WORD`, a set of words."""
    return ltx.Arrays(np.array([argument * n for n in range(1, 21)]), np.arange(20) % 2)

def nothing():
    return None

def fails():
    raise KeyError("lost")
'''


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., None]]:
    """Puts a distribution with data sets on the path."""

    def add(distribution: str, entries: dict[str, str], code: str = CODE) -> None:
        folder, module = tmp_path / distribution, f"{distribution}_{tmp_path.name}"
        info = folder / f"{distribution}-1.2.dist-info"
        info.mkdir(parents=True)
        (info / "METADATA").write_text(
            f"Metadata-Version: 2.1\nName: {distribution}\nVersion: 1.2\n"
        )
        lines = [f"{name} = {module}:{function}" for name, function in entries.items()]
        (info / "entry_points.txt").write_text("\n".join(["[ltx.datasets]", *lines]))
        (folder / f"{module}.py").write_text(code)
        monkeypatch.syspath_prepend(folder)
        loading.loaders.cache_clear()

    yield add
    loading.loaders.cache_clear()


def test_a_guests_data_set_is_loaded_by_its_name(install: Callable[..., None]) -> None:
    install("guest", {"dots": "load", "words": "named"})
    assert len(loading.load("dots", test=5, data_args={"rows": 30}).test) == 5
    assert loading.load("words:ab", test=5).inputs.tokens == 4  # type: ignore[union-attr]
    assert loading.load("guest:words:ab", test=5).input_shape == (40,)
    for name, says in (
        ("words", "expected words:WHAT"),
        ("dots:x", "takes no argument"),
        ("wrods:x", "unknown scheme of a data set 'wrods': did you mean words"),
        ("guest:wrods:x", "unknown scheme"),
    ):
        with pytest.raises(UsageError, match=says):
            loading.load(name, test=5)


def test_of_a_name_offered_twice_either_can_be_named(install: Callable[..., None]) -> None:
    install("one", {"dots": "load"})
    install("two", {"dots": "load"})
    with pytest.raises(UsageError, match="offered 2 times; name one: two:dots or one:dots"):
        loading.load("dots", test=5)
    assert len(loading.load("two:dots", test=5).test) == 5
    assert [o.reason for o in loading.offers() if o.name == "dots"] == [
        f"offered by 2 distributions; name this one {name}:dots" for name in ("two", "one")
    ]


def test_a_broken_one_is_listed_with_its_reason_and_stops_nobody(
    install: Callable[..., None], capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    install("guest", {"dots": "load", "gone": "lost", "none": "nothing", "bad": "fails"})
    with pytest.raises(UsageError, match="'gone' is broken: AttributeError"):
        loading.load("gone", test=5)
    with pytest.raises(UsageError, match=r"expected its loader to return ltx\.Arrays, got NoneT"):
        loading.load("none", test=5)
    with pytest.raises(UsageError, match=r"KeyError: 'lost' \(.*line \d+: raise KeyError"):
        loading.load("bad", test=5)
    status = {p.name: p.status for p in plugins.plugins() if p.kind == "dataset"}
    assert status["dots"] == status["csv"] == "ok"
    assert status["gone"].startswith("broken: AttributeError")
    assert main(["data", "list", f"--data_dir={tmp_path}"]) == 0
    out = capsys.readouterr().out
    assert "Random numbers. More." in out
    assert "broken: AttributeError" in out
    assert "csv:..." in out


def test_every_data_set_of_ltx_has_a_sentence() -> None:
    own = [offer for offer in loading.offers() if offer.entry.value.startswith("ltx.")]
    assert {"arrays", "csv", "folder", "hf", "parquet"} <= {offer.name for offer in own}
    assert all(offer.sentence.endswith(".") and not offer.reason for offer in own)
