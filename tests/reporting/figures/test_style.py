"""Plot: files that papers can take, and words that fit."""

from pathlib import Path

from ltx.core.objectives.metric import ACCURACY
from ltx.reporting.figures import style
from ltx.reporting.figures.style import Plot


def drawn(name: str = "a-plot") -> Plot:
    figure, axes = style.metric_axes("$task_1$", "steps", ACCURACY)
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


def hue(name: str, places: list[str]) -> int:
    return style.COLOURS.index(style.style_of(places.index(name))[0]) % style.HUES


def test_a_control_never_has_the_hue_of_its_finder() -> None:
    finders = ["imp", *(f"control_{n}" for n in range(9)), "snip", "random"]
    controls = {name: ("imp",) for name in finders if "control" in name} | {"random": ("snip",)}
    places = style.positions(finders, controls)
    assert sorted(filter(None, places)) == sorted(finders)
    for control, held in controls.items():
        assert all(hue(control, places) != hue(one, places) for one in held)
    assert style.positions(["a", "b", "c"], {"c": ("a",)}) == ["a", "b", "c"]
    assert style.positions([], {}) == []
    # A control before its finder, and more finders than looks.
    assert hue("imp", (late := style.positions(["c", "x", "y", "z", "imp"], {"c": ("imp",)}))) != (
        hue("c", late)
    )
    many = [f"finder_{n}" for n in range(50)]
    assert style.positions(many, {}) == many
