"""Packaging: a wheel holds the library, the plugins under their own name, and the gin files."""

import subprocess
import sys
import sysconfig
import venv
import zipfile
from importlib import metadata
from pathlib import Path

import pytest

from ltx.config import plugins

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A wheel built from a copy, so that nothing is left in this folder."""
    source, out = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("wheel")
    for name in ("ltx", "plugins", "gin_configs", "setup.cfg", "pyproject.toml", "README.md"):
        subprocess.run(["cp", "-r", ROOT / name, source], check=True)
    pip = [sys.executable, "-m", "pip", "wheel", "--no-deps", "--no-build-isolation", "--quiet"]
    subprocess.run([*pip, f"--wheel-dir={out}", str(source)], check=True, capture_output=True)
    return next(out.glob("*.whl"))


def contents(wheel: Path) -> set[str]:
    return set(zipfile.ZipFile(wheel).namelist())


@pytest.mark.slow
def test_every_module_and_configuration_ships(wheel: Path) -> None:
    names = contents(wheel)
    for folder, package in (
        ("ltx", "ltx"),
        ("plugins", "ltx_plugins"),
        ("gin_configs", "ltx_configs"),
    ):
        for path in (ROOT / folder).rglob("*"):
            if path.suffix in (".py", ".gin", ".typed", ".html", ".css", ".js"):
                assert f"{package}/{path.relative_to(ROOT / folder)}" in names


@pytest.mark.slow
def test_nothing_is_installed_under_a_name_that_is_not_ours(wheel: Path) -> None:
    tops = {name.split("/")[0] for name in contents(wheel)}
    information = f"ltx_lottery-{metadata.version('ltx-lottery')}.dist-info"
    assert tops == {"ltx", "ltx_plugins", "ltx_configs", information}


@pytest.mark.slow
def test_an_installed_wheel_runs_a_study_from_another_folder(wheel: Path, tmp_path: Path) -> None:
    venv.create(tmp_path / "env", with_pip=True)
    python = tmp_path / "env" / "bin" / "python"
    subprocess.run([python, "-m", "pip", "install", "-q", "--no-deps", wheel], check=True)
    # Its dependencies are those installed here; of the two copies of ltx its own comes first.
    home = {"base": str(tmp_path / "env"), "platbase": str(tmp_path / "env")}
    site = Path(sysconfig.get_path("purelib", vars=home))
    here = f"import site; site.addsitedir({sysconfig.get_path('purelib')!r})\n"
    (site / "here.pth").write_text(here)
    where = [python, "-c", "import ltx, ltx_plugins; print(ltx.__file__, ltx_plugins.__file__)"]
    found = subprocess.run(where, cwd=tmp_path, check=True, capture_output=True, text=True)
    assert found.stdout.split() == [
        str(site / "ltx" / "__init__.py"),
        str(site / "ltx_plugins" / "__init__.py"),
    ]
    command = [tmp_path / "env" / "bin" / "ltx", "run", "--gin_file=studies/first_ticket.gin"]
    command += ["--gin_param=imp.levels=1", "--gin_param=Recipe.length='20it'", "--seeds=2"]
    ran = subprocess.run(command, cwd=tmp_path, check=False, capture_output=True, text=True)
    assert ran.returncode == 0, ran.stderr
    assert "imp on digits/lenet_300_100" in ran.stdout


def test_the_installed_entry_points_are_those_of_setup_cfg() -> None:
    """Entry points are frozen at installation: after editing setup.cfg, install anew."""
    text = (ROOT / "setup.cfg").read_text().partition("ltx.finders =")[2]
    wanted = dict(line.split(" = ") for line in map(str.strip, text.splitlines()) if " = " in line)
    found = [entry for several in plugins.entries().values() for entry in several]
    ours = {entry.name: entry.value for entry in found if entry.dist.name == "ltx-lottery"}
    assert ours == wanted
