"""A gin file runs no code: no text in it is imported, called or evaluated."""

import ast
import dataclasses
import sys
from pathlib import Path

import pytest
from ltx_plugins.imp import IMP

import ltx
from ltx import UsageError
from ltx.backends.tf_keras.models import builder
from ltx.cli.main import main
from ltx.config import gin_files, plugins
from ltx.core import trust

ROOT = Path(__file__).parents[2]
STUDY = "--gin_file=studies/first_ticket.gin"
TRAP = "from pathlib import Path\nPath({!r}).touch()\n\ndef net(**arguments):\n    import os\n"


@pytest.fixture
def trap(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A file that is there as soon as the module `trap_module` is imported."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "trap_module", raising=False)
    mark = tmp_path / "sprung"
    (tmp_path / "trap_module.py").write_text(TRAP.format(str(mark)) + "from os import system\n")
    return mark


@pytest.mark.parametrize("command", [["run"], ["explain"]])
@pytest.mark.parametrize("model", ["os.system", "os:system", "trap_module.net", "trap_module:net"])
def test_a_gin_file_calls_no_function_by_its_path(
    command: list[str], model: str, trap: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    called = trap.with_name("called")
    args = f"Task.model_args={{'command': 'touch {called}'}}"
    assert main([*command, STUDY, f"--gin_param=Task.model={model!r}", f"--gin_param={args}"]) == 2
    [line] = capfd.readouterr().err.splitlines()
    assert f"--trust={model[:-4].rstrip('.:') if 'net' in model else 'os'}" in line
    assert not called.exists()
    assert not trap.exists()


def test_a_gin_file_from_python_is_trusted_no_more(trap: Path) -> None:
    study, params = "studies/first_ticket.gin", ["Task.model = 'trap_module.net'"]
    with pytest.raises(UsageError, match=r"trust=\('trap_module',\)"):
        ltx.run(study, params=params)
    with pytest.raises(UsageError, match="expected packages"):
        ltx.run(study, params=params, trust="trap_module")
    assert not trap.exists()


def test_a_study_made_by_code_takes_no_trust(trap: Path) -> None:
    with pytest.raises(UsageError, match="`trust` is for a gin file"):
        ltx.run(ltx.Study({"imp": IMP()}), trust=["trap_module"])


def test_the_environment_names_trusted_packages(
    trap: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("LTX_TRUST", "mine,trap_module")
    assert main(["run", STUDY, "--gin_param=Task.model='trap_module.net'"]) == 2
    assert "returned a NoneType" in capfd.readouterr().err
    assert trap.exists()


def test_what_a_finder_opens_a_lab_with_is_held_to_the_same(trap: Path) -> None:
    with trust.only([], "--trust"), pytest.raises(UsageError, match="--trust=trap_module"):
        builder.build("trap_module.net", (2, 2, 1), 3)
    assert not trap.exists()
    with trust.only(["trap_module"], "--trust"), pytest.raises(UsageError, match="'posix'"):
        builder.build("trap_module.system", (2, 2, 1), 3, {"command": "false"})


def test_no_setting_of_any_class_imports_what_it_names(trap: Path) -> None:
    classes = [*gin_files.CORE, *plugins.entries()]
    for name in classes:
        cls = gin_files.CORE.get(name) or plugins.load(name)
        for field in dataclasses.fields(cls):
            param = f"{name}.{field.name} = 'trap_module.net'"
            with trust.only([], "--trust"):
                try:
                    gin_files.build(name, params=[param])
                except UsageError:
                    continue
    assert not trap.exists()
    assert "trap_module" not in sys.modules


# Where a name becomes code: gin's imports behind their flag, entry points, fixed names, and models.
RESOLVERS = {
    "ltx/__init__.py": 1,  # ltx's own lazy names
    "ltx/reporting/results.py": 1,  # ltx's own tables
    "ltx/config/gin_files.py": 1,  # `import` statements, with --allow_gin_imports
    "ltx/core/trust.py": 1,  # models and data sets, after trust.require
    "ltx/testing/other_process.py": 2,  # the finder under test, in its other process
    "ltx/testing/setting_checks.py": 1,  # the repr of the finder under test
}
CALLS = ("import_module", "__import__", "eval", "exec", "resolve_name", "spec_from_file_location")


def test_nothing_else_turns_a_name_into_code() -> None:
    found: dict[str, int] = {}
    for path in [*(ROOT / "ltx").rglob("*.py"), *(ROOT / "plugins").glob("*.py")]:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call):
                called = getattr(node.func, "id", getattr(node.func, "attr", ""))
                if called in CALLS:
                    name = str(path.relative_to(ROOT))
                    found[name] = found.get(name, 0) + 1
    assert found == RESOLVERS


DATA = "import numpy as np\nimport ltx\n\ndef load(rows=60):\n"
DATA += "    x = np.arange(2.0 * rows).reshape(rows, 2)\n"
DATA += "    return ltx.Arrays(x, np.arange(rows) % 2)\n"


@pytest.mark.slow
def test_a_data_set_is_a_function_of_a_trusted_package_alone(
    trap: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    params = ["Task.data='trap_module.load'", "Task.model='mlp'", "Task.test=0.2"]
    params += ["Task.data_args={'rows': 80}", "imp.levels=1", "Recipe.length='4it'"]
    params += ["Recipe.batch_size=8"]
    command = ["run", STUDY, "--seeds=1", *(f"--gin_param={param}" for param in params)]
    with (trap.parent / "trap_module.py").open("a") as file:
        file.write(DATA)
    assert main(command) == 2
    [line] = capfd.readouterr().err.splitlines()
    assert "Task.data 'trap_module.load' would run the package" in line
    assert "--trust=trap_module" in line
    assert not trap.exists()
    assert main([*command, "--trust=trap_module"]) == 0
    assert trap.exists()
