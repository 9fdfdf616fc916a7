"""Plot: files that papers can take, and words that fit."""

from pathlib import Path

from ltx.reporting.figures import style
from ltx.reporting.figures.style import Plot


def drawn(name: str = "a-plot") -> Plot:
    figure, axes = style.axes("$task_1$", "steps", "test accuracy")
    axes.plot([1, 2], [0.5, 0.9])
    return Plot(name, "a title", "some words", figure)


def test_a_plot_is_written_for_papers_and_always_the_same(tmp_path: Path) -> None:
    paths = drawn().write(tmp_path / "new" / "folder")
    assert [path.name for path in paths] == ["a-plot.svg", "a-plot.pdf"]
    assert paths[1].read_bytes().startswith(b"%PDF")
    again = drawn().write(tmp_path / "again")
    assert [p.read_bytes() for p in paths] == [p.read_bytes() for p in again]


def test_text_stays_text_and_no_name_is_taken_for_mathematics() -> None:
    svg = drawn().svg()
    assert ">$task_1$<" in svg
    assert ">50%<" in svg


def test_each_of_many_finders_has_looks_of_its_own() -> None:
    assert len({style.style_of(place) for place in range(36)}) == 36
    assert len({style.style_of(place)[0] for place in range(6)}) == 6


def test_words_fit() -> None:
    assert style.truncate("imp", 3) == "imp"
    assert len(style.truncate("a long name", 5)) == 5
    assert style.truncate("a\x00b", 5).isprintable()
    assert style.file_name("cost", "../my data/net", "$x") == "cost-..-my-data-net-x"
