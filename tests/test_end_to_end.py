"""Real processes: a study killed, doubled, starved of disk or damaged ends as if undisturbed."""

import itertools
import os
import random
import re
import resource
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from ltx.cli.main import main
from ltx.store.event_log import Trained
from ltx.store.store import Store

pytestmark = pytest.mark.slow

SMALL = (
    "--gin_file=studies/first_ticket.gin",
    "--gin_param=imp.levels=2",
    "--gin_param=Recipe.length='200it'",
    "--seeds=2",
)
LONG = ("--gin_param=Recipe.length='3000it'", "--checkpoint_seconds=0.3")


def command(store, *extra):
    return [sys.executable, "-m", "ltx", "run", *SMALL, *extra, f"--store={store}"]


def run(store, *extra, **options):
    return subprocess.run(
        command(store, *extra), capture_output=True, text=True, check=False, timeout=300, **options
    )


def contents(store):
    """Every ticket, state and trial, by name and byte."""
    folders = [Path(store) / kind for kind in ("tickets", "states", "trials")]
    return {
        f"{path.parent.name}/{path.name}": path.read_bytes()
        for folder in folders
        for path in folder.iterdir()
        if not path.name.startswith(".")
    }


def trained(store):
    """The stretches of training that were finished, (key, from, to)."""
    events = Store(store).events()
    return [(e.key, e.start, e.stop) for e in events if isinstance(e, Trained)]


def steps_of(stretches):
    return sum(stop - start for _, start, stop in stretches)


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    store = tmp_path_factory.mktemp("undisturbed") / "store"
    done = run(store)
    assert done.returncode == 0, done.stderr
    return store, done.stdout


def test_a_study_is_quiet_and_ends_with_its_table_and_a_verdict(undisturbed):
    store, output = undisturbed
    again = run(store)
    assert again.stderr == ""
    assert again.stdout == output
    for text in (
        "level",
        "density",
        "accuracy",
        "early stop",
        "reinit",
        "(control)",
        "60.40%",
        "verdict",
    ):
        assert text in output
    assert "imp on digits/lenet_300_100: " in output.splitlines()[-1]


def test_a_finished_study_trains_nothing_again(undisturbed):
    store, _ = undisturbed
    before = trained(store)
    assert run(store).returncode == 0
    assert trained(store) == before
    # 2 seeds x (3 tickets + 3 controls), 200 steps each; IMP's own are its tickets' trials.
    assert steps_of(before) == 2 * 6 * 200


def test_another_process_gets_the_same_bytes(undisturbed, tmp_path):
    environment = {**os.environ, "PYTHONHASHSEED": "12345"}
    assert run(tmp_path / "other", env=environment).returncode == 0
    assert contents(tmp_path / "other") == contents(undisturbed[0])


def test_killed_at_twenty_random_moments_it_ends_with_the_same_bytes(tmp_path):
    calm, store = tmp_path / "calm", tmp_path / "killed"
    assert run(calm, *LONG).returncode == 0
    draw, kills = random.Random(20), 0
    for _ in range(20):
        process = subprocess.Popen(
            command(store, *LONG), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        known = len(trained(store)) if store.exists() else 0
        deadline = time.monotonic() + 60
        # Most moments fall into training, some into the start before it.
        if draw.random() < 0.85:
            while time.monotonic() < deadline and process.poll() is None:
                if store.exists() and len(trained(store)) > known:
                    break
                time.sleep(0.05)
        time.sleep(draw.uniform(0, 1.5))
        kills += process.poll() is None
        process.send_signal(signal.SIGKILL)
        process.wait()
    assert kills >= 10, "the study is too short for this test"
    last = run(store, *LONG)
    assert last.returncode == 0, last.stderr
    assert contents(store) == contents(calm)
    # A stretch is logged when it is done and kept right after: a kill in between repeats that one.
    assert steps_of(trained(store)) <= steps_of(trained(calm)) + kills * _longest(trained(store))
    seconds = [e.seconds for e in Store(store).events() if isinstance(e, Trained)]
    assert max(seconds) < 30


def _longest(stretches):
    return max(stop - start for _, start, stop in stretches)


def test_two_identical_runs_at_once_end_alike_and_share_the_work(undisturbed, tmp_path):
    store = tmp_path / "shared"
    both = [
        subprocess.Popen(command(store), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        for _ in range(2)
    ]
    outputs = [process.communicate(timeout=300) for process in both]
    assert [process.returncode for process in both] == [0, 0], outputs
    assert outputs[0][0] == outputs[1][0] == undisturbed[1]
    assert contents(store) == contents(undisturbed[0])
    assert steps_of(trained(store)) == steps_of(trained(undisturbed[0]))


def test_a_full_disk_is_a_clear_error_and_the_store_goes_on_later(undisturbed, tmp_path):
    store = tmp_path / "store"

    def starve():
        resource.setrlimit(resource.RLIMIT_FSIZE, (400_000, 400_000))

    starved = run(store, preexec_fn=starve)
    assert starved.returncode == 1
    assert "free some space and run the same command again" in starved.stderr
    assert "Traceback" not in starved.stderr
    assert not list(store.rglob("*.tmp"))
    assert run(store).returncode == 0
    assert contents(store) == contents(undisturbed[0])


@pytest.mark.parametrize("damage", ["flipped", "truncated", "emptied"])
def test_damaged_files_are_named_put_aside_and_made_anew(undisturbed, tmp_path, damage):
    store = tmp_path / "store"
    shutil.copytree(undisturbed[0], store)
    draw = random.Random(damage)
    files = [p for p in store.rglob("*") if p.suffix in (".safetensors", ".json")]
    for path in files:
        content = bytearray(path.read_bytes())
        place = draw.randrange(len(content))
        if damage == "flipped":
            content[place] ^= 1 << draw.randrange(8)
        path.write_bytes({"flipped": content, "truncated": content[:place], "emptied": b""}[damage])
    again = run(store)
    assert again.returncode == 0, again.stderr
    assert again.stdout == undisturbed[1]
    assert contents(store) == contents(undisturbed[0])
    named = [path for path in files if path.name in again.stderr]
    put_aside = {path.name.rpartition(".")[0] for path in (store / "damaged").iterdir()}
    read = {p.name for p in files if p.parent.name in ("tickets", "trials", "states")}
    assert read <= put_aside
    assert {path.name for path in named} >= read


def test_a_budget_ends_a_study_which_goes_on_to_the_same_bytes(undisturbed, tmp_path, capsys):
    store = tmp_path / "store"

    def to_train():
        assert main(["explain", *SMALL, f"--store={store}"]) == 0
        return int(capsys.readouterr().out.splitlines()[3].split()[5].replace(",", ""))

    assert to_train() == steps_of(trained(undisturbed[0])) == 2400
    assert not store.exists()
    ended = run(store, "--budget=1000it")
    assert ended.returncode == 3
    assert "the budget of 1000it is used up after 1,000 new steps" in ended.stderr
    assert "imp on digits/lenet_300_100" in ended.stdout
    assert steps_of(trained(store)) == 1000
    assert to_train() == 1400
    assert main(["status", f"--store={store}"]) == 0
    output = capsys.readouterr().out
    assert "not running, 1 of 4 cells done; the same command goes on" in output
    assert "run --gin_file=studies/first_ticket.gin" in output
    assert run(store, "--budget=1400it").returncode == 0
    assert contents(store) == contents(undisturbed[0])
    assert main(["status", f"--store={store}"]) == 0
    assert "finished, 4 of 4 cells done" in capsys.readouterr().out


def test_divergence_stops_that_cell_alone_and_keeps_what_was_found(tmp_path):
    store = tmp_path / "store"
    done = run(
        store,
        "--gin_param=Recipe.learning_rate=1e30",
        "--gin_param=Recipe.optimizer='sgd'",
    )
    assert done.returncode == 1
    assert "is not finite; lower Recipe.learning_rate" in done.stdout
    assert "Traceback" not in done.stderr
    assert len(Store(store).manifests()) == 4  # the dense ticket and its control, of each seed


FRAIL = """
import dataclasses, gin, ltx
from ltx_plugins.imp import IMP

@gin.register
@dataclasses.dataclass(frozen=True)
class Frail(ltx.Finder):
    def find(self, lab):
        for ticket in IMP(levels=1).find(lab):
            if (lab.seed, ticket.level) == BREAKS_AT:
                raise RuntimeError("out of luck")
            yield ticket
"""


def test_one_cell_that_fails_loses_none_of_the_others(tmp_path, capsys):
    module, store, page = tmp_path / "frail.py", tmp_path / "store", tmp_path / "page.html"
    module.write_text(FRAIL.replace("BREAKS_AT", "(0, 1)"))
    finders = "Study.finders={'frail': @Frail(), 'imp': @imp(), 'reinit': @random_reinit()}"
    extra = ["--allow_gin_imports", *(f"--gin_param={p}" for p in ("import frail", finders))]
    extra += ["--gin_param=imp.levels=1", "--gin_param=Recipe.length='60it'"]
    done = run(store, *extra, cwd=tmp_path)
    assert done.returncode == 1
    assert "frail on digits/lenet_300_100, seed 0 stopped early: RuntimeError: out" in done.stdout
    assert "Traceback" not in done.stderr
    found = [(m["finder"], m["seed"], m["level"]) for m in Store(store).manifests()]
    every = set(itertools.product(("frail", "imp", "reinit"), (0, 1), (0, 1)))
    assert sorted(found) == sorted(every - {("frail", 0, 1)})
    assert main(["report", f"--store={store}", f"--out={page}"]) == 0
    (reason,) = missing(page)
    assert reason.startswith("stopped early: RuntimeError: out of luck (frail.py, line 11: raise ")
    assert main(["status", f"--store={store}"]) == 0
    assert "frail on digits/lenet_300_100, seed 0 stopped early" in capsys.readouterr().out
    before = trained(store)
    module.write_text(FRAIL.replace("BREAKS_AT", "None"))
    assert run(store, *extra, cwd=tmp_path).returncode == 0
    assert steps_of(trained(store)) == steps_of(before) + 60  # what was missing and no more
    assert main(["report", f"--store={store}", f"--out={page}"]) == 0
    assert missing(page) == []


def missing(page):
    """The reasons that a page gives for trials that are missing."""
    return re.findall(r"<td>missing: ([^<]*)</td>", page.read_text())


def test_a_report_and_the_status_may_be_asked_for_while_a_study_runs(tmp_path, capsys):
    store, page, trials = tmp_path / "store", tmp_path / "page.html", []
    process = subprocess.Popen(
        command(store, "--gin_param=Recipe.length='600it'", "--checkpoint_seconds=0.2"),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    while process.poll() is None:
        if (store / "studies").is_dir():
            assert main(["status", f"--store={store}"]) == 0
            said = capsys.readouterr().out
            assert main(["report", f"--store={store}", f"--out={page}"]) == 0
            text = page.read_text()
            if "not finished" in text:
                assert missing(page)
                assert set(missing(page)) <= {"not run yet"}
                trials.append(int(re.search(r"(\d+) trials", text)[1]))
                assert re.search(r"running, \d of 4 cells done", said) or process.poll() == 0
        time.sleep(0.3)
    assert process.returncode == 0
    assert trials == sorted(trials)
    assert len(set(trials)) > 1
    assert main(["report", f"--store={store}", f"--out={page}"]) == 0
    assert missing(page) == []
    assert "not finished" not in page.read_text()


def test_interrupted_from_the_keyboard_it_says_how_to_go_on(tmp_path):
    store = tmp_path / "store"
    process = subprocess.Popen(
        command(store, *LONG), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    while process.poll() is None and not (store / "log.jsonl").exists():
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 130
    assert errors.endswith("ltx: interrupted; run the same command again to continue from here\n")
