"""Writing a finder: the way in for strangers, walked in an environment of its own."""

import os
import re
import subprocess
import sysconfig
import venv
from pathlib import Path

import pytest

from ltx.testing import conformance

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "writing-a-finder.md"
OFFLINE = {"PIP_NO_INDEX": "1", "PIP_NO_DEPS": "1", "PIP_NO_BUILD_ISOLATION": "0"}


@pytest.fixture(scope="module")
def outside(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The variables of a fresh environment, which sees what is installed here, and a home."""
    home = tmp_path_factory.mktemp("home")
    venv.create(home / "env")
    paths = {"base": str(home / "env"), "platbase": str(home / "env")}
    installed = sysconfig.get_path("purelib")
    here = f"import site; site.addsitedir({installed!r})\n"
    (Path(sysconfig.get_path("purelib", vars=paths)) / "here.pth").write_text(here)
    tool = home / "env" / "bin" / "ltx"
    code = "import sys\nfrom ltx.cli.main import main\nsys.exit(main())\n"
    tool.write_text(f"#!{home}/env/bin/python\n{code}")
    tool.chmod(0o755)
    path = f"{home}/env/bin{os.pathsep}{os.environ['PATH']}"
    return {**os.environ, **OFFLINE, "HOME": str(home), "PATH": path}


def bash(script: str, variables: dict[str, str]) -> str:
    """What the script prints; a line of it that fails is the test's failure."""
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", script],
        cwd=ROOT,
        env=variables,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def script(page: str) -> str:
    """The page as one script: commands as they stand, code written where its paragraph says."""
    parts = []
    for text, language, block in re.findall(r"(.*?)^```(\w+)\n(.*?)^```", page, re.M | re.S):
        if language == "sh":
            parts.append(block)
        else:
            names = re.findall(r"`([\w./-]+)`", text.strip().rpartition("\n\n")[2])
            parts.append(f"cat > {names[-1]} <<'END OF FILE'\n{block}END OF FILE\n")
    return "".join(parts)


@pytest.mark.slow
def test_every_line_of_the_page_runs(outside: dict[str, str]) -> None:
    printed = bash(script(PAGE.read_text()), outside)
    assert re.search(r"^movers +finder +ltx-movers +0\.1\.0 +ok *$", printed, re.M)
    assert "movers on digits/lenet_300_100" in printed
    assert "failed" not in printed
    assert printed.count("lenet_300_100  movers") == 3


@pytest.mark.slow
def test_the_template_is_a_whole_distribution(outside: dict[str, str]) -> None:
    printed = bash(
        "python tools/new_finder.py two_words --into ~/template; cd ~/template/ltx-two-words;"
        " python -m pip install --quiet .; ltx plugins; ltx check two_words; python -m pytest -q;"
        " ltx run --gin_file=study.gin --gin_param=\"Recipe.length='50it'\" --seeds=1;"
        " ltx tickets list",
        outside,
    )
    assert re.search(r"^two_words +finder +ltx-two-words +0\.1\.0 +ok *$", printed, re.M)
    assert "30 passed" in printed
    assert "10.00%" in printed  # two_words.density of its study, not the default


def test_the_page_lists_every_check_in_its_own_words() -> None:
    finders, _, scores = PAGE.read_text().partition("| check of a score |")
    rows = dict(re.findall(r"^\| `(\w+)` \| (.*) \|$", finders, re.M))
    of_scores = {**rows, **dict(re.findall(r"^\| `(\w+)` \| (.*) \|$", scores, re.M))}
    for table, checks in ((rows, conformance.CHECKS), (of_scores, conformance.SCORE_CHECKS)):
        for name, check in checks.items():
            said = str(check.__doc__)
            assert table[name] == f"{said[0].lower()}{said[1:].rstrip('.')}"


def test_no_block_of_the_page_is_left_out() -> None:
    text = PAGE.read_text()
    assert len(re.findall(r"^```\w+$", text, re.M)) * 2 == text.count("```")
