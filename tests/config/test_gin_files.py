"""Config: every shipped file builds, none runs code, and a mistake is one line with a remedy."""

import dataclasses
import textwrap
from pathlib import Path

import pytest
from ltx_plugins.imp import IMP

import ltx
from ltx import Blocks, Criterion, Pruning, Random, UsageError
from ltx.backends.tf_keras.lab import KerasLab
from ltx.config import gin_files
from ltx.config.gin_files import Config
from ltx.study import loop

SHIPPED = Path(__file__).parents[2] / "gin_configs"
STUDIES = sorted(SHIPPED.glob("studies/*.gin"))
SMALL = """
Study.finders = {'imp': @imp()}
Study.tasks = [@Task()]
Task.recipe = @Recipe()
"""


def write(folder: Path, text: str, name: str = "study.gin") -> str:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return str(path)


def load(folder: Path, text: str, *params: str, allow: bool = False) -> Config:
    return gin_files.load([write(folder, text)], params, allow)


@pytest.mark.parametrize("path", STUDIES, ids=[p.stem for p in STUDIES])
def test_every_shipped_study_builds(path: Path) -> None:
    asked = gin_files.load([str(path)])
    assert asked.study.finders
    head = path.read_text().split("\n\n")[0]
    assert "# Paper: " in head
    assert f"# Command: ltx run --gin_file=gin_configs/studies/{path.name}" in head
    assert "# Time: " in head
    assert "# Expected: " in head


OF_FASHION = [p for p in STUDIES if "fashion" in p.read_text()]
# Generated, or of scikit-learn.
OF_OTHERS = ("mnist1d_tickets", "breast_cancer", "wine", "diabetes", "relief")
EMBEDDED = [path for path in STUDIES if path.stem in OF_OTHERS]
OF_DIGITS = [p for p in STUDIES if "tasks/digits" in p.read_text() and p not in OF_FASHION]


def fits(path: Path, data_dir: str | None = None) -> None:
    asked = gin_files.load([str(path)]).study
    loop.check(asked, lambda *cell: KerasLab(*cell[:2], sealed=cell[2], data_dir=data_dir))


@pytest.mark.parametrize("path", OF_DIGITS, ids=lambda path: path.stem)
def test_every_shipped_study_of_digits_fits_its_network(path: Path) -> None:
    fits(path)


@pytest.mark.parametrize("path", EMBEDDED, ids=lambda path: path.stem)
def test_shipped_studies_of_other_kinds_fit_their_networks(path: Path) -> None:
    fits(path)


@pytest.mark.slow
@pytest.mark.parametrize("path", OF_FASHION, ids=lambda path: path.stem)
def test_every_shipped_study_of_fashion_mnist_fits_its_network(
    path: Path, fashion_mnist: str
) -> None:
    fits(path, fashion_mnist)


def test_every_shipped_part_is_used_by_a_study() -> None:
    text = "".join(path.read_text() for path in STUDIES)
    parts = [p for p in SHIPPED.rglob("*.gin") if p.parent.name != "studies"]
    assert parts
    for part in parts:
        assert f"include '{part.relative_to(SHIPPED)}'" in text


def test_a_shipped_study_is_found_by_its_short_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    asked = gin_files.load(["studies/first_ticket.gin"])
    assert list(asked.study.finders) == ["imp", "reinit"]
    assert asked.study.finders["imp"] == IMP(levels=7, pruning=Pruning(rate=0.4))


def test_what_is_bound_is_built(tmp_path: Path) -> None:
    asked = load(
        tmp_path, SMALL + "imp.levels = 3\nEngine.compile = 'graph'\nRecipe.batch_size = 32\n"
    )
    assert asked.study.finders == {"imp": IMP(levels=3)}
    assert asked.engine.compile == "graph"
    assert asked.study.tasks[0].recipe.batch_size == 32
    assert "imp.levels = 3" in asked.text


def test_parameters_override_files(tmp_path: Path) -> None:
    asked = load(tmp_path, SMALL + "imp.levels = 3", "imp.levels = 5", "Study.seeds = (4, 7)")
    assert asked.study.finders["imp"] == IMP(levels=5)
    assert asked.study.seeds == (4, 7)


def test_one_load_leaves_nothing_for_the_next(tmp_path: Path) -> None:
    load(tmp_path, SMALL + "imp.levels = 3")
    assert load(tmp_path, SMALL).study.finders["imp"] == IMP()


def test_macros_and_scopes_work(tmp_path: Path) -> None:
    text = """
    levels = 2
    Study.finders = {'a': @a/imp(), 'b': @b/imp()}
    a/imp.levels = %levels
    b/imp.levels = 4
    """.replace("    ", "")
    assert load(tmp_path, text).study.finders == {"a": IMP(levels=2), "b": IMP(levels=4)}


def test_an_at_sign_in_a_text_is_only_text(tmp_path: Path) -> None:
    text = (
        SMALL.replace("@imp()", "@transfer()")
        + "transfer.source = 'x'\ntransfer.store = '/data/me@host/s'"
    )
    finder = load(tmp_path, text).study.finders["imp"]
    assert finder.store == "/data/me@host/s"  # type: ignore[attr-defined]


def test_a_binding_block_is_understood(tmp_path: Path) -> None:
    asked = load(tmp_path, "Study:\n  finders = {'imp': @imp()}\n  seeds = 2\nimp:\n  levels = 3\n")
    assert asked.study.finders == {"imp": IMP(levels=3)}


def test_structures_and_scores_are_bound_by_name(tmp_path: Path) -> None:
    text = """
    Study.finders = {'channels': @imp()}
    imp.pruning = @Pruning()
    imp.score = @Criterion()
    Criterion.name = 'movement'
    Pruning.structure = @Blocks()
    Blocks.height = 2
    """
    asked = load(tmp_path, textwrap.dedent(text)).study.finders["channels"]
    assert asked == IMP(pruning=Pruning(structure=Blocks(2)), score=Criterion("movement"))


def refused(folder: Path, text: str, *params: str) -> str:
    """The one line with which this configuration is refused."""
    with pytest.raises(UsageError) as caught:
        load(folder, text, *params)
    message = str(caught.value)
    assert "\n" not in message
    assert caught.value.exit_code == 2
    return message


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("Study.finders = {'a': @impp()}", ["'impp'", "did you mean imp", "study.gin"]),
        ("Study.finders = {'a': @imp()}\nimp.level = 3", ["imp", "'level'", "did you mean levels"]),
        ("Studdy.seeds = 3", ["'Studdy'", "did you mean Study"]),
        ("Study.seed = 3", ["'seed'", "did you mean seeds"]),
        ("Recipe.learning_rte = 0.1", ["did you mean learning_rate"]),
        ("Study.tasks = [@Taks()]", ["'Taks'", "did you mean Task"]),
    ],
)
def test_an_unknown_name_shows_the_close_ones(tmp_path: Path, text: str, words: list[str]) -> None:
    message = refused(tmp_path, text)
    assert all(word in message for word in words), message


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("Pruning.rate = 2\nimp.pruning = @Pruning()", "Pruning.rate: expected a share"),
        ("Recipe.optimizer = 'adma'", "did you mean adam"),
        ("Recipe.length = '5'", "duration '5'"),
        ("imp.levels = -1", "imp.levels: expected a whole number"),
        ("Study.seeds = 0", "Study.seeds"),
        ("Engine.compile = 'jax'", "Engine.compile"),
        ("imp.levels = %nothing", "%nothing is used but never set; add nothing = ..."),
        ("imp.levels = three", "three"),
        ("imp.levels = ", "study.gin"),
        ("imp.levels = [1, ", "study.gin"),
        ("Study.finders = {'a': @random_reinit()}", "random_reinit.of: expected a finder"),
        ("Study.finders = {'a': @imp}", "expected a finder, as in @imp()"),
        ("Study.finders = {'a': @Task()}", "expected a finder"),
        ("include 'nowhere.gin'", "nowhere.gin"),
    ],
)
def test_a_mistake_is_one_line(tmp_path: Path, text: str, words: str) -> None:
    assert words in refused(tmp_path, f"{SMALL}{text}\n")


def test_a_mistake_in_a_parameter_is_one_line(tmp_path: Path) -> None:
    assert "--gin_param" in refused(tmp_path, SMALL, "impp.levels = 3")
    assert "whole number" in refused(tmp_path, SMALL, "imp.levels = 0")


def test_no_study_is_said_so() -> None:
    with pytest.raises(UsageError, match=r"Study\.finders: expected finders"):
        gin_files.load([], ["Study.seeds = 1"])


def test_a_file_that_is_not_there_is_named_with_the_places(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"'none\.gin': not found in .*gin_configs"):
        gin_files.load(["none.gin"])
    with pytest.raises(UsageError, match="not found"):
        gin_files.load([str(tmp_path)])


# A module that shows that it ran: whatever reaches it has run code from a configuration.
TRAP = "from pathlib import Path\nPath(__file__).with_name('ran').touch()\n"


@pytest.fixture
def trap(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "trap"
    write(folder, TRAP, f"trap_{tmp_path.name}.py")
    monkeypatch.syspath_prepend(folder)
    return folder / "ran"


IMPORTS = [
    "import MODULE",
    "  import MODULE",
    "import MODULE as m",
    "from MODULE import Path",
    "from __gin__ import dynamic_registration\nimport MODULE",
    "import\\\n MODULE",
    "\\\nimport MODULE",
    "import\tMODULE",
    "import\x0cMODULE",
    "\x0cimport MODULE",
    "Study.seeds = 1  # comment\nimport MODULE",
]


@pytest.mark.parametrize("statement", IMPORTS)
@pytest.mark.parametrize("where", ["file", "parameter", "include"])
def test_imports_are_refused_and_never_run(
    tmp_path: Path, trap: Path, statement: str, where: str
) -> None:
    statement = statement.replace("MODULE", f"trap_{tmp_path.name}")
    write(tmp_path, f"{statement}\n", "parts/inner.gin")
    files = {"file": f"{statement}\n", "include": "include 'parts/inner.gin'\n", "parameter": ""}
    params = [statement] if where == "parameter" else []
    with pytest.raises(UsageError) as caught:
        load(tmp_path, SMALL + files[where], *params)
    assert not trap.exists()
    assert where == "parameter" or "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "include",
    [
        "include 'evil.gin'",
        'include "evil.gin"',
        "include\\\n 'evil.gin'",
        "include 'ev' 'il.gin'",
        "include '''evil.gin'''",
        "include 'e\\x76il.gin'",
        "include r'evil.gin'",
    ],
)
def test_no_way_to_include_hides_an_import(tmp_path: Path, trap: Path, include: str) -> None:
    write(tmp_path, f"import trap_{tmp_path.name}\n", "evil.gin")
    with pytest.raises(UsageError):
        load(tmp_path, f"{SMALL}{include}\n")
    assert not trap.exists()


def test_the_file_that_is_checked_is_the_file_that_is_read(tmp_path: Path, trap: Path) -> None:
    write(tmp_path, "imp.levels = 7\n", "sub/twin.gin")
    write(tmp_path, f"import trap_{tmp_path.name}\n", "twin.gin")
    write(tmp_path, "include 'twin.gin'\n", "sub/part.gin")
    try:
        asked = load(tmp_path, f"{SMALL}include 'sub/part.gin'\n")
    except UsageError:
        assert not trap.exists()
        return
    assert not trap.exists()
    assert asked.study.finders["imp"] == IMP(levels=7)


def test_includes_of_an_earlier_load_are_not_found_later(tmp_path: Path) -> None:
    write(tmp_path, "imp.levels = 7\n", "one/part.gin")
    write(tmp_path, SMALL + "include 'part.gin'\n", "one/study.gin")
    write(tmp_path, "imp.levels = 8\n", "two/part.gin")
    write(tmp_path, SMALL + "include 'part.gin'\n", "two/study.gin")
    for name, levels in (("one", 7), ("two", 8)):
        asked = gin_files.load([str(tmp_path / name / "study.gin")])
        assert asked.study.finders["imp"] == IMP(levels=levels)


def test_a_circle_of_includes_is_refused(tmp_path: Path) -> None:
    write(tmp_path, "include 'b.gin'\n", "a.gin")
    write(tmp_path, "include 'a.gin'\n", "b.gin")
    with pytest.raises(UsageError):
        load(tmp_path, f"{SMALL}include 'a.gin'\n")


def test_imports_run_where_they_are_allowed(tmp_path: Path, trap: Path) -> None:
    asked = load(tmp_path, f"import trap_{tmp_path.name}\n{SMALL}", allow=True)
    assert trap.exists()
    assert asked.study.finders["imp"] == IMP()


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("Study.finders = {'a': @imp()}\nTask.data = 'mnist'", "Study.tasks = [@Task()]"),
        (SMALL.replace("Task.recipe", "# ") + "Recipe.length = '5it'", "Task.recipe = @Recipe()"),
        (SMALL + "Pruning.rate = 0.5", "imp.pruning = @Pruning()"),
        (SMALL + "transfer.head = 'random'", "nothing in the study uses transfer"),
        (SMALL + "other/imp.levels = 3", "imp.levels is set, but nothing"),
        (SMALL + "levls = 3\nlevels = 2\nimp.levels = %levels", "'levls': did you mean levels?"),
    ],
)
def test_a_setting_that_nothing_reads_is_refused(tmp_path: Path, text: str, words: str) -> None:
    message = refused(tmp_path, text)
    assert words in message, message


def test_a_macro_whose_place_is_bound_anew_is_no_mistake(tmp_path: Path) -> None:
    asked = load(tmp_path, SMALL + "levels = 2\nimp.levels = %levels", "imp.levels = 3")
    assert asked.study.finders == {"imp": IMP(levels=3)}


def test_every_setting_that_ltx_offers_authors_is_bound_by_name() -> None:
    modules = ("ltx.pruning.", "ltx.core.recipe", "ltx.core.task")
    offered = {
        name
        for name, value in vars(ltx).items()
        if name in ltx.__all__
        and getattr(value, "__module__", "").startswith(modules)
        and dataclasses.is_dataclass(value)
        and not getattr(value, "__abstractmethods__", ())
    }
    assert offered >= {"Synflow", "NofM", "EdgePopup", "PolynomialDecay"}
    assert offered <= gin_files.CORE.keys()


def test_a_setting_for_all_scopes_is_used_by_any_of_them(tmp_path: Path) -> None:
    text = SMALL.replace("@imp()", "@deep/imp()") + "imp.levels = 2\ndeep/imp.score = @Random()\n"
    assert load(tmp_path, text).study.finders["imp"] == IMP(levels=2, score=Random())


def test_the_tasks_of_a_file_are_those_of_its_study_or_its_own() -> None:
    assert gin_files.tasks([], ["imp.levels = 2"]) == {}
    [task] = gin_files.tasks(["tasks/digits_convnet.gin"], ["Recipe.length = '9it'"]).values()
    assert (task.model, task.recipe.length) == ("convnet", "9it")
    two = ["Study.finders = {'imp': @imp()}", "Study.tasks = [@a/Task(), @b/Task()]"]
    two += ["a/Task.data = 'digits'", "b/Task.data = 'mnist'"]
    assert [t.data for t in gin_files.tasks([], two).values()] == ["digits", "mnist"]
