"""Settings of every class and kind: each value works, or is refused in one line before training."""

import dataclasses
import math

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ltx import Finder, Lab, Recipe, Study, Task, UsageError
from ltx.cli.main import main
from ltx.config import gin_files, plugins
from ltx.study import loop
from ltx.study.grid import Grid
from ltx.testing import RECIPE, FakeLab

CLASSES = {**gin_files.CORE, **dict.fromkeys(plugins.entries())}
FIELDS = [
    (name, field.name)
    for name, cls in CLASSES.items()
    for field in dataclasses.fields(cls or plugins.load(name))
    if field.init
]
LENGTHS = [
    f"{n}{unit}" for n in ("0", "1", "0.5", "9" * 16, "1" + "0" * 400) for unit in ("it", "ep", "%")
]
PLAIN = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.sampled_from([10**9, 10**15, 10**30, 10**400, -(10**400), 1e308, 5e-324])
    | st.floats()
    | st.text(max_size=20)
    | st.sampled_from(["x" * 5000, "\x00", "../..", "a\nb", *LENGTHS])
    | st.binary(max_size=3)
)
VALUES = st.recursive(
    PLAIN,
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.lists(inner, max_size=4).map(tuple)
        | st.dictionaries(st.text(max_size=5) | st.integers(), inner, max_size=3)
    ),
    max_leaves=6,
) | st.tuples(*[st.sampled_from([True, 0, 1, 28, 10**5, 10**30])] * 3)


def fake(task: Task, seed: int, sealed: bool) -> Lab:
    return FakeLab(task, seed, sealed=sealed)


@settings(max_examples=30, suppress_health_check=[HealthCheck.too_slow])
@given(value=VALUES)
@pytest.mark.parametrize(("name", "field"), FIELDS)
def test_a_value_works_or_is_refused_in_one_line(name: str, field: str, value: object) -> None:
    cls = CLASSES[name] or plugins.load(name)
    needed = {"finder": plugins.load("imp"), "settings": {"levels": [1]}} if cls is Grid else {}
    if cls is Study:
        needed = {"finders": {"a": plugins.load("imp")(levels=1)}, "tasks": (Task(recipe=RECIPE),)}
    if name == "PolynomialDecay":
        needed = {"density": 0.5, "begin": 0, "end": 10}
    if "of" in cls.__dataclass_fields__ and name != "supermask":
        needed = {"of": plugins.load("imp")(levels=1)}
    refused = ""
    try:
        made = cls(**{**needed, field: value})
        study = None
        if isinstance(made, Finder):
            study = Study({"a": made}, tasks=(Task(recipe=RECIPE),), seeds=1)
        elif isinstance(made, Recipe):
            study = Study(
                **{"finders": {"a": plugins.load("imp")(levels=1)}}, tasks=(Task(recipe=made),)
            )
        elif isinstance(made, Task):
            assert made.id
        elif isinstance(made, Study):
            study = made
        if study is not None:
            loop.check(study, fake)
    except UsageError as error:
        refused = str(error)
    assert "\n" not in refused.replace(str(value), "")


@pytest.mark.parametrize(
    ("setting", "said"),
    [
        ("Recipe.length = '1" + "0" * 400 + "it'", ["duration", "at most 9,007,199,254,740,992"]),
        ("Recipe.warmup = '99999999999999999999ep'", ["duration", "at most"]),
        ("Recipe.learning_rate = 1" + "0" * 400, ["Recipe.learning_rate", "about 10**400"]),
        ("Task.model_args = None", ["Task.model_args", "arguments by name", "None"]),
        ("Task.model_args = {1: 2}", ["Task.model_args", "{1: 2}"]),
        (
            f"Task.data = '{'x' * 5000}'",
            ["Task.data", "at most 500 characters", "5,002 characters"],
        ),
        ("Task.image = (100000, 100000, 1)", ["Task.image", "16,777,216", "(100000, 100000, 1)"]),
        ("Task.image = (True, True, True)", ["Task.image", "(height, width, channels)", "True"]),
        ("Task.split_seed = -1", ["Task.split_seed", "at least 0"]),
        ("imp.levels = 1000000000", ["imp.levels", "at most 1000", "1000000000"]),
        ("Study.seeds = 1000000000", ["Study.seeds", "at most 100000"]),
        (f"imp.pruning = '{'x' * 50000}'", ["imp.pruning", "50,002 characters"]),
    ],
)
def test_it_is_one_short_line_with_exit_code_2(
    setting: str, said: list[str], tmp_path, monkeypatch, capfd
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["run", "--gin_file=studies/first_ticket.gin", f"--gin_param={setting}"]) == 2
    [line] = capfd.readouterr().err.splitlines()
    assert all(text in line for text in said), line
    assert len(line) < 1000
    assert not list(tmp_path.iterdir())


@pytest.mark.slow
def test_a_training_of_years_asks_for_a_budget(tmp_path, monkeypatch, capfd) -> None:
    monkeypatch.chdir(tmp_path)
    params = ["Recipe.length = '1000000000000000it'", "Study.seeds = 1"]
    words = ["--gin_file=studies/first_ticket.gin", *(f"--gin_param={text}" for text in params)]
    assert main(["run", *words]) == 2
    line = capfd.readouterr().err.splitlines()[-1]
    assert "one training of digits/lenet_300_100 is 1,000,000,000,000,000 steps, " in line
    assert "years at the speed of this machine" in line
    assert "--budget=2h" in line
    assert not list(tmp_path.glob("*/memo/*"))
    assert main(["run", *words, "--budget=3it"]) == 3
    assert main(["explain", *words]) == 2


def test_the_largest_settings_that_are_taken() -> None:
    assert Task(image=(4096, 4096, 1)).image == (4096, 4096, 1)
    assert Recipe(length=f"{2**53}it").steps(1) == 2**53
    assert math.isclose(Recipe(learning_rate=10**300).learning_rate, 1e300)
