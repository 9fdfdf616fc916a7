"""Docs: whatever a reader can copy runs as it stands, with less training where that takes long."""

import ast
import dataclasses
import re
import shlex
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import studied
from ltx_plugins.imp import IMP
from test_walls import ROOMS

import ltx
from ltx import Pruning, Random, Recipe, Store, Task
from ltx.cli.main import main
from ltx.config import gin_files, plugins
from ltx.pruning.round import SCOPES
from ltx.testing import FakeLab

ROOT = Path(__file__).parents[1]
# The page on writing a finder is one long session, that of results all studies in full length; both
# have tests of their own.
OWN = {ROOT / "docs" / "writing-a-finder.md", ROOT / "docs" / "results.md"}
PAGES = [
    *(ROOT / "README.md", ROOT / "CONTRIBUTING.md"),
    *sorted(set((ROOT / "docs").glob("*.md")) - OWN),
]
TINY = ("--gin_param=Recipe.length='4it'", "--gin_param=Recipe.eval_every='2it'", "--seeds=1")


def blocks(page: Path, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", page.read_text(), re.MULTILINE | re.DOTALL)


def commands(start: str) -> list[str]:
    lines = [line for page in PAGES for block in blocks(page, "sh") for line in block.splitlines()]
    return [line for line in lines if line.startswith(start)]


LINTERS = ("ruff ", "mypy")


def test_every_shell_line_is_of_a_kind_that_is_checked_here():
    known = ("ltx ", "make ", "pip install -e ", "python3.11 -m venv ", ". .venv/bin/activate")
    known += ("python -m pytest ", *LINTERS, "pre-commit install")
    assert [line for line in commands("") if line and not line.startswith(known)] == []


def test_every_make_target_is_one():
    targets = re.findall(r"^(\w+):", (ROOT / "Makefile").read_text(), re.MULTILINE)
    for line in commands("make "):
        assert line.split()[1] in targets


@pytest.mark.parametrize("line", commands("python -m pytest "))
def test_every_tests_that_a_page_names_exist(line):
    paths = [word for word in shlex.split(line) if word.startswith("tests")]
    assert paths
    assert all((ROOT / path).exists() for path in paths)


def test_the_linters_of_the_pages_are_those_of_make_lint():
    lint = (ROOT / "Makefile").read_text().partition("\nlint:")[2].partition("\n\n")[0]
    shown = [line for start in LINTERS for line in commands(start)]
    assert shown == re.findall(r"\$\(BIN\)/(.*)", lint)


@pytest.mark.parametrize(
    "page", [*PAGES, *sorted(OWN), ROOT / "CHANGELOG.md"], ids=lambda page: page.name
)
def test_every_link_to_a_file_leads_there(page):
    text = re.sub(r"^```.*?^```", "", page.read_text(), flags=re.MULTILINE | re.DOTALL)
    for target in re.findall(r"\]\(([^)#]+)[^)]*\)", text):
        assert target.startswith("https://") or (page.parent / target).exists(), target


LONG = ("ltx run", "ltx explain")


@pytest.mark.parametrize(
    "line", [c for c in commands("ltx ") if not c.startswith(LONG) and "import" not in c]
)
def test_every_short_command_runs(line, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    studied.tiny(Path("ltx-store"))
    assert main(shlex.split(line)[1:]) == 0
    assert capsys.readouterr().out.strip()


def fewer(line: str) -> list[str]:
    """The settings that leave one round of pruning, and of a matrix one way to carry."""
    [name] = re.findall(r"studies/(\w+\.gin)", line)
    text = (ROOT / "gin_configs" / "studies" / name).read_text()
    finder = "imp" if "@imp()" in text else "early_rewind"
    made = [f"--gin_param={finder}.levels=1"]
    if "@Grid()" in text:
        made.append("--gin_param=Grid.settings={'source': %tasks, 'carry': ['sign']}")
    return made


@pytest.mark.slow
@pytest.mark.parametrize("line", commands("ltx run"))
def test_every_study_runs(line, tmp_path, fashion_mnist):
    words = [word.replace("gin_configs/", "") for word in shlex.split(line)[2:]]
    command = [sys.executable, "-m", "ltx", "run", *words, *TINY, *fewer(line)]
    command += [f"--store={tmp_path / 'store'}", f"--data_dir={fashion_mnist}"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "inconclusive: one seed cannot tell luck from merit" in done.stdout
    assert bool(list((tmp_path / "logs").rglob("*tfevents*"))) == ("--tensorboard=logs" in words)


@pytest.mark.slow
@pytest.mark.parametrize("line", commands("ltx explain"))
def test_every_study_is_explained(line, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main([*shlex.split(line)[1:], *TINY, *fewer(line)]) == 0
    assert capsys.readouterr().out.splitlines()[0].split()[:2] == ["task", "finder"]
    assert not list(tmp_path.iterdir())


def test_the_page_on_what_is_public_names_it_all():
    text = (ROOT / "docs" / "public-api.md").read_text()
    _, _, table = text.partition("## The names of ltx")
    named = re.findall(r"`(\w+)`", " ".join(row.split("|")[1] for row in table.splitlines() if row))
    assert sorted(named) == sorted(ltx.__all__)
    groups = re.findall(r"^(ltx\.\w+) =$", (ROOT / "setup.cfg").read_text(), re.MULTILINE)
    assert set(groups) <= set(re.findall(r"`(ltx\.\w+)`", text))


def test_a_name_that_was_renamed_still_works_and_warns():
    with pytest.warns(DeprecationWarning, match="ltx.inner is now ltx.require_finder"):
        assert ltx.inner is ltx.require_finder


def test_the_readme_shows_the_finder_as_it_is():
    shown = blocks(ROOT / "README.md", "python")[0]
    assert shown in (ROOT / "plugins" / "imp.py").read_text()


def test_the_readme_says_of_every_room_what_the_room_says():
    tree = {path.parent.name: path for path in (ROOT / "ltx").glob("*/__init__.py")}
    says = {room: ast.get_docstring(ast.parse(path.read_text())) for room, path in tree.items()}
    sentences = {room: " ".join(text.partition("\n\n")[0].split()) for room, text in says.items()}
    table = re.findall(r"^\| `ltx/(\w+)/` \| (.*) \|$", (ROOT / "README.md").read_text(), re.M)
    assert dict(table) == sentences
    assert [room for room, _ in table] == list(ROOMS)


def test_the_readme_has_every_finder_with_its_paper():
    rows = [line for line in (ROOT / "README.md").read_text().splitlines() if "arxiv.org" in line]
    for plugin in plugins.plugins():
        if (plugin.distribution, plugin.kind) == ("ltx-lottery", "finder"):
            assert any(f"`{plugin.name}`" in row.split("|")[1] for row in rows if row[0] == "|")


def test_the_page_on_finders_has_every_part_and_every_choice():
    text = (ROOT / "docs" / "finders.md").read_text()
    for name, cls in gin_files.CORE.items():
        if issubclass(cls, ltx.Structure) or cls.__module__ == "ltx.pruning.scores":
            assert f"| `@{name}()` |" in text
    for scope in SCOPES:
        assert f"`{scope}`" in text
    schedule = text.partition("## Schedule")[2]
    for plugin in plugins.plugins():
        if (plugin.distribution, plugin.kind) == ("ltx-lottery", "finder"):
            row = next(line for line in schedule.splitlines() if f"`{plugin.name}`" in line)
            fields = {f.name for f in dataclasses.fields(plugins.load(plugin.name))}
            assert set(re.findall(r"`(\w+)`", "|".join(row.split("|")[2:]))) <= fields


@pytest.mark.parametrize("text", [text for page in PAGES for text in blocks(page, "gin")])
def test_every_configuration_builds_a_study(text, tmp_path):
    (tmp_path / "study.gin").write_text(text)
    assert gin_files.load([str(tmp_path / "study.gin")]).study.finders


def test_the_code_that_reads_a_ticket_reads_it(tmp_path):
    store = Store(tmp_path / "store")
    ticket = list(IMP(levels=2).find(FakeLab()))[-1]
    store.put_ticket(ticket, Task(), IMP(), "imp")
    names = {"path": tmp_path / "store" / "tickets" / f"{ticket.id}.safetensors"}
    exec(blocks(ROOT / "docs" / "formats.md", "python")[0], names)
    assert names["manifest"]["density"] == ticket.density
    for name, keep in ticket.mask.items():
        assert (names["masks"][name] == keep).all()


def test_the_code_that_asks_for_useful_weights_gets_them():
    lab = FakeLab()
    mask = Pruning(0.95)(lab, lab.dense(), Random()(lab, lab.init(), lab.dense()))
    names = {"lab": lab, "mask": mask}
    exec(blocks(ROOT / "docs" / "masks.md", "python")[0], names)
    assert names["useful"] <= mask
    assert 0 < names["useful"].kept < mask.kept


@pytest.mark.slow
def test_the_code_that_compacts_a_ticket_compacts_it(tmp_path, monkeypatch, capsys):
    import tf_keras

    from ltx.backends.tf_keras.lab import KerasLab

    monkeypatch.chdir(tmp_path)
    task = Task(data="digits", recipe=Recipe(length="10it", eval_every="10it"))
    finder, store = IMP(levels=1, pruning=Pruning(rate=0.99)), Store("ltx-store")
    for ticket in finder.find(KerasLab(task, 0)):
        store.put_ticket(ticket, task, finder, "imp")
    names = {}
    exec(blocks(ROOT / "docs" / "compaction.md", "python")[0], names)
    smaller = tf_keras.models.load_model("smaller.keras")
    assert names["ticket"].level == 1
    whole, left = names["model"].count_params(), smaller.count_params()
    assert left < whole / 2
    assert capsys.readouterr().out.endswith(f"{whole} -> {left}\n")
    images, labels = names["loaded"].validation.take(range(64))
    scaled = (images - names["loaded"].mean) / names["loaded"].std
    assert (smaller(scaled).numpy().argmax(1) == labels).mean() > 0.2


@pytest.mark.slow
def test_the_page_on_python_runs_from_top_to_bottom(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    names = {"__name__": "page"}
    for block in blocks(ROOT / "docs" / "python.md", "python"):
        exec(block, names)
    assert names["results"].finished
    assert list(names["sparse"]["finder"].unique()) == ["imp"]
    assert names["means"].between(0, 1).all()
    assert "imp on digits/lenet_300_100: " in capsys.readouterr().out
    assert len(Path("log.txt").read_text().splitlines()) == 12
    assert len(Path("trials.csv").read_text().splitlines()) == 1 + 12


@pytest.mark.slow
def test_the_page_on_your_own_data_runs_from_top_to_bottom(tmp_path, monkeypatch):
    from ltx.data import image_cache

    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    rng, tf = np.random.default_rng(0), image_cache.tensorflow()
    rows = [f"{n / 7:.2f},0{n % 4}067,{'red' if n % 3 else 'white'}\n" for n in range(60)]
    Path("wine.csv").write_text("alcohol,zip,kind\n" + "".join(rows))
    rows = [f'"it was {"good" if n % 2 else "bad"}, {n}",{n % 2}\n' for n in range(60)]
    Path("reviews.csv").write_text("text,liked\n" + "".join(rows))
    for n in range(20):
        folder = Path("shapes", ("circle", "square")[n % 2])
        folder.mkdir(parents=True, exist_ok=True)
        picture = rng.integers(0, 256, (9 + n, 8, 3)).astype(np.uint8)
        (folder / f"{n}.png").write_bytes(tf.io.encode_png(picture).numpy())
    code = blocks(ROOT / "docs" / "your-own-data.md", "python")
    own = [block for block in code if block.startswith("# my_data.py")]
    Path("my_data.py").write_text("\n\n".join(own))
    names = {}
    for block in code:
        if block not in own:
            exec(block, names)
    assert names["results"].finished
    assert names["wine"].targets.names == ("red", "white")
    assert names["shapes"].image == (16, 16, 1)
    assert names["reviews"].inputs.tokens > 10
    assert names["sines"].targets.floating
    assert names["robust"].finished
