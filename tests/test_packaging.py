"""Packaging: what wheels and source distributions hold, and the metadata of the distribution."""

import configparser
import re
import subprocess
import sys
import sysconfig
import tarfile
import venv
import zipfile
from importlib import metadata
from pathlib import Path

import pytest
import yaml

import ltx

ROOT = Path(__file__).parents[1]
FOLDERS = {"ltx": "ltx", "plugins": "ltx_plugins", "gin_configs": "ltx_configs"}
SHIPPED = (".py", ".gin", ".typed", ".html", ".css", ".js")


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy to build from, so that nothing is left in this folder."""
    copy = tmp_path_factory.mktemp("source")
    for name in (*FOLDERS, "setup.cfg", "pyproject.toml", "README.md", "LICENSE"):
        subprocess.run(["cp", "-r", ROOT / name, copy], check=True)
    return copy


@pytest.fixture(scope="module")
def wheel(source: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("wheel")
    pip = [sys.executable, "-m", "pip", "wheel", "--no-deps", "--no-build-isolation", "--quiet"]
    subprocess.run([*pip, f"--wheel-dir={out}", str(source)], check=True, capture_output=True)
    return next(out.glob("*.whl"))


def contents(wheel: Path) -> set[str]:
    return set(zipfile.ZipFile(wheel).namelist())


def shipped() -> set[Path]:
    """All modules, configurations and other files of the packages, relative to the root."""
    paths = (path for folder in FOLDERS for path in (ROOT / folder).rglob("*"))
    return {path.relative_to(ROOT) for path in paths if path.suffix in SHIPPED}


@pytest.mark.slow
def test_every_module_and_configuration_ships(wheel: Path) -> None:
    wanted = {str(Path(FOLDERS[path.parts[0]], *path.parts[1:])) for path in shipped()}
    assert wanted <= contents(wheel)


@pytest.mark.slow
def test_nothing_is_installed_under_a_name_that_is_not_ours(wheel: Path) -> None:
    tops = {name.split("/")[0] for name in contents(wheel)}
    information = f"ltx_lottery-{metadata.version('ltx-lottery')}.dist-info"
    assert tops == {"ltx", "ltx_plugins", "ltx_configs", information}


@pytest.mark.slow
def test_the_license_is_in_the_wheel(wheel: Path) -> None:
    [name] = [name for name in contents(wheel) if name.endswith("/LICENSE")]
    assert zipfile.ZipFile(wheel).read(name) == (ROOT / "LICENSE").read_bytes()


@pytest.mark.slow
def test_a_source_distribution_holds_all_that_a_wheel_is_built_from(
    source: Path, tmp_path: Path
) -> None:
    code = f"from setuptools import build_meta; print(build_meta.build_sdist({str(tmp_path)!r}))"
    subprocess.run([sys.executable, "-c", code], cwd=source, check=True, capture_output=True)
    [path] = tmp_path.glob("*.tar.gz")
    with tarfile.open(path) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    assert {"LICENSE", "README.md", "setup.cfg", "pyproject.toml"} <= names
    assert {str(path) for path in shipped()} <= names


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


@pytest.fixture
def setup_cfg() -> configparser.ConfigParser:
    parser = configparser.ConfigParser(inline_comment_prefixes=(" #",))
    parser.read(ROOT / "setup.cfg")
    return parser


def test_every_package_of_ltx_is_listed(setup_cfg: configparser.ConfigParser) -> None:
    folders = [path.parent.relative_to(ROOT) for path in (ROOT / "ltx").rglob("__init__.py")]
    listed = setup_cfg["options"]["packages"].split()
    assert sorted(listed) == sorted(
        [".".join(folder.parts) for folder in folders] + ["ltx_plugins", "ltx_configs"]
    )


def test_the_installed_entry_points_are_those_of_setup_cfg(
    setup_cfg: configparser.ConfigParser,
) -> None:
    """Entry points are read at installation: after editing setup.cfg, install again."""
    wanted = {
        (group, *re.split(r"\s*=\s*", line))
        for group, lines in setup_cfg["options.entry_points"].items()
        for line in lines.split("\n")
        if line
    }
    entries = metadata.distribution("ltx-lottery").entry_points
    assert {(entry.group, entry.name, entry.value) for entry in entries} == wanted
    assert {group for group, *_ in wanted} >= {"console_scripts", "ltx.finders"}


def test_the_license_is_named(setup_cfg: configparser.ConfigParser) -> None:
    about = setup_cfg["metadata"]
    assert (about["license"], about["license_files"]) == ("Apache-2.0", "LICENSE")
    assert "License :: OSI Approved :: Apache Software License" in about["classifiers"]
    text = (ROOT / "LICENSE").read_text()
    assert "Apache License\n" in text
    assert "Version 2.0, January 2004" in text


def test_the_versions_of_python_agree(setup_cfg: configparser.ConfigParser) -> None:
    versions = re.findall(r"Python :: (3\.\d+)", setup_cfg["metadata"]["classifiers"])
    minors = [int(version.partition(".")[2]) for version in versions]
    wanted = f">=3.{min(minors)},<3.{max(minors) + 1}"
    assert setup_cfg["options"]["python_requires"] == wanted
    template = ROOT / "tools" / "finder_template" / "pyproject.toml.in"
    assert f'requires-python = "{wanted}"' in template.read_text()


def test_the_citation_is_of_this_version() -> None:
    text = (ROOT / "CITATION.cff").read_text()
    fields = dict(re.findall(r"^([\w-]+): *(.*)$", text, re.MULTILINE))
    assert (fields["cff-version"], fields["type"]) == ("1.2.0", "software")
    assert (fields["version"], fields["license"]) == (ltx.__version__, "Apache-2.0")
    assert {"message", "title", "authors"} <= fields.keys()
    assert "authors:\n  - name: The ltx developers\n" in text


def test_the_citation_is_yaml() -> None:
    about = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    assert about["authors"] == [{"name": "The ltx developers"}]


def test_the_changelog_has_this_version() -> None:
    text = (ROOT / "CHANGELOG.md").read_text()
    sections = re.findall(r"^## \[(.+)\]", text, re.MULTILINE)
    assert sections[0] == "Unreleased"
    assert ltx.__version__ in sections
    kinds = set(re.findall(r"^### (\w+)$", text, re.MULTILINE))
    assert kinds <= {"Added", "Changed", "Deprecated", "Removed", "Fixed", "Security"}


def test_hooks_run_the_linters_of_make_lint_and_nothing_from_elsewhere() -> None:
    text = (ROOT / ".pre-commit-config.yaml").read_text()
    assert re.findall(r"repo: (.*)", text) == ["local"]
    lint = (ROOT / "Makefile").read_text().partition("\nlint:")[2].partition("\n\n")[0]
    for entry in re.findall(r"entry: (.*)", text):
        assert f"$(BIN)/{entry.removesuffix(' --fix')}" in lint
