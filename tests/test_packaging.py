"""Packaging: a wheel holds the library, the plugins under their own name, and the gin files."""

import subprocess
import sys
import zipfile
from importlib import metadata
from pathlib import Path

import pytest

from ltx import registry

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """The names in a wheel built from a copy, so that nothing is left in this folder."""
    source, out = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("wheel")
    for name in ("ltx", "plugins", "gin_configs", "setup.cfg", "pyproject.toml", "README.md"):
        subprocess.run(["cp", "-r", ROOT / name, source], check=True)
    pip = [sys.executable, "-m", "pip", "wheel", "--no-deps", "--no-build-isolation", "--quiet"]
    subprocess.run([*pip, f"--wheel-dir={out}", str(source)], check=True, capture_output=True)
    return set(zipfile.ZipFile(next(out.glob("*.whl"))).namelist())


@pytest.mark.slow
def test_every_module_and_configuration_ships(wheel):
    for folder, package in (
        ("ltx", "ltx"),
        ("plugins", "ltx_plugins"),
        ("gin_configs", "ltx_configs"),
    ):
        for path in (ROOT / folder).rglob("*"):
            if path.suffix in (".py", ".gin", ".typed", ".html", ".css", ".js"):
                assert f"{package}/{path.relative_to(ROOT / folder)}" in wheel


@pytest.mark.slow
def test_nothing_is_installed_under_a_name_that_is_not_ours(wheel):
    tops = {name.split("/")[0] for name in wheel}
    assert tops == {"ltx", "ltx_plugins", "ltx_configs", f"ltx-{metadata.version('ltx')}.dist-info"}


def test_the_installed_entry_points_are_those_of_setup_cfg():
    """Entry points are frozen at installation: after editing setup.cfg, install anew."""
    text = (ROOT / "setup.cfg").read_text().partition("ltx.finders =")[2]
    wanted = dict(line.split(" = ") for line in map(str.strip, text.splitlines()) if " = " in line)
    found = [entry for several in registry.entries().values() for entry in several]
    ours = {entry.name: entry.value for entry in found if entry.dist.name == "ltx"}
    assert ours == wanted
