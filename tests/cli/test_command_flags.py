"""Flags of commands: each command accepts its own and names the owners of the others."""

import re

import pytest

from ltx.cli import command_flags
from ltx.cli.main import main, parse
from ltx.core.errors import UsageError

# Commands with the arguments that they need.
COMMANDS = {name: [name] for name in command_flags.FLAGS} | {"check": ["check", "imp"]}
# Every flag with a text that it accepts and the value that comes of it.
VALUES = {
    "gin_file": ("a.gin", ["a.gin"]),
    "gin_param": ("imp.levels=5", ["imp.levels=5"]),
    "tracker": ("csv:a.csv", ["csv:a.csv"]),
    "trust": ("mine", ["mine"]),
    "allow_gin_imports": ("true", True),
    "debug": ("true", True),
    "memo_gb": ("0.5", 0.5),
    "checkpoint_seconds": ("3", 3.0),
    **dict.fromkeys(("seeds", "budget", "store", "data_dir", "tensorboard"), ("x", "x")),
    **dict.fromkeys(("study", "out", "figures", "data", "from"), ("x", "x")),
}
OWNERS = {
    flag: {name for name, own in command_flags.FLAGS.items() if flag in own} for flag in VALUES
}


def given(flag: str) -> str:
    return f"--{flag}" if VALUES[flag][1] is True else f"--{flag}={VALUES[flag][0]}"


def test_every_flag_is_in_the_matrix() -> None:
    assert set(VALUES) == {flag for own in command_flags.FLAGS.values() for flag in own}
    assert all(OWNERS.values())


@pytest.mark.parametrize("flag", VALUES)
@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_accepts_its_own_flags_only(command: str, flag: str) -> None:
    if command in OWNERS[flag]:
        assert vars(parse([*COMMANDS[command], given(flag)]))[flag] == VALUES[flag][1]
        return
    with pytest.raises(UsageError) as refused:
        parse([*COMMANDS[command], given(flag)])
    text, _, owners = str(refused.value).partition("; it belongs to ")
    assert text == f"{command}: --{flag} is not a flag of `ltx {command}`"
    assert set(re.findall(r"`ltx (\w+)`", owners)) == OWNERS[flag]


@pytest.mark.parametrize("command", COMMANDS)
def test_help_lists_the_flags_of_the_command_alone(
    command: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as stop:
        main([command, "--help"])
    assert stop.value.code == 0
    text = capsys.readouterr().out
    listed = re.findall(r"^  --(?:\[no\])?(\w+):", text, re.MULTILINE)
    assert listed == sorted(command_flags.FLAGS[command])
    assert ("(default: 'ltx-store')" in text) == ("store" in listed)


def test_help_lists_the_commands(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        main(["--help"])
    assert stop.value.code == 0
    text = capsys.readouterr().out
    assert re.findall(r"^    (\w+) ", text, re.MULTILINE) == list(command_flags.FLAGS)
    assert "--store" not in text


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (["run", "--seds=3"], "run: unknown flag --seds; did you mean --seeds?"),
        (["run", "--seed=3"], "run: unknown flag --seed; did you mean --seeds?"),
        (["run", "--noallow_gin_import"], "did you mean --allow_gin_imports?"),
        (["report", "--seds=3"], "report: unknown flag --seds; see `ltx report --help`"),
        (["plugins", "--frobnicate"], "plugins: unknown flag --frobnicate; see `ltx plugins"),
        (["plugins", "--noallow_gin_imports"], "it belongs to `ltx run`, `ltx explain`, `ltx ch"),
        (["plugins", "imp"], "plugins: unexpected argument 'imp'; see `ltx plugins --help`"),
        (["--seeds=3", "run"], "--seeds: flags come after the command, as in `ltx run --seeds=3`"),
        (["runn"], "did you mean run?"),
        ([], "required: COMMAND"),
        (["check"], "check: the following arguments are required: NAME"),
    ],
)
def test_a_refusal_is_one_line_with_exit_code_2(
    words: list[str], text: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(words) == 2
    [line] = capsys.readouterr().err.splitlines()
    assert line.startswith("ltx: error: ")
    assert text in line


def test_flags_are_given_as_absl_takes_them(tmp_path) -> None:
    words = ["--gin_file=a.gin", "--gin_file", "b.gin", "--noallow_gin_imports", "--seeds", "2"]
    options = parse(["run", *words])
    assert (options.gin_file, options.allow_gin_imports) == (["a.gin", "b.gin"], False)
    assert (options.seeds, options.gin_param, options.budget) == ("2", [], None)
    (tmp_path / "flags").write_text("--seeds=7\n--store=kept\n")
    options = parse(["run", f"--flagfile={tmp_path / 'flags'}"])
    assert (options.seeds, options.store) == ("7", "kept")


def test_no_value_is_left_to_the_next_call() -> None:
    assert parse(["run", "--seeds=2", "--gin_param=a=1"]).gin_param == ["a=1"]
    assert parse(["run"]).gin_param == []
    assert parse(["run"]).seeds is None
