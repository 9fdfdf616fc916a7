"""Command line: every mistake is one line on stderr and exit code 2, before anything trains."""

import subprocess
import sys
import time
from pathlib import Path

import pytest
from ltx_plugins.imp import IMP

from ltx import Store, Task
from ltx.cli.main import main
from ltx.store import atomic_files
from ltx.testing import FakeLab

STUDY = "--gin_file=studies/first_ticket.gin"

BAD = [
    (["run"], ["--gin_file"]),
    (["run", "--gin_file=nope.gin"], ["nope.gin", "not found", "studies/first_ticket.gin"]),
    (["run", "--gin_file=first_tickt.gin"], ["did you mean studies/first_ticket.gin"]),
    (["run", "--gin_file=binary.gin"], ["'binary.gin'", "it is not UTF-8 text"]),
    (["explain", "--gin_file=studies"], ["'studies'", "not found"]),
    (["run", STUDY, "--gin_param=Study.finders={'a': 3}"], ["Study.finders['a']", "@imp()", "3"]),
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
    (
        ["run", STUDY, "--gin_param=Task.model='os.getcwd'", "--trust=os", "--trust=posix"],
        ["os.getcwd", "tf_keras model"],
    ),
    (
        ["run", STUDY, "--gin_param=Task.model='tiny.keras_3'", "--trust=tiny"],
        ["Keras 3", "tf_keras"],
    ),
    (["run", STUDY, "--trust=my.models"], ["--trust", "top package", "'my.models'"]),
    (["run", STUDY, "--gin_param=Pruning.keep='conv_9/*'"], ["conv_9/*", "dense_1/kernel"]),
    (["run", STUDY, "--gin_param=Recipe.batch_size=9999"], ["9999", "training examples"]),
    (["run", STUDY, "--gin_param=import os"], ["would run code", "--allow_gin_imports"]),
    (["run", STUDY, "--seeds=some"], ["--seeds", "'some'"]),
    (["run", STUDY, "--seeds=0"], ["Study.seeds"]),
    (["run", STUDY, "--seds=3"], ["did you mean --seeds"]),
    (["run", STUDY, "--checkpoint_seconds=-1"], ["checkpoint_seconds"]),
    (["run", STUDY, "--budget=much"], ["--budget", "30m", "'much'"]),
    (["run", STUDY, "--tensorboard="], ["--tensorboard", "expected a folder"]),
    (["run", STUDY, "--tensorboard=/dev/null/logs"], ["--tensorboard", "choose another folder"]),
    (["explain"], ["explain: expected --gin_file"]),
    (["explain", "--gin_param=Study.finders={'a':@impp()}"], ["'impp'", "did you mean imp"]),
    (["explain", STUDY, "--budget=0it"], ["--budget", "'0it'"]),
    (["explain", STUDY, "--gin_param=Pruning.keep='conv_9/*'"], ["conv_9/*", "dense_1/kernel"]),
    (["status"], ["no store there"]),
    (["runn"], ["invalid choice: 'runn'"]),
    (["check", "early_rewnd"], ["did you mean early_rewind"]),
    (["check", "imp", "--gin_param=imp.levls=3"], ["'levls'", "did you mean levels"]),
    (["check", "imp", "--gin_param=imp.levels=0"], ["imp.levels", "at least 1"]),
    (["check", "imp", "--gin_param=early_rewind.levels=3"], ["nothing in the study uses"]),
    (["check", "random_reinit", "--gin_param=random_reinit.mask='same'"], ["random_reinit.of"]),
    (["tickets", "show"], ["ltx tickets list"]),
    (["tickets", "list", "ab12"], ["ltx tickets show ab12"]),
    (["tickets"], ["no store there"]),
    (["report"], ["no store there"]),
    (["data", "prepare"], ["expected the name of a data set"]),
    (["data", "import", "mnist"], ["ltx data prepare mnist"]),
    (["data", "import", "fashion_mnist"], ["--from=DIR"]),
    (["data", "import", "fashion_mnist", "--from=nowhere", "--data_dir=empty"], ["nowhere"]),
]


def finding(finder, *params):
    """The words that run this finder on digits and LeNet with these settings."""
    study = ("Study.tasks=[@Task()]", f"Study.finders={{'a': @{finder}()}}")
    files = ["--gin_file=tasks/digits_lenet.gin", "--gin_file=tasks/digits_convnet.gin"]
    conv = any(param == "convnet" for param in params)
    given = [f"--gin_param={p}" for p in (*study, *params) if p != "convnet"]
    return ["run", files[conv], *given]


# What cannot work on this model, these data or with one another, each known before any training.
NO_FIT = [
    (finding("oneshot", "oneshot.structure=@NofM()", "oneshot.density=0.3"), ["has density 0.5"]),
    (finding("oneshot", "oneshot.structure=@ByChannel()", "oneshot.density=0"), ["above 0", "0"]),
    (
        finding("oneshot", "oneshot.structure=@ByChannel()", "oneshot.density=1e-3"),
        ["0.001 of 400 channels", "at least 0.005"],
    ),
    (
        finding("oneshot", "oneshot.structure=@ByChannel()", "oneshot.scope='erk'"),
        ["layer or global", "'erk'"],
    ),
    (finding("oneshot", "oneshot.structure=@ByChannel"), ["oneshot.structure", "@ByChannel()"]),
    (
        finding("oneshot", "oneshot.structure=@NofM()", "oneshot.density=0.5", "oneshot.rounds=3"),
        ["oneshot.rounds", "rounds=1"],
    ),
    (finding("oneshot", "oneshot.structure=@Blocks()", "convnet"), ["rank 2", "conv_3/kernel"]),
    (finding("gradual", "gradual.structure=@Blocks()", "convnet"), ["rank 2", "another structure"]),
    (finding("imp", "imp.score=@BatchNormScale()"), ["BatchNormScale", "lenet_300_100"]),
    (finding("early_bird", "early_bird.score=@BatchNormScale()"), ["has no BatchNorm"]),
    (finding("early_bird", "early_bird.l1=1e-4"), ["early_bird.l1", "has no BatchNorm"]),
    (finding("imp", "Recipe.scale_l1=1e-4"), ["Recipe.scale_l1", "has no BatchNorm"]),
    (finding("early_bird", "early_bird.every='30%'"), ["do not fit", "1500", "more often"]),
    (finding("early_bird", "early_bird.every='0it'"), ["less than one step", "draw less often"]),
    ([*finding("synflow", "Task.model='tiny.convnet'"), "--trust=tiny"], ["softmax", "logits"]),
    (
        [*finding("imp", "imp.score=@Synflow()", "Task.model='tiny.convnet'"), "--trust=tiny"],
        ["softmax", "logits"],
    ),
    (finding("synflow", "synflow.batches=1"), ["parameter of synflow 'batches'", "rounds"]),
    (finding("imp", "imp.score=@Synflow()", "Synflow.batches=3"), ["of Synflow 'batches'", "none"]),
    (finding("imp", "imp.score=@Snip"), ["imp.score: expected a score"]),
    (finding("imp", "imp.score=@Snipp()"), ["'Snipp'", "did you mean Snip"]),
    (finding("supermask", "supermask.method='edge_popup'"), ["@EdgePopup() or @Bernoulli()"]),
    (finding("supermask", "supermask.method=@Magnitude()"), ["@EdgePopup() or @Bernoulli()"]),
    (
        finding("transfer", "transfer.source='fashion_mnist'", "transfer.store='s'"),
        ["no ticket found on fashion_mnist", "--store=s"],
    ),
    (finding("transfer", "transfer.source='fashion_mnist'", "transfer.store='no'"), ["no store"]),
    (finding("subset", "subset.of=@imp()", "subset.share=0.001"), ["too few", "60 is more than"]),
    (finding("subset", "subset.of=@imp()", "subset.share=0"), ["subset.share", "above 0"]),
    (
        finding("corrupted", "corrupted.of=@imp()", "corrupted.how='random_label'"),
        ["did you mean random_labels"],
    ),
    (finding("imp", "Task.corrupt='random_label'"), ["did you mean random_labels"]),
    (finding("imp", "Task.classes=(1, 12)"), ["no class 12", "0 to 9"]),
    (finding("snip", "densty=0.05"), ["unknown macro 'densty'"]),
    (finding("snip", "snip.density=%dens"), ["%dens", "never set"]),
    (finding("rigl", "rigl.every='2000it'"), ["rigl.every", "step 2000", "1500"]),
    (finding("gradual", "gradual.end='100%'"), ["gradual.end", "1500"]),
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


@pytest.mark.parametrize(
    ("words", "said"),
    BAD + NO_FIT,
    ids=[" ".join(words) for words, _ in BAD + NO_FIT],
)
def test_a_mistake_is_one_line_and_exit_code_2(words, said, capfd, tmp_path):
    (tmp_path / "binary.gin").write_bytes(b"\xff\xfe\x00 = 1")
    if "--gin_param=transfer.store='s'" in words:
        Store("s")
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
    atomic_files.write_json(mark, {"format": 99})
    for command in (["explain", STUDY], ["status"]):
        assert run([*command, "--store=newer"]) == 2
        assert "has format 99, this ltx reads" in capfd.readouterr().err


def test_a_folder_with_other_things_is_refused(tmp_path, capfd):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.tex").write_text("years of work")
    assert run(["run", STUDY, "--store=mine"]) == 2
    assert "holds other things" in capfd.readouterr().err


@pytest.mark.parametrize("mark", [{"format": 2}, {"format": "2.0"}, {"layout": 2}])
@pytest.mark.parametrize("words", [["run", STUDY], ["report"], ["tickets"], ["status"]])
def test_a_newer_store_is_refused_by_every_command_and_left_alone(words, mark, capfd):
    Store("store")
    path = Path("store/ltx-store.json")
    atomic_files.write_json(path, mark)
    before = path.read_bytes()
    assert run([*words, "--store=store"]) == 2
    said = capfd.readouterr().err
    assert f"has format {mark.get('format')}, this ltx reads 1; upgrade ltx" in said
    assert path.read_bytes() == before


@pytest.mark.parametrize(
    "words",
    [["--help"], ["plugins"], ["tickets", "--store=store"], ["status", "--store=store"]],
)
def test_what_needs_no_tensorflow_starts_without_it(words):
    Store("store")
    code = "import sys; from ltx.cli.main import main\n"
    code += f"try: main({words!r})\nexcept SystemExit: pass\n"
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


def test_a_model_of_the_users_own_is_found_in_the_current_folder(tmp_path, monkeypatch, capsys):
    (tmp_path / "my_models.py").write_text(
        "import tf_keras\n"
        "def net(input_shape, classes):\n"
        "    layers = [tf_keras.layers.Flatten(), tf_keras.layers.Dense(classes, name='logits')]\n"
        "    return tf_keras.Sequential([tf_keras.layers.Input(input_shape), *layers])\n"
    )
    # As of the installed command, to whose path Python adds no current folder.
    monkeypatch.setattr(sys, "path", [entry for entry in sys.path if entry not in ("", tmp_path)])
    params = ["Task.model='my_models.net'", "Recipe.length='5it'", "imp.levels=1"]
    words = ["run", STUDY, "--seeds=1", *(f"--gin_param={p}" for p in params)]
    assert run([*words, "--trust=my_models"]) == 0
    assert "imp on digits/net" in capsys.readouterr().out
    assert sys.path[-1] == str(tmp_path)
