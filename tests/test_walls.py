"""Walls: who may import what, read off the sources, and what a start may load."""

import ast
import graphlib
import importlib
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
LTX = sorted((ROOT / "ltx").rglob("*.py"))
PLUGINS = sorted((ROOT / "plugins").glob("*.py"))

# A room imports only from rooms that stand before it.
ROOMS = [
    *("core", "pruning", "evaluation", "store", "data", "backends", "study", "analysis"),
    *("reporting", "config", "testing", "cli"),
]
MOST_LINES, MOST_FILES = 300, 20


def module(path: Path) -> str:
    """A file's dotted name below ltx, a package's own file without its __init__."""
    return ".".join(path.relative_to(ROOT / "ltx").with_suffix("").parts).removesuffix(".__init__")


MODULES = {module(path): path for path in LTX}


def room(name: str) -> str:
    """The room of a module; "" of those at the top of ltx."""
    return name.partition(".")[0] if name.partition(".")[0] in ROOMS else ""


# Who imports a foreign library: files, or all of a folder.
ALLOWED: dict[str, set[str]] = {
    "tensorflow_model_optimization": {"backends.tf_keras.tfmot"},
    "tensorflow_datasets": {"data.tfds"},
    "gin": {"config.gin_files", "config.plugins"},
    "tensorflow": {"backends.tf_keras", "data.image_cache"},
    "tf_keras": {"backends.tf_keras"},
    "keras": set(),
    "numba": {"backends.sparse"},
    "llvmlite": {"backends.sparse"},
    "matplotlib": {"reporting.figures"},
    "jinja2": {"reporting.page"},
    "pandas": {"reporting.results"},
    "pyarrow": {"data.files", "reporting.tables", "reporting.results"},
    "tensorboard": {"reporting.event_file"},
}


def imports(path: Path) -> Iterator[str]:
    """The dotted names of all modules that a file imports, at its top or within functions."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            yield str(node.module)
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.Call) and ast.unparse(node.func).endswith("import_module"):
            yield from (str(a.value) for a in node.args if isinstance(a, ast.Constant))


def roots(path: Path) -> set[str]:
    return {name.partition(".")[0] for name in imports(path)}


def own(path: Path) -> set[str]:
    """The modules of ltx that a file imports, from its own room or another."""
    names = {name.removeprefix("ltx.") for name in imports(path) if name.startswith("ltx.")}
    return {name for name in names if name in MODULES and MODULES[name].stem != "__init__"}


@pytest.mark.parametrize("library", ALLOWED)
def test_a_foreign_library_has_one_wall_around_it(library: str) -> None:
    users = {name for name, path in MODULES.items() if library in roots(path)}
    for place in ALLOWED[library]:
        inside = {name for name in users if name == place or name.startswith(f"{place}.")}
        assert inside, f"{place} does not import {library}"
        users -= inside
    assert users == set()


def test_one_file_sets_what_tensorflow_reads_at_its_import() -> None:
    for variable in ("TF_USE_LEGACY_KERAS", "TF_CPP_MIN_LOG_LEVEL"):
        users = {name for name, path in MODULES.items() if variable in path.read_text()}
        assert users == {"core.environment"}


@pytest.mark.parametrize("path", LTX, ids=module)
def test_a_room_imports_only_rooms_before_it(path: Path) -> None:
    here = room(module(path))
    if here:
        seen = {room(name) for name in own(path)} - {here}
        assert seen <= set(ROOMS[: ROOMS.index(here)])


def test_within_a_room_arrows_run_one_way() -> None:
    graph = {name: own(path) for name, path in MODULES.items()}
    list(graphlib.TopologicalSorter(graph).static_order())  # raises CycleError


@pytest.mark.parametrize("name", ROOMS)
def test_a_room_says_what_lives_there_and_what_it_imports(name: str) -> None:
    text = ast.get_docstring(ast.parse((ROOT / "ltx" / name / "__init__.py").read_text())) or ""
    sentence, _, rest = text.partition("\n\n")
    assert sentence.endswith(".")
    used = {room(n) for m, p in MODULES.items() if room(m) == name for n in own(p)} - {name}
    said = re.search(r"^Imports: (.+)\.$", rest, re.MULTILINE)
    assert said is not None
    if said[1] not in ("every room", "no other room"):
        assert used <= set(said[1].split(", ")) <= set(ROOMS[: ROOMS.index(name)])
    assert (said[1] == "no other room") == (not used)


def test_every_folder_is_a_room_or_within_one() -> None:
    tops = {path.name for path in (ROOT / "ltx").iterdir() if path.name != "__pycache__"}
    assert tops == {*ROOMS, "__init__.py", "__main__.py", "py.typed"}


@pytest.mark.parametrize("path", LTX, ids=module)
def test_a_file_is_short(path: Path) -> None:
    assert len(path.read_text().splitlines()) <= MOST_LINES


def test_a_folder_holds_few_files() -> None:
    for folder in {path.parent for path in LTX}:
        assert len(list(folder.glob("*.py"))) <= MOST_FILES + 1, folder  # its __init__ aside


OUTSIDE = [
    *PLUGINS,
    *sorted((ROOT / "docs").glob("*.md")),
    ROOT / "README.md",
    *sorted((ROOT / "tools" / "finder_template").rglob("*.in")),
]


@pytest.mark.parametrize("path", OUTSIDE, ids=lambda path: path.name)
def test_outside_ltx_only_its_doors_are_used(path: Path) -> None:
    found = re.findall(r"(?:from|import) ltx\.(\w+)|from ltx import ([\w, ]+)", path.read_text())
    doors = {"testing", *importlib.import_module("ltx").__all__}
    for dotted, names in found:
        assert {dotted or "testing", *(n.strip() for n in names.split(",") if n)} <= doors


@pytest.mark.parametrize("path", LTX, ids=module)
def test_ltx_knows_no_plugin(path: Path) -> None:
    assert not roots(path) & {"ltx_plugins", "plugins"}
    # A name compared, or looked up: docstrings and errors may show one as an example.
    names = {plugin.stem for plugin in PLUGINS if plugin.stem != "__init__"}
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Compare | ast.Match | ast.Dict | ast.Set | ast.Tuple | ast.List):
            held = {
                n.value
                for n in ast.walk(node)
                if isinstance(n, ast.Constant) and isinstance(n.value, str)
            }
            assert not held & names


@pytest.mark.parametrize("path", PLUGINS, ids=lambda path: path.stem)
def test_a_plugin_imports_nothing_of_ltx_but_its_top(path: Path) -> None:
    assert not own(path)
    assert roots(path) <= sys.stdlib_module_names | {"ltx", "numpy"}


@pytest.mark.parametrize("path", PLUGINS, ids=lambda path: path.stem)
def test_a_plugin_uses_public_names_only(path: Path) -> None:
    import ltx

    used = {
        node.attr
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Attribute)
        and isinstance(node.value, ast.Name)
        and node.value.id == "ltx"
    }
    assert used <= set(ltx.__all__)


STORE_NAMES = (
    *("tickets", "found", "states", "trials", "stability", "studies"),
    *("memo", "locks", "damaged", "log.jsonl", "ltx-store.json"),
)


def path_parts(tree: ast.AST) -> Iterator[str]:
    """The strings of a file that are joined to a path, or read as one; docstrings aside."""
    for node in ast.walk(tree):
        joined = []
        if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Div):
            joined = [node.left, node.right]
        elif isinstance(node, ast.Call):
            if ast.unparse(node.func).endswith(("Path", "path.join", "joinpath", "glob")):
                joined = node.args
        elif isinstance(node, ast.JoinedStr):  # f"tickets/{id}", f"{folder}/tickets/{id}"
            joined = [part for part in node.values if "/" in ast.unparse(part)]
        strings = [n for part in joined for n in ast.walk(part) if isinstance(n, ast.Constant)]
        yield from (part for n in strings for part in str(n.value).split("/"))
        if isinstance(node, ast.Constant) and re.fullmatch(r"[\w./*-]+", str(node.value)):
            text = str(node.value)
            yield from text.split("/") if "/" in text and not text.endswith(".gin") else ()
            yield text if "." in text else ""  # log.jsonl alone is a path


@pytest.mark.parametrize("path", LTX, ids=module)
def test_only_one_file_builds_paths_of_a_store(path: Path) -> None:
    parts = set(path_parts(ast.parse(path.read_text()))) & set(STORE_NAMES)
    assert bool(parts) == (module(path) == "store.folder")


@pytest.mark.parametrize(
    "code",
    [
        'store.path / "tickets" / name',
        'store.path / f"tickets/{id}.safetensors"',
        'store.path / ("trials" if one else "states")',
        'open(f"{store.path}/memo/{key}")',
        'os.path.join(store.path, "damaged")',
        'store.path.joinpath("studies", name)',
        'name = "studies/x.json"',
        'name = "log.jsonl"',
        '(store.path / "memo").glob("*")',
    ],
)
def test_a_path_of_a_store_is_noticed(code: str) -> None:
    assert set(path_parts(ast.parse(code))) & set(STORE_NAMES)


def test_no_module_is_a_drawer() -> None:
    stems = {
        path.stem
        for folder in ("ltx", "plugins", "tools")
        for path in (ROOT / folder).rglob("*.py")
    }
    assert not stems & {"utils", "util", "common", "helpers", "base", "misc"}


def test_the_plugins_folder_is_no_package_of_that_name() -> None:
    done = subprocess.run(
        [sys.executable, "-c", "import plugins"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert "import ltx_plugins, not plugins" in done.stderr


HEAVY = (
    *("tensorflow", "tf_keras", "keras", "tensorflow_datasets", "tensorflow_model_optimization"),
    *("tensorboard", "pandas", "numba"),
)


@pytest.mark.parametrize(
    "code",
    [
        "import ltx",
        "import ltx.cli.main",
        "import ltx.testing",
        "from ltx.config import plugins; plugins.plugins()",
        "from ltx.store import memo, store; from ltx.study import definition, plan, status",
        "from ltx.analysis import transfer, verdict; from ltx.reporting import study_table",
        "from ltx.study import record; from ltx.reporting import page",
        "from ltx.config import gin_files; gin_files.load(['studies/first_ticket.gin'])",
        "from ltx.cli.main import main; main(['plugins'])",
        "from ltx.cli.main import main; main(['check', 'snip'])",
    ],
)
def test_a_light_start_loads_nothing_heavy(code: str) -> None:
    check = f"import sys\n{code}\nprint([m for m in {HEAVY} if m in sys.modules], file=sys.stderr)"
    done = subprocess.run([sys.executable, "-c", check], capture_output=True, text=True, check=True)
    assert done.stderr == "[]\n"
