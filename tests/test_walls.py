"""Walls: who may import what, read off the sources, and what a start may load."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
LTX = sorted((ROOT / "ltx").glob("*.py"))
PLUGINS = sorted((ROOT / "plugins").glob("*.py"))

# A module imports only what stands before it.
ORDER = [
    "errors",
    "checks",
    "quiet",
    "absent",
    "duration",
    "identity",
    "weight",
    "channels",
    "clock",
    "cost",
    "mask",
    "flops",
    "state",
    "recipe",
    "sample",
    "task",
    "order",
    "history",
    "run",
    "learned",
    "selection",
    "structures",
    "schedule",
    "lab",
    "around",
    "effective",
    "stability",
    "scores",
    "densities",
    "pruning",
    "ticket",
    "overlap",
    "control",
    "finder",
    "grid",
    "trial",
    "bench",
    "aim",
    "versions",
    "manifest",
    "sealed",
    "folder",
    "found",
    "log",
    "store",
    "instability",
    "presence",
    "budget",
    "memo",
    "took",
    "measure",
    "study",
    "record",
    "paired",
    "words",
    "cell",
    "plan_lab",
    "plan",
    "pace",
    "verdict",
    "transfers",
    "table",
    "outlook",
    "status",
    "connectivity",
    "summary",
    "curve",
    "likeness",
    "export",
    "plot",
    "time_axis",
    "heat_map",
    "layer_map",
    "figures",
    "valleys",
    "mask_figures",
    "report",
    "event_file",
    "board",
    "engine",
    "registry",
    "config",
    "bindings",
    "elsewhere",
    "check_settings",
    "check_tickets",
    "check_conduct",
    "conformance",
    "fake_network",
    "fake_lab",
    "testing",
    "dataset",
    "digits",
    "fashion_mnist",
    "image_cache",
    "prepared",
    "data",
    "parts",
    "residual",
    "architectures",
    "models",
    "geometry",
    "variables",
    "graph",
    "kinds",
    "wiring",
    "constants",
    "compact",
    "masking",
    "optimizer",
    "device",
    "feed",
    "compiled",
    "objective",
    "sensitivity",
    "calibration",
    "meter",
    "paths",
    "loop",
    "program",
    "mask_program",
    "keras_lab",
    "doctor",
    "runner",
    "__init__",
    "commands",
    "cli",
    "__main__",
]

# Who imports a foreign library.
ALLOWED: dict[str, set[str]] = {
    "tensorflow_model_optimization": {"masking"},
    "tensorflow_datasets": {"data"},
    "gin": {"config", "registry"},
    "tensorflow": {
        *("parts", "residual", "architectures"),
        *("models", "geometry", "variables", "masking", "optimizer"),
        *("graph", "kinds", "wiring", "constants", "compact"),
        *("calibration", "compiled", "paths"),
        *("image_cache", "device", "feed", "objective", "sensitivity", "meter", "loop"),
        *("program", "mask_program"),
    },
    "tf_keras": {
        *("parts", "residual", "architectures"),
        *("models", "geometry", "variables", "masking", "optimizer"),
        *("graph", "kinds", "wiring", "constants", "compact"),
        *("objective", "paths", "program"),
    },
    "keras": set(),
    "matplotlib": {
        *("plot", "time_axis", "heat_map", "layer_map"),
        *("figures", "valleys", "mask_figures"),
    },
    "jinja2": {"report"},
    "pyarrow": {"export"},
    "tensorboard": {"event_file"},
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
    """The modules of ltx that a file imports."""
    names = {path.stem for path in LTX}
    parts = [name.split(".") for name in imports(path)]
    return {p[1] for p in parts if p[0] == "ltx" and len(p) > 1 and p[1] in names}


@pytest.mark.parametrize("library", ALLOWED)
def test_a_foreign_library_has_one_wall_around_it(library: str) -> None:
    users = {path.stem for path in LTX if library in roots(path)}
    assert users == ALLOWED[library]


def test_every_module_stands_in_the_order() -> None:
    assert sorted(ORDER) == sorted(path.stem for path in LTX)


@pytest.mark.parametrize("path", LTX, ids=lambda path: path.stem)
def test_a_module_imports_only_what_stands_before_it(path: Path) -> None:
    before = set(ORDER[: ORDER.index(path.stem)])
    assert own(path) <= before


@pytest.mark.parametrize("path", LTX, ids=lambda path: path.stem)
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
    "tensorboard",
)


@pytest.mark.parametrize(
    "code",
    [
        "import ltx",
        "import ltx.cli",
        "import ltx.testing",
        "from ltx import registry; registry.plugins()",
        "from ltx import store, memo, study, plan, status, verdict, summary",
        "from ltx import record, report",
        "from ltx import config; config.load(['studies/first_ticket.gin'])",
        "from ltx import cli; cli.main(['plugins'])",
        "from ltx import cli; cli.main(['check', 'snip'])",
    ],
)
def test_a_light_start_loads_nothing_heavy(code: str) -> None:
    check = f"import sys\n{code}\nprint([m for m in {HEAVY} if m in sys.modules], file=sys.stderr)"
    done = subprocess.run([sys.executable, "-c", check], capture_output=True, text=True, check=True)
    assert done.stderr == "[]\n"
