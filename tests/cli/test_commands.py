"""Commands: each prints what it is asked for, and says in one line what it lacks."""

import csv
import dataclasses
import json
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import studied
from ltx_plugins.imp import IMP

from ltx import Store, Task
from ltx.cli.main import main
from ltx.config import plugins as registry
from ltx.evaluation.effective_sparsity import EffectiveSparsity
from ltx.testing import FakeLab, conformance

STUDY = "--gin_file=studies/first_ticket.gin"


@pytest.fixture(autouse=True)
def elsewhere(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def test_status_of_an_empty_store_and_of_an_unknown_study(capsys):
    Store("store")
    assert main(["status", "--store=store"]) == 0
    assert "no study was run there yet" in capsys.readouterr().out
    assert main(["status", "all", "--store=store"]) == 0
    assert main(["status", "ab", "--store=store"]) == 2


def test_tickets_are_listed_and_shown_by_the_beginning_of_their_id(capsys):
    store = Store("store")
    ticket = list(IMP(levels=1).find(FakeLab()))[-1]
    store.put_ticket(ticket, Task(), IMP(levels=1), "mine")
    assert main(["tickets", "--store=store"]) == 0
    assert ticket.id in capsys.readouterr().out
    assert main(["tickets", "show", ticket.id[:5], "--store=store"]) == 0
    assert json.loads(capsys.readouterr().out)["finder"] == "mine"
    store.put_ticket(ticket, Task(), IMP(levels=1), "hers")
    assert main(["tickets", "--store=store"]) == 0
    listed = [line.split() for line in capsys.readouterr().out.splitlines() if ticket.id in line]
    assert [{"mine", "hers"} & set(line) for line in listed] == [{"hers"}, {"mine"}]
    assert main(["tickets", "show", ticket.id[:5], "--store=store"]) == 0
    assert json.loads(capsys.readouterr().out)["finders"] == ["hers", "mine"]
    assert main(["tickets", "show", "zzz", "--store=store"]) == 2


def test_tickets_are_listed_with_their_effective_density_where_it_is_known(capsys, tmp_path):
    store, (dense, sparse) = Store(tmp_path / "store"), IMP(levels=1).find(FakeLab())
    store.put_ticket(dense, Task(), IMP(levels=1), "imp")
    found = EffectiveSparsity(0.1234, 0.0, {}, {})
    store.put_ticket(sparse, Task(), IMP(levels=1), "imp", found)
    assert main(["tickets", "--store=store"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split()[-2:] == ["density", "effective"]
    ends = {line.split()[0]: line.split()[-1] for line in lines[1:] if line}
    assert (ends[dense.id], ends[sparse.id]) == ("-", "12.34%")
    assert main(["tickets", "show", sparse.id, "--store=store"]) == 0
    assert json.loads(capsys.readouterr().out)["effective_density"] == 0.1234


def test_superseded_tickets_are_marked_in_the_list_the_page_and_the_tables(capsys, tmp_path):
    store = studied.tiny(tmp_path / "store")
    assert main(["tickets", "--store=store"]) == 0
    assert "superseded" not in capsys.readouterr().out
    assert main(["report", "--store=store", "--out=page.html", "--data=data"]) == 0
    assert "superseded" not in Path("page.html").read_text().partition("<body>")[2]
    # Under the same settings there is another ticket of level 1 now.
    study = store.studies()[0]
    row = next(entry for entry in study["trials"] if entry["level"] == 1)
    old = store.ticket(store.trial(row["trial"]).ticket)
    new = dataclasses.replace(old, mask=old.mask.shuffled(np.random.default_rng(0)))
    with store.search(studied.TASK, IMP(levels=1), old.seed) as search:
        dense = store.ticket(old.parent)
        for ticket in (dense, new):
            store.put_ticket(ticket, studied.TASK, IMP(levels=1), "imp", search=search)
    assert main(["tickets", "--store=store"]) == 0
    lines = capsys.readouterr().out.splitlines()
    ends = {line.split()[0]: line.split()[-1] for line in lines if line}
    assert next(line for line in lines if old.id in line).split()[-1] == "superseded"
    assert f"{old.id} of imp is superseded by {new.id}: same code" in "\n".join(lines)
    assert ends[new.id] != "superseded"
    assert main(["report", "--store=store", "--out=page.html", "--data=data"]) == 0
    page = Path("page.html").read_text().partition("<body>")[2]
    assert "1 of the trials on this page is superseded" in page
    assert f'<td class="why">by {new.id}: same code' in page
    [table] = [csv.DictReader(Path("data/trials.csv").read_text().splitlines())]
    texts = {line["ticket"]: line["superseded"] for line in table}
    assert texts[old.id].startswith(f"by {new.id}")
    assert texts[dense.id] == ""


def test_a_report_is_written_and_its_files_are_named(capsys, tmp_path):
    studied.tiny(tmp_path / "store")
    words = ["report", "--store=store", "--out=new/page.html", "--figures=figures", "--data=data"]
    assert main(words) == 0
    paths = capsys.readouterr().out.splitlines()
    assert paths[0] == "new/page.html"
    assert {Path(path).parts[0] for path in paths[1:]} == {"figures", "data"}
    assert all(Path(path).stat().st_size for path in paths)


def test_a_report_of_nothing_or_of_an_unknown_study_is_refused(capfd, tmp_path):
    Store("store")
    assert main(["report", "--store=store"]) == 2
    assert "no study was run into it" in capfd.readouterr().err
    studied.tiny(tmp_path / "store")
    assert main(["report", "--store=store", "--study=zz"]) == 2
    assert "'zz': no study begins so" in capfd.readouterr().err
    assert not Path("report.html").exists()


def test_a_damaged_trial_is_named_in_one_line_and_missing_in_the_report(tmp_path):
    studied.tiny(tmp_path / "store")
    path = sorted((tmp_path / "store" / "trials").iterdir())[0]
    path.write_bytes(path.read_bytes()[:300])
    command = [sys.executable, "-m", "ltx", "report", "--store=store"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0
    assert done.stderr.startswith("ltx: store/trials/")
    assert done.stderr.count("\n") == 1
    text = Path("report.html").read_text()
    assert text.count("missing: its file is missing or damaged; run the study again") == 1
    assert "1 trials" in text


def test_a_damaged_record_says_how_to_have_it_anew(tmp_path, capfd):
    studied.tiny(tmp_path / "store")
    [path] = (tmp_path / "store" / "studies").iterdir()
    path.write_bytes(path.read_bytes()[:300])
    assert main(["report", "--store=store"]) == 1
    assert "the study's command writes it anew" in capfd.readouterr().err


@pytest.mark.parametrize("flag", ["--out", "--figures", "--data"])
def test_a_place_that_cannot_be_written_is_named_with_its_flag(flag, tmp_path, capfd):
    studied.tiny(tmp_path / "store")
    (tmp_path / "file").write_text("mine")
    assert main(["report", "--store=store", f"{flag}=file/page.html"]) == 2
    assert f"choose another {flag}" in capfd.readouterr().err
    assert (tmp_path / "file").read_text() == "mine"


@pytest.mark.parametrize("library", ["jinja2", "matplotlib", "pyarrow"])
def test_a_report_without_its_libraries_says_what_brings_them(library, tmp_path):
    studied.tiny(tmp_path / "store")
    code = f"import sys; sys.modules[{library!r}] = None\nfrom ltx.cli.main import main\n"
    code += "sys.exit(main(['report', '--store=store']))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert library in done.stderr
    assert "pip install 'ltx-lottery[report]'" in done.stderr


def test_watching_without_tensorboard_says_what_brings_it():
    code = "import sys; sys.modules['tensorboard'] = None\nfrom ltx.cli.main import main\n"
    code += f"status = main(['run', {STUDY!r}, '--tensorboard=logs'])\n"
    code += "sys.exit(status if 'tensorflow' not in sys.modules else 99)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "pip install 'ltx-lottery[tensorboard]'" in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert not list(Path().iterdir())


def test_every_finder_of_ours_is_listed_as_whole(capsys):
    assert main(["plugins"]) == 0
    lines = capsys.readouterr().out.splitlines()
    for name in ("imp", "early_rewind", "random_reinit", "transfer"):
        assert any(line.split()[0] == name and line.split()[-1] == "ok" for line in lines)


CRASH = """
import dataclasses
import ltx

@dataclasses.dataclass(frozen=True)
class Mine(ltx.Finder):
    tries: int = 1

    def __post_init__(self):
        1 / self.tries

    def find(self, lab):
        yield ltx.Ticket.of(lab, lab.dense(), lab.init())
        {}["kernel"]
"""


@pytest.fixture
def guest(tmp_path, monkeypatch):
    """Installs a distribution with a finder in a module with this code, and returns its name."""
    monkeypatch.syspath_prepend(tmp_path)
    name = re.sub(r"\W", "_", f"guest_{tmp_path.name}")  # gin forgets none

    def add(code):
        info = tmp_path / "guest-1.0.dist-info"
        info.mkdir()
        (info / "METADATA").write_text("Metadata-Version: 2.1\nName: guest\nVersion: 1.0\n")
        (info / "entry_points.txt").write_text(f"[ltx.finders]\n{name} = {name}:Mine\n")
        (tmp_path / f"{name}.py").write_text(code)
        clear()
        return name

    yield add
    monkeypatch.undo()
    clear()


def clear():
    for cached in (registry.entries, registry._reason, registry._register, registry.selector):
        cached.cache_clear()


def test_a_plugin_that_cannot_be_imported_is_listed_with_its_line_and_exit_code_1(
    guest, capfd, caplog
):
    guest("import dataclasses\n\nimport nothing_of_that_name\n")
    assert main(["plugins"]) == 1
    out, err = capfd.readouterr()
    assert "ModuleNotFoundError: No module named 'nothing_of_that_name' (guest_" in out
    assert ".py, line 3: import nothing_of_that_name)" in out
    assert "Traceback" not in err
    clear()
    assert "Traceback" not in caplog.text
    assert main(["plugins", "--debug"]) == 1
    assert "Traceback (most recent call last):" in caplog.text


def test_check_shows_one_crash_once_with_its_line(guest, capsys):
    assert main(["check", guest(CRASH)]) == 1
    out = capsys.readouterr().out
    assert out.count("KeyError: 'kernel'") == 1
    assert '.py, line 14: {}["kernel"])' in out
    assert out.count("failed") > 10
    assert out.count("as finite") == out.count("failed") - 2
    assert "tries=True is accepted" in out  # the crash aside


def test_a_crash_of_a_plugins_settings_is_one_line_and_debug_shows_the_rest(guest, capfd, caplog):
    name = guest(CRASH)
    words = ["check", name, f"--gin_param={name}.tries=0"]
    assert main(words) == 2
    [line] = capfd.readouterr().err.splitlines()
    assert "ZeroDivisionError: division by zero" in line
    assert ".py, line 10: 1 / self.tries)" in line
    assert "in __post_init__" not in caplog.text
    assert main([*words, "--debug"]) == 2
    assert "in __post_init__" in caplog.text


def test_check_shows_a_verdict_for_every_check(capsys):
    assert main(["check", "random_reinit"]) == 0
    header, *rows = capsys.readouterr().out.splitlines()[1:]
    assert header.split() == ["check", "verdict"]
    assert [row.split()[0] for row in rows] == list(conformance.CHECKS)
    assert {row.split()[1] for row in rows} == {"ok"}


def test_check_takes_a_score_and_says_so(capsys):
    assert main(["check", "Criterion", "--gin_param=Criterion.name = 'small_final'"]) == 0
    kind, header, *rows = capsys.readouterr().out.splitlines()
    assert kind == "score Criterion(name='small_final')"
    assert header.split() == ["check", "verdict"]
    assert [row.split()[0] for row in rows] == list(conformance.SCORE_CHECKS)
    assert main(["check", "BatchNormScale"]) == 0
    assert "waived" in capsys.readouterr().out


@pytest.mark.slow
@pytest.mark.parametrize("name", ["imp", "Snip"])
def test_check_tries_the_tasks_of_a_gin_file_too(name, capsys):
    short = ["Recipe.length = '40it'", "Recipe.eval_every = '20it'", "imp.levels = 1"]
    words = [f"--gin_param={param}" for param in short]
    assert main(["check", name, "--gin_file=tasks/digits_convnet.gin", *words]) == 0
    last = capsys.readouterr().out.splitlines()[-1]
    assert last.split()[:2] == ["digits/convnet", "ok"]
    assert ("2 tickets of 100.00%, " if name == "imp" else "weights with 2 or 4 axes") in last


@pytest.mark.slow
def test_check_fails_where_a_task_of_a_gin_file_does_not_fit(capsys):
    words = ["--gin_file=tasks/digits_lenet.gin", "--gin_param=Recipe.length='20it'"]
    assert main(["check", "BatchNormScale", *words]) == 1
    assert "has no BatchNorm that scales channels" in capsys.readouterr().out


def test_check_takes_settings_and_fails_with_1(capsys):
    shuffled = ["random_reinit.of = @imp()", "random_reinit.mask = 'shuffled'", "imp.levels = 2"]
    assert main(["check", "random_reinit", *(f"--gin_param={p}" for p in shuffled)]) == 1
    out = capsys.readouterr().out
    assert "mask='shuffled'" in out
    assert [line.split()[0] for line in out.splitlines() if " failed " in line] == ["nested"]


def test_doctor_finds_nothing_wrong_with_what_is_installed(capsys):
    assert main(["doctor"]) == 0
    out = capsys.readouterr().out
    assert "tensorflow-model-optimization" in out
    assert "CPU" in out
