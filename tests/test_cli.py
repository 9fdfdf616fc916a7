"""Command line: every mistake is one line on stderr and exit code 2, before anything trains."""

import json
import subprocess
import sys
import time

import pytest
from ltx_plugins.imp import IMP

from ltx import Store, Task, sealed
from ltx.cli import main
from ltx.testing import FakeLab

STUDY = "--gin_file=studies/first_ticket.gin"

BAD = [
    (["run"], ["--gin_file"]),
    (["run", "--gin_file=nope.gin"], ["nope.gin", "not found"]),
    (["run", "--gin_param=Study.finders={'a':@impp()}"], ["'impp'", "did you mean imp"]),
    (["run", STUDY, "--gin_param=imp.levls=3"], ["'levls'", "did you mean levels"]),
    (["run", STUDY, "--gin_param=imp.levels=-3"], ["imp.levels", "at least 1", "-3"]),
    (["run", STUDY, "--gin_param=Pruning.rate=1.5"], ["Pruning.rate", "between 0 and 1", "1.5"]),
    (["run", STUDY, "--gin_param=Pruning.rate=0"], ["Pruning.rate"]),
    (["run", STUDY, "--gin_param=Recipe.learning_rate=1e999"], ["Recipe.learning_rate", "inf"]),
    (["run", STUDY, "--gin_param=Recipe.learning_rate=nan"], ["nan"]),
    (["run", STUDY, "--gin_param=Recipe.length='0it'"], ["Recipe.length 0it"]),
    (
        ["run", STUDY, "--data_dir=empty", "--gin_param=Task.data='mnist'"],
        ["ltx data prepare mnist"],
    ),
    (["run", STUDY, "--gin_param=Task.data='digitz'"], ["'digitz'", "did you mean digits"]),
    (["run", STUDY, "--gin_param=Task.model='lenet_300'"], ["did you mean lenet_300_100"]),
    (["run", STUDY, "--gin_param=Task.model='os.getcwd'"], ["os.getcwd", "tf_keras model"]),
    (["run", STUDY, "--gin_param=Task.model='tiny.keras_3'"], ["Keras 3", "tf_keras"]),
    (["run", STUDY, "--gin_param=Pruning.keep='conv_9/*'"], ["conv_9/*", "dense_1/kernel"]),
    (["run", STUDY, "--gin_param=Recipe.batch_size=9999"], ["9999", "training examples"]),
    (["run", STUDY, "--gin_param=import os"], ["would run code", "--allow_gin_imports"]),
    (["run", STUDY, "--seeds=some"], ["--seeds", "'some'"]),
    (["run", STUDY, "--seeds=0"], ["Study.seeds"]),
    (["run", STUDY, "--seds=3"], ["did you mean --seeds"]),
    (["run", STUDY, "--checkpoint_seconds=-1"], ["checkpoint_seconds"]),
    (["run", STUDY, "--budget=much"], ["--budget", "30m", "'much'"]),
    (["explain"], ["explain: expected --gin_file"]),
    (["explain", "--gin_param=Study.finders={'a':@impp()}"], ["'impp'", "did you mean imp"]),
    (["explain", STUDY, "--budget=0it"], ["--budget", "'0it'"]),
    (["explain", STUDY, "--gin_param=Pruning.keep='conv_9/*'"], ["conv_9/*", "dense_1/kernel"]),
    (["status"], ["no store there"]),
    (["runn"], ["invalid choice: 'runn'"]),
    (["tickets", "show"], ["ltx tickets list"]),
    (["tickets", "list", "ab12"], ["ltx tickets show ab12"]),
    (["tickets"], ["no store there"]),
    (["data", "prepare"], ["expected the name of a data set"]),
    (["data", "import", "mnist"], ["ltx data prepare mnist"]),
    (["data", "import", "fashion_mnist"], ["--from=DIR"]),
    (["data", "import", "fashion_mnist", "--from=nowhere", "--data_dir=empty"], ["nowhere"]),
]


@pytest.fixture(autouse=True)
def elsewhere(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def run(words):
    """The exit code, whether main returns it or the parser exits with it."""
    try:
        return main(words)
    except SystemExit as stop:
        return stop.code


@pytest.mark.parametrize(("words", "said"), BAD, ids=[" ".join(words) for words, _ in BAD])
def test_a_mistake_is_one_line_and_exit_code_2(words, said, capfd, tmp_path):
    assert run(words) == 2
    errors = [line for line in capfd.readouterr().err.splitlines() if "ltx: error: " in line]
    assert len(errors) == 1
    assert all(text in errors[0] for text in said), errors[0]
    assert not list(tmp_path.glob("*/memo"))


def test_a_store_path_that_is_a_file_is_refused(tmp_path, capfd):
    (tmp_path / "file").write_text("mine")
    assert run(["run", STUDY, "--store=file"]) == 2
    assert "expected a folder, got a file" in capfd.readouterr().err
    assert (tmp_path / "file").read_text() == "mine"


def test_explain_refuses_a_store_that_run_would_refuse(tmp_path, capfd):
    (tmp_path / "file").write_text("mine")
    assert run(["explain", STUDY, "--store=file"]) == 2
    assert "expected a folder, got a file" in capfd.readouterr().err
    Store("newer")
    mark = tmp_path / "newer" / "ltx-store.json"
    sealed.write_json(mark, {"format": 99})
    for command in (["explain", STUDY], ["status"]):
        assert run([*command, "--store=newer"]) == 2
        assert "has format 99, this ltx reads" in capfd.readouterr().err


def test_status_of_an_empty_store_and_of_an_unknown_study(capsys):
    Store("store")
    assert run(["status", "--store=store"]) == 0
    assert "no study was run there yet" in capsys.readouterr().out
    assert run(["status", "all", "--store=store"]) == 0
    assert run(["status", "ab", "--store=store"]) == 2


def test_a_folder_with_other_things_is_refused(tmp_path, capfd):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.tex").write_text("years of work")
    assert run(["run", STUDY, "--store=mine"]) == 2
    assert "holds other things" in capfd.readouterr().err


def test_tickets_are_listed_and_shown_by_the_beginning_of_their_id(capsys):
    store = Store("store")
    ticket = list(IMP(levels=1).find(FakeLab()))[-1]
    store.put_ticket(ticket, Task(), IMP(levels=1), "mine")
    assert run(["tickets", "--store=store"]) == 0
    assert ticket.id in capsys.readouterr().out
    assert run(["tickets", "show", ticket.id[:5], "--store=store"]) == 0
    assert json.loads(capsys.readouterr().out)["finder"] == "mine"
    assert run(["tickets", "show", "zzz", "--store=store"]) == 2


def test_every_finder_of_ours_is_listed_as_whole(capsys):
    assert run(["plugins"]) == 0
    lines = capsys.readouterr().out.splitlines()
    for name in ("imp", "early_rewind", "random_reinit", "transfer"):
        assert any(line.split()[0] == name and line.split()[-1] == "ok" for line in lines)


def test_doctor_finds_nothing_wrong_with_what_is_installed(capsys):
    assert run(["doctor"]) == 0
    out = capsys.readouterr().out
    assert "tensorflow-model-optimization" in out
    assert "CPU" in out


@pytest.mark.parametrize(
    "words",
    [["--help"], ["plugins"], ["tickets", "--store=store"], ["status", "--store=store"]],
)
def test_what_needs_no_tensorflow_starts_without_it(words):
    Store("store")
    code = f"import sys; from ltx.cli import main\ntry: main({words!r})\nexcept SystemExit: pass\n"
    code += "sys.exit('tensorflow' in sys.modules or 'scipy.stats' in sys.modules)"
    assert (
        subprocess.run([sys.executable, "-c", code], check=False, capture_output=True).returncode
        == 0
    )


def test_a_reader_that_leaves_early_is_no_error():
    store = Store("store")
    for ticket in IMP(levels=3).find(FakeLab()):
        store.put_ticket(ticket, Task(), IMP(levels=3), "mine")
    command = [sys.executable, "-m", "ltx", "tickets", "--store=store"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    process.stdout.close()
    time.sleep(0.1)
    assert b"Traceback" not in process.communicate()[1]


def test_a_model_of_the_users_own_is_found_in_the_current_folder(tmp_path):
    (tmp_path / "my_models.py").write_text(
        "import tf_keras\n"
        "def net(input_shape, classes):\n"
        "    layers = [tf_keras.layers.Flatten(), tf_keras.layers.Dense(classes, name='logits')]\n"
        "    return tf_keras.Sequential([tf_keras.layers.Input(input_shape), *layers])\n"
    )
    params = ["Task.model='my_models.net'", "Recipe.length='5it'", "imp.levels=1"]
    command = ["ltx", "run", STUDY, "--seeds=1", *(f"--gin_param={p}" for p in params)]
    script = "import sys; from ltx.cli import main; sys.path.remove('');"
    script += f"sys.exit(main({command[1:]!r}))"
    done = subprocess.run(
        [sys.executable, "-c", script], check=False, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert "imp on digits/net" in done.stdout
