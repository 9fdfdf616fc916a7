"""Command line: parse the arguments of `ltx`, run one command and return its exit code."""

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
from ltx.cli import command_flags, commands
from ltx.core import environment, trust
from ltx.core.errors import LtxError, UsageError

environment.prepare_tensorflow()

_LONGEST = 4000  # characters of an error
_NOISY_LOGGERS = ("absl", "tensorflow", "tf_keras", "h5py")


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code.

    0: success. 1: a failure, such as a cell that ended with an error. 2: invalid input, refused
    before any training. 3: the budget ended before the study did. 130: interrupted.
    """
    arguments = list(sys.argv[1:] if argv is None else argv)
    # Before anything else: absl's first message would install a handler of its own.
    logging.basicConfig(format="ltx: %(message)s", stream=sys.stderr)
    if os.getcwd() not in sys.path:
        sys.path.append(os.getcwd())  # for models of the user's own; last, so that it hides nothing
    try:
        options = parse(arguments)
        debug = vars(options).get("debug", False)
        logging.getLogger("ltx").setLevel(logging.DEBUG if debug else logging.NOTSET)
        for name in _NOISY_LOGGERS:
            logging.getLogger(name).setLevel(logging.ERROR)
        with trust.only(vars(options).get("trust", []), "--trust"):
            return options.command(options)
    except flags.Error as error:
        return _fail(UsageError(str(error)))
    except LtxError as error:
        return _fail(error)
    except KeyboardInterrupt:
        print("ltx: interrupted; run the same command again to continue from here", file=sys.stderr)
        return 130
    except BrokenPipeError:
        # The reader, such as a pager, closed early; Python must not complain at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1


def _fail(error: LtxError) -> int:
    logging.getLogger("ltx").debug("the traceback of the error below", exc_info=error)
    text = " ".join(str(error).split())
    if len(text) > _LONGEST:  # somewhere in it stands a value as long as that
        text = f"{text[: _LONGEST // 2]} ... {text[-_LONGEST // 2 :]}"
    print(f"ltx: error: {text}", file=sys.stderr)
    return error.exit_code


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    """The command (`command`, `name`) with its arguments and the values of its flags.

    Raises UsageError or absl's flags.Error for arguments that the command does not take.
    """
    parser, flag_values = _parser()
    options, unknown = parser.parse_known_args(arguments)
    if unknown:
        raise command_flags.refusal(options.name, unknown[0])
    values = flag_values[options.name]
    vars(options).update({name: values[name].value for name in values})
    return options


class _Parser(argparse_flags.ArgumentParser):
    """Reports an error in one line, without the usage text, and accepts no abbreviated flags."""

    def __init__(self, **settings: Any) -> None:
        settings.setdefault("inherited_absl_flags", None)
        super().__init__(
            add_help=False,
            allow_abbrev=False,
            formatter_class=argparse.RawDescriptionHelpFormatter,
            **settings,
        )
        self.add_argument("-h", "--help", action="help", help="show this help and exit")
        self.add_argument("--helpshort", "--helpfull", action="help", help=argparse.SUPPRESS)

    def error(self, message: str) -> NoReturn:
        wrong = re.search(r"argument COMMAND: invalid choice: '(\w+)'", message)
        if wrong and (close := difflib.get_close_matches(wrong[1], command_flags.FLAGS)):
            message = f"{message}; did you mean {' or '.join(close)}?"
        command = self.prog.removeprefix("ltx").strip()
        raise UsageError(f"{command}: {message}" if command else message)


def _parser() -> tuple[_Parser, dict[str, flags.FlagValues]]:
    """The parser of all commands, and the flags that it sets, by command."""
    parser = _Parser(
        prog="ltx",
        description="Find, control and transfer lottery tickets.",
        epilog="`ltx COMMAND --help` lists the flags of a command.",
    )
    parser.add_argument("--version", action="version", version=f"ltx {__version__}")
    subparsers = parser.add_subparsers(dest="name", metavar="COMMAND", required=True)
    flag_values = {}

    def add(command: Callable[[Any], int], text: str, arguments: str = "") -> Any:
        name = command.__name__
        flag_values[name] = values = command_flags.define(name)
        subparser = subparsers.add_parser(
            name,
            help=text,
            description=text,
            epilog=command_flags.help_text(values),
            inherited_absl_flags=values,
            usage=f"ltx {name}{arguments}{' [--flag=value ...]' if len(values) else ''}",
        )
        subparser.set_defaults(command=command)
        return subparser

    add(commands.run, "Run the study of a gin file and print its table.")
    add(commands.report, "Write a page with the results of a study.")
    add(commands.explain, "Show what `run` with these flags would train, and its cost.")
    status = add(commands.status, "Show the progress of the newest study of a store.", " [ID]")
    status.add_argument(
        "id", metavar="ID", nargs="?", help="the beginning of a study's id, or `all`"
    )
    tickets = add(
        commands.tickets, "List the tickets of a store, or show one.", " [list|show] [ID]"
    )
    tickets.add_argument("action", choices=("list", "show"), nargs="?", default="list")
    tickets.add_argument("id", metavar="ID", nargs="?", help="the beginning of the ticket's id")
    add(commands.plugins, "List the installed finders, scores and trackers.")
    check = add(commands.check, "Run the conformance checks on a finder or a score.", " NAME")
    check.add_argument("plugin", metavar="NAME", help="a name that `ltx plugins` lists")
    data = add(
        commands.data,
        "List data sets, download one, or import one from Debian's files.",
        " [list|prepare|import] [SET]",
    )
    data.add_argument("action", choices=("list", "prepare", "import"), nargs="?", default="list")
    data.add_argument("set", metavar="SET", nargs="?", help="a TFDS name, as in mnist or cifar10")
    add(commands.models, "List the models that come with ltx.")
    add(commands.doctor, "Show versions, devices and combinations known to fail.")
    return parser, flag_values


if __name__ == "__main__":
    sys.exit(main())
