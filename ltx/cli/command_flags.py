"""The absl flags of each command: a command accepts its own flags and no others."""

import difflib
import re

from absl import flags

from ltx.core.errors import UsageError

_GIN = ("gin_file", "gin_param", "allow_gin_imports", "trust", "debug")
_STUDY = (*_GIN, "seeds", "budget", "store", "memo_gb", "data_dir")
FLAGS: dict[str, tuple[str, ...]] = {
    "run": (*_STUDY, "checkpoint_seconds", "tensorboard", "tracker"),
    "report": ("store", "study", "out", "figures", "data"),
    "explain": _STUDY,
    "status": ("store",),
    "tickets": ("store",),
    "plugins": ("debug",),
    "check": _GIN,
    "data": ("data_dir", "from"),
    "models": (),
    "doctor": (),
}


def define(command: str) -> flags.FlagValues:
    """The flags of one command, at their defaults."""
    values = flags.FlagValues()
    _define_study_flags(values)
    _define_store_flags(values)
    _define_report_flags(values)
    for name in set(values) - set(FLAGS[command]):
        delattr(values, name)
    return values


def _define_study_flags(values: flags.FlagValues) -> None:
    flags.DEFINE_multi_string(
        "gin_file", [], "A gin file; may be given more than once.", flag_values=values
    )
    flags.DEFINE_multi_string(
        "gin_param", [], "A gin binding, as in --gin_param=imp.levels=5.", flag_values=values
    )
    flags.DEFINE_bool(
        "allow_gin_imports",
        False,
        "Let gin files import Python modules, which runs their code.",
        flag_values=values,
    )
    flags.DEFINE_multi_string(
        "trust",
        [],
        "A package whose functions a gin file may name as models, as in --trust=my_package; may be"
        " given more than once. $LTX_TRUST lists such packages, too.",
        flag_values=values,
    )
    flags.DEFINE_bool("debug", False, "Show the whole traceback of an error.", flag_values=values)
    flags.DEFINE_string(
        "seeds",
        None,
        "How many seeds (3), or which ones (0,1,7); overrides Study.seeds.",
        flag_values=values,
    )
    flags.DEFINE_string(
        "budget",
        None,
        "How much new training is allowed: 20000it, 90s, 30m, 2h or 1d; default no limit.",
        flag_values=values,
    )
    flags.DEFINE_string(
        "tensorboard",
        None,
        "A folder to which event files for TensorBoard are written during training.",
        flag_values=values,
    )
    flags.DEFINE_multi_string(
        "tracker",
        [],
        "A tracker as NAME:LOCATION, as in csv:trials.csv; may be given more than once.",
        flag_values=values,
    )


def _define_store_flags(values: flags.FlagValues) -> None:
    flags.DEFINE_string(
        "store",
        "ltx-store",
        "The folder that keeps tickets, trials and cached training.",
        flag_values=values,
    )
    flags.DEFINE_float(
        "memo_gb", 8.0, "The largest size of the cached training.", 0.0, flag_values=values
    )
    flags.DEFINE_float(
        "checkpoint_seconds",
        10.0,
        "How many seconds of training a killed run may lose.",
        0.0,
        flag_values=values,
    )
    flags.DEFINE_string(
        "data_dir",
        None,
        "The folder of TFDS data sets; default $TFDS_DATA_DIR.",
        flag_values=values,
    )
    flags.DEFINE_string("from", None, "The folder or file that `import` reads.", flag_values=values)


def _define_report_flags(values: flags.FlagValues) -> None:
    flags.DEFINE_string("out", "report.html", "The page to write.", flag_values=values)
    flags.DEFINE_string(
        "study",
        "",
        "The beginning of a study's id; default the latest study.",
        flag_values=values,
    )
    flags.DEFINE_string(
        "figures", None, "A folder for all plots as SVG and PDF.", flag_values=values
    )
    flags.DEFINE_string(
        "data", None, "A folder for all numbers as CSV and Parquet.", flag_values=values
    )


def help_text(values: flags.FlagValues) -> str:
    """The flags with their defaults, as absl shows them."""
    _, _, lines = values.module_help(__name__).strip().partition("\n")
    return f"flags:\n{lines}" if lines else ""


def refusal(command: str, argument: str) -> UsageError:
    """The error for an argument that the command does not take."""
    flag = re.match(r"--?(\w+)", argument)
    if not flag:
        return UsageError(
            f"{command}: unexpected argument {argument!r}; see `ltx {command} --help`"
        )
    name, own = flag[1], FLAGS[command]
    for known in (name, name.removeprefix("no")):
        if known in own:
            return UsageError(
                f"--{name}: flags come after the command, as in `ltx {command} {argument}`"
            )
        if owners := [f"`ltx {other}`" for other in FLAGS if known in FLAGS[other]]:
            return UsageError(
                f"{command}: --{name} is not a flag of `ltx {command}`; it belongs to"
                f" {', '.join(owners)}"
            )
    text = f"{command}: unknown flag --{name}"
    if close := difflib.get_close_matches(name, own):
        return UsageError(f"{text}; did you mean {' or '.join(f'--{n}' for n in close)}?")
    return UsageError(f"{text}; see `ltx {command} --help`")
