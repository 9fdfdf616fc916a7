"""Grid: every combination becomes one plain finder, and what cannot be meant is refused."""

import dataclasses
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from ltx_plugins.imp import IMP
from ltx_plugins.oneshot import OneShot

from ltx import Finder, Lab, Pruning, Random, Ticket, UsageError
from ltx.config import gin_files
from ltx.study.definition import Study
from ltx.study.grid import Grid


@dataclasses.dataclass(frozen=True)
class Plain(Finder):
    """Takes anything."""

    a: Any = 0
    b: Any = 0
    c: Any = "default"

    def find(self, lab: Lab) -> Iterator[Ticket]:
        yield Ticket.of(lab, lab.dense(), lab.init())


VALUES = st.lists(st.integers(0, 99) | st.sampled_from("xyz"), min_size=1, max_size=5, unique=True)


@given(a=VALUES, b=VALUES)
def test_every_combination_is_there_once_under_its_words(a: list, b: list) -> None:
    made = Grid(Plain, {"a": a, "b": b}).finders("all")
    assert made == {f"all {x} {y}": Plain(a=x, b=y) for x in a for y in b}
    assert list(made) == [f"all {x} {y}" for x in a for y in b]


def test_values_by_words_are_labelled_by_them() -> None:
    made = Grid(Plain, {"a": {"by half": Pruning(rate=0.5), "some": Pruning()}}).finders("imp")
    assert made == {"imp by half": Plain(a=Pruning(rate=0.5)), "imp some": Plain(a=Pruning())}
    assert list(Grid(Plain, {"a": ["x"]}).finders("")) == ["x"]


def test_a_study_takes_the_grids_finders_in_its_place() -> None:
    grid = Grid(OneShot, {"density": [0.1, 0.3]})
    made = Study({"imp": IMP(), "random": grid, "last": IMP(levels=1)})  # type: ignore[dict-item]
    assert list(made.finders) == ["imp", "random 0.1", "random 0.3", "last"]
    by_hand = {
        "imp": IMP(),
        "random 0.1": OneShot(density=0.1),
        "random 0.3": OneShot(density=0.3),
        "last": IMP(levels=1),
    }
    assert made.finders == by_hand
    assert made.id == Study(by_hand).id


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"densty": [0.1]}, "setting of OneShot in Grid.settings 'densty': did you mean density"),
        ({}, "Grid.settings: expected values by setting"),
        ([0.1], "Grid.settings: expected values by setting"),
        ({"density": []}, "Grid.settings['density']: expected at least one value"),
        ({"density": {}}, "Grid.settings['density']: expected at least one value"),
        ({"density": 0.1}, "Grid.settings['density']: expected at least one value"),
        ({"scope": "global"}, "Grid.settings['scope']: expected at least one value"),
        ({"score": [Random()]}, "give it a word, as in {'word': value}"),
        ({"density": {"1": 0.1, 1: 0.2}}, "two finders would be labelled '1'"),
        ({"density": [0.1, 7]}, "oneshot.density: expected a number"),
    ],
)
def test_settings_that_cannot_be_meant_are_refused(settings: Any, words: str) -> None:
    with pytest.raises(UsageError) as caught:
        Grid(OneShot, settings)
    assert words in str(caught.value)


@pytest.mark.parametrize("finder", [None, IMP(), Pruning, "imp"])
def test_only_a_finders_class_is_taken(finder: Any) -> None:
    with pytest.raises(UsageError, match=r"Grid\.finder: expected a finder's class, as in @imp"):
        Grid(finder, {"levels": [1]})


def test_two_finders_of_one_label_are_refused() -> None:
    grid: Any = Grid(IMP, {"levels": [1, 2]})
    with pytest.raises(UsageError, match="two finders are labelled 'imp 2'; rename the entry"):
        Study({"imp 2": IMP(), "imp": grid})


GIN = """
Study.tasks = [@Task()]
Study.finders = {'imp': @imp(), 'random': @Grid(), 'scoped': @scoped/Grid()}
Grid.finder = @oneshot
Grid.settings = {'density': [0.1, 0.3], 'score': {'chance': @Random(), 'size': @Magnitude()}}
oneshot.scope = 'layer'
scoped/Grid.settings = {'density': %densities}
scoped/oneshot.scope = 'erk'
densities = [0.2]
"""


def test_a_grid_in_gin_binds_the_other_settings(tmp_path: Any) -> None:
    path = tmp_path / "grid.gin"
    path.write_text(GIN)
    made = gin_files.load([str(path)]).study
    labels = ["0.1 chance", "0.1 size", "0.3 chance", "0.3 size"]
    assert list(made.finders) == ["imp", *(f"random {label}" for label in labels), "scoped 0.2"]
    assert made.finders["random 0.1 chance"] == OneShot(density=0.1, score=Random(), scope="layer")
    assert made.finders["scoped 0.2"] == OneShot(density=0.2, scope="erk")
    assert {type(f) for f in made.finders.values()} == {IMP, OneShot}


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ("Grid.settings = {'densty': [0.1]}", "did you mean density"),
        ("Grid.finder = @oneshot()", "without parentheses, got"),
        ("random_reinit.mask = 'random'", "nothing in the study uses random_reinit"),
        ("Grid.finders = 1", "unknown parameter of Grid 'finders': did you mean finder"),
        ("Grid.cells = 1", "unknown parameter of Grid 'cells'"),
        ("oneshot.densty = 0.1", "unknown parameter of oneshot 'densty': did you mean density"),
        ("Grid.settings = {'density': [7]}", "oneshot.density: expected a number"),
    ],
)
def test_mistakes_in_gin_are_told_in_one_line(tmp_path: Any, more: str, words: str) -> None:
    path = tmp_path / "grid.gin"
    path.write_text(GIN + more)
    with pytest.raises(UsageError) as caught:
        gin_files.load([str(path)])
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)
