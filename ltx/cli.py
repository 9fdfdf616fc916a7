"""Command line: `ltx run`, `explain`, `status`, `report`, `tickets`, `check` and the others."""

import argparse
import difflib
import logging
import os
import re
import shlex
import sys
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, NoReturn

from absl import flags
from absl.flags import argparse_flags

from ltx import __version__
from ltx.errors import LtxError, UsageError

if TYPE_CHECKING:
    from ltx.board import Board
    from ltx.config import Config
    from ltx.study import Study

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

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
    commands = parser.add_subparsers(dest="name", metavar="command", required=True)

    def add(name: str, command: Callable[[Any], int], text: str) -> Any:
        sub = commands.add_parser(name, help=text, description=text, **looks)
        sub.set_defaults(command=command)
        return sub

    add("run", _run, "Run the study of a gin file and print its table.")
    report = add("report", _report, "Write the page that shows what a study found.")
    report.add_argument("--out", default="report.html", help="the page; default report.html")
    report.add_argument("--study", default="", help="what the study's id begins with; the latest")
    report.add_argument("--figures", metavar="DIR", help="where to put all plots as SVG and PDF")
    report.add_argument("--data", metavar="DIR", help="where to put all numbers as CSV and Parquet")
    add("explain", _explain, "Show what `run` with these flags would train, and what it takes.")
    status = add("status", _status, "Show where the newest study of a store stands.")
    status.add_argument("id", nargs="?", help="what a study's id begins with, or `all`")
    tickets = add("tickets", _tickets, "List the tickets of a store, or show one.")
    tickets.add_argument("action", choices=("list", "show"), nargs="?", default="list")
    tickets.add_argument("id", nargs="?", help="what the ticket's id begins with")
    add("plugins", _plugins, "List the installed finders.")
    check = add("check", _check, "Hold an installed finder against all that ltx relies on.")
    check.add_argument("finder", help="the name that `ltx plugins` lists")
    data = add("data", _data, "List data sets, download one, or import Debian's Fashion-MNIST.")
    data.add_argument("action", choices=("list", "prepare", "import"), nargs="?", default="list")
    data.add_argument("set", nargs="?", help="a TFDS name, as in mnist or cifar10")
    data.add_argument("--from", dest="source", metavar="DIR", help="where `import` finds the files")
    add("models", _models, "List the models that come with ltx.")
    add("doctor", _doctor, "Show versions, devices and combinations known to fail.")
    return parser


def _run(options: argparse.Namespace) -> int:
    from ltx import runner
    from ltx.store import Store

    asked, settings = _asked(options.name)
    board = _board(FLAGS.tensorboard, asked.study)
    return runner.run(
        asked,
        Store(FLAGS.store),
        command=shlex.join(["ltx", *sys.argv[1:]]),
        checkpoint_seconds=FLAGS.checkpoint_seconds,
        board=board,
        **settings,
    )


def _board(path: str | None, study: "Study") -> "Board | None":
    if path is None:
        return None
    if not path:
        raise UsageError("--tensorboard: expected a folder, as in --tensorboard=logs, got ''")
    try:
        from ltx.board import Board
    except ModuleNotFoundError as error:
        raise UsageError(
            f"--tensorboard: {error.name} is not installed; `pip install 'ltx[tensorboard]'`"
            " brings it"
        ) from error
    return Board(path, study)


def _explain(options: argparse.Namespace) -> int:
    from ltx import runner

    asked, settings = _asked(options.name)
    return runner.explain(asked, FLAGS.store, **settings)


def _asked(command: str) -> "tuple[Config, dict[str, Any]]":
    """The study that the flags describe, and how it is to be run."""
    from ltx import config
    from ltx.budget import Limit

    if not FLAGS.gin_file and not FLAGS.gin_param:
        raise UsageError(
            f"{command}: expected --gin_file with a study, as in"
            " --gin_file=studies/first_ticket.gin"
        )
    limit = None if FLAGS.budget is None else Limit.parse(FLAGS.budget)
    params = [*FLAGS.gin_param, *_seeds(FLAGS.seeds)]
    asked = config.load(FLAGS.gin_file, params, FLAGS.allow_gin_imports)
    memo_bytes = int(FLAGS.memo_gb * 2**30)
    return asked, {"data_dir": FLAGS.data_dir, "memo_bytes": memo_bytes, "limit": limit}


def _status(options: argparse.Namespace) -> int:
    from ltx import status, table
    from ltx.store import Store

    chosen = status.pick(list(status.standings(Store(FLAGS.store, create=False))), options.id)
    if options.id not in (None, "all") and len(chosen) != 1:
        raise UsageError(
            f"status {options.id!r}: {len(chosen) or 'no'} studies have an id that begins so; `ltx"
            " status all` shows every one"
        )
    if not chosen:
        print(f"store {FLAGS.store}: no study was run there yet")
    for number, standing in enumerate(chosen):
        if number:
            print()
        status.show(table.console(), standing)
    return 0


def _seeds(text: str | None) -> Iterator[str]:
    if text is None:
        return
    if not re.fullmatch(r"\d+(,\d+)*", text):
        raise UsageError(f"--seeds: expected a count (3) or a list (0,1,7), got {text!r}")
    yield f"Study.seeds = {text if ',' not in text else f'({text})'}"


def _report(options: argparse.Namespace) -> int:
    from ltx.store import Store

    store = Store(FLAGS.store, create=False)
    try:
        from ltx import report
    except ModuleNotFoundError as error:
        raise UsageError(
            f"report: {error.name} is not installed; `pip install 'ltx[report]'` brings it"
        ) from error
    for path in report.write(
        store, options.out, study=options.study, figures=options.figures, data=options.data
    ):
        print(path)
    return 0


def _tickets(options: argparse.Namespace) -> int:
    import json

    from ltx import table
    from ltx.store import Store

    if options.action == "show" and not options.id:
        raise UsageError(
            "tickets show: expected the beginning of a ticket's id; see `ltx tickets list`"
        )
    if options.action == "list" and options.id:
        raise UsageError(f"tickets list takes no id; did you mean `ltx tickets show {options.id}`?")
    store = Store(FLAGS.store, create=False)
    if options.action == "show":
        print(json.dumps(store.manifest(options.id), indent=2))
        return 0
    rows = [
        [
            m["id"],
            m["data"],
            m["model"],
            m["finder"],
            str(m["seed"]),
            str(m["level"]),
            f"{m['density']:.2%}",
            _share(m.get("effective_density")),
        ]
        for m in store.manifests()
    ]
    columns = ["ticket", "data", "model", "finder", "seed", "level", "density", "effective"]
    table.console().print(table.plain(columns, rows, right=(4, 5, 6, 7)))
    return 0


def _share(value: float | None) -> str:
    return "-" if value is None else f"{value:.2%}"


def _plugins(options: argparse.Namespace) -> int:
    del options
    from ltx import registry, table

    rows = [[p.name, p.kind, p.distribution, p.version, p.status] for p in registry.plugins()]
    table.console().print(
        table.plain(["plugin", "kind", "distribution", "version", "status"], rows)
    )
    return 0


def _check(options: argparse.Namespace) -> int:
    from ltx import config, conformance, registry, table
    from ltx.bench import Bench, example
    from ltx.finder import Finder
    from ltx.testing import WatchedLab

    cls = registry.load(options.finder)
    if not issubclass(cls, Finder):
        raise UsageError(f"check: expected a finder, {options.finder!r} is a score")
    if FLAGS.gin_file or FLAGS.gin_param:
        finder = config.build(
            options.finder, FLAGS.gin_file, FLAGS.gin_param, FLAGS.allow_gin_imports
        )
    else:
        finder = example(cls)
    bench, rows = Bench(finder, WatchedLab), []  # type: ignore[arg-type]
    for name in conformance.CHECKS:
        verdict = conformance.judge(bench, name)
        rows.append([verdict.check, verdict.outcome, verdict.text])
    print(finder)
    table.console().print(table.plain(["check", "verdict", ""], rows))
    return 1 if any(row[1] == "failed" for row in rows) else 0


def _data(options: argparse.Namespace) -> int:
    from ltx import data, table

    if options.action == "list":
        table.console().print(table.plain(["data set", "status"], data.available(FLAGS.data_dir)))
        return 0
    if not options.set:
        raise UsageError(
            f"data {options.action}: expected the name of a data set, as in fashion_mnist"
        )
    if options.action == "prepare":
        print(data.prepare(options.set, FLAGS.data_dir))
        return 0
    if options.set != "fashion_mnist":
        raise UsageError(
            f"data import: knows fashion_mnist only, got {options.set!r};"
            f" use `ltx data prepare {options.set}`"
        )
    if not options.source:
        raise UsageError("data import fashion_mnist: expected --from=DIR with the four .gz files")
    print(data.import_fashion_mnist(options.source, FLAGS.data_dir))
    return 0


def _models(options: argparse.Namespace) -> int:
    del options
    from ltx import quiet, table

    with quiet.stderr():
        from ltx import models

    table.console().print(table.plain(["model", "what it is"], list(models.names().items())))
    return 0


def _doctor(options: argparse.Namespace) -> int:
    del options
    from ltx import doctor, table

    lines = list(doctor.report())
    rows = [[what, found, problem or "ok"] for what, found, problem in lines]
    table.console().print(table.plain(["what", "found", "verdict"], rows))
    return 1 if any(problem for _, _, problem in lines) else 0


if __name__ == "__main__":
    sys.exit(main())
