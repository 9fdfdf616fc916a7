"""Command line: the flags of `ltx run`, `explain`, `report` and the others, and how it ends."""

import argparse
import difflib
import logging
import os
import re
import sys
from collections.abc import Callable, Sequence
from typing import Any, NoReturn

from absl import flags
from absl.flags import argparse_flags

from ltx import __version__
from ltx.cli import commands
from ltx.core import environment
from ltx.core.errors import LtxError, UsageError

environment.prepare_tensorflow()

FLAGS = flags.FLAGS
flags.DEFINE_multi_string("gin_file", [], "A gin file with the study; may be given more than once.")
flags.DEFINE_multi_string("gin_param", [], "A gin binding, as in --gin_param=imp.levels=5.")
flags.DEFINE_string(
    "store", "ltx-store", "The folder that keeps tickets, trials and unfinished work."
)
flags.DEFINE_string(
    "seeds", None, "How many seeds (3), or which ones (0,1,7); overrides Study.seeds."
)
flags.DEFINE_string("data_dir", None, "Where TFDS keeps its data sets; default $TFDS_DATA_DIR.")
flags.DEFINE_float("checkpoint_seconds", 10.0, "How much training a killed run may lose.", 0.0)
flags.DEFINE_float("memo_gb", 8.0, "How much finished training the store remembers.", 0.0)
flags.DEFINE_string(
    "budget", None, "How much new training `run` may do: 20000it, 90s, 30m, 2h or 1d."
)
flags.DEFINE_string(
    "tensorboard", None, "A folder for TensorBoard to read, to which `run` writes as it trains."
)
flags.DEFINE_bool(
    "allow_gin_imports", False, "Let gin files import Python modules, which runs their code."
)

_CHATTER = ("absl", "tensorflow", "tf_keras", "h5py")


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; return 0, 2 for input that cannot be meant, or 1 for another failure.

    3 says that the budget ended before the study did.
    """
    arguments = list(sys.argv if argv is None else ["ltx", *argv])
    # First of all: where nothing is set up, absl's first message sets it up its own way.
    logging.basicConfig(format="ltx: %(message)s", stream=sys.stderr)
    FLAGS.unparse_flags()
    if os.getcwd() not in sys.path:
        sys.path.append(os.getcwd())  # where a user's own model is; last, so that it hides nothing
    try:
        options = _parser().parse_args(arguments[1:])
        for name in _CHATTER:
            logging.getLogger(name).setLevel(logging.ERROR)
        return options.command(options)
    except flags.Error as error:
        return _fail(UsageError(str(error)))
    except LtxError as error:
        return _fail(error)
    except KeyboardInterrupt:
        print("ltx: interrupted; the same command goes on where this one stopped", file=sys.stderr)
        return 130
    except BrokenPipeError:
        # The reader, a pager perhaps, has seen enough; Python must not complain at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1


def _fail(error: LtxError) -> int:
    print(f"ltx: error: {' '.join(str(error).split())}", file=sys.stderr)
    return error.exit_code


class _Parser(argparse_flags.ArgumentParser):
    """Tells a mistyped flag which ones it is close to."""

    def error(self, message: str) -> NoReturn:
        flag = re.search(r"unrecognized arguments:.*?--?(\w+)", message)
        if flag and (close := difflib.get_close_matches(flag[1], list(FLAGS))):
            message += f"; did you mean {' or '.join(f'--{name}' for name in close)}?"
        super().error(message)
        raise AssertionError("argparse exits after an error")


def _parser() -> argparse.ArgumentParser:
    looks = {
        "epilog": FLAGS.module_help(__name__),
        "formatter_class": argparse.RawDescriptionHelpFormatter,
    }
    text = "Find, control and transfer lottery tickets."
    parser = _Parser(prog="ltx", description=text, **looks)
    parser.add_argument("--version", action="version", version=f"ltx {__version__}")
    chosen = parser.add_subparsers(dest="name", metavar="command", required=True)

    def add(name: str, command: Callable[[Any], int], text: str) -> Any:
        sub = chosen.add_parser(name, help=text, description=text, **looks)
        sub.set_defaults(command=command)
        return sub

    add("run", commands.run, "Run the study of a gin file and print its table.")
    report = add("report", commands.report, "Write the page that shows what a study found.")
    report.add_argument("--out", default="report.html", help="the page; default report.html")
    report.add_argument("--study", default="", help="what the study's id begins with; the latest")
    report.add_argument("--figures", metavar="DIR", help="where to put all plots as SVG and PDF")
    report.add_argument("--data", metavar="DIR", help="where to put all numbers as CSV and Parquet")
    add(
        "explain",
        commands.explain,
        "Show what `run` with these flags would train, and what it takes.",
    )
    status = add("status", commands.status, "Show where the newest study of a store stands.")
    status.add_argument("id", nargs="?", help="what a study's id begins with, or `all`")
    tickets = add("tickets", commands.tickets, "List the tickets of a store, or show one.")
    tickets.add_argument("action", choices=("list", "show"), nargs="?", default="list")
    tickets.add_argument("id", nargs="?", help="what the ticket's id begins with")
    add("plugins", commands.plugins, "List the installed finders.")
    check = add("check", commands.check, "Hold an installed finder against all that ltx relies on.")
    check.add_argument("finder", help="the name that `ltx plugins` lists")
    data = add(
        "data", commands.data, "List data sets, download one, or import Debian's Fashion-MNIST."
    )
    data.add_argument("action", choices=("list", "prepare", "import"), nargs="?", default="list")
    data.add_argument("set", nargs="?", help="a TFDS name, as in mnist or cifar10")
    data.add_argument("--from", dest="source", metavar="DIR", help="where `import` finds the files")
    add("models", commands.models, "List the models that come with ltx.")
    add("doctor", commands.doctor, "Show versions, devices and combinations known to fail.")
    return parser


if __name__ == "__main__":
    sys.exit(main())
