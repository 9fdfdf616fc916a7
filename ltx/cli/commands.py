"""The commands of `ltx`: each takes the parsed arguments and returns an exit code.

Imports are inside the functions, so that a command loads only what it needs.
"""

import argparse
import re
import shlex
import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from ltx.core.errors import UsageError

if TYPE_CHECKING:
    from ltx.config.gin_files import Config
    from ltx.study.definition import Study
    from ltx.study.listener import StudyListener


def run(options: argparse.Namespace) -> int:
    from ltx.cli import study
    from ltx.store.store import Store

    config, settings = _config(options)
    trackers = _trackers(options, config.study)
    return study.run(
        config,
        Store(options.store),
        trackers,
        command=shlex.join(["ltx", *sys.argv[1:]]),
        checkpoint_seconds=options.checkpoint_seconds,
        **settings,
    )


def _trackers(options: argparse.Namespace, study: "Study") -> "list[StudyListener]":
    """The trackers that --tensorboard and --tracker ask for."""
    from ltx.cli.trackers import open_tracker, open_trackers

    opened = []
    if options.tensorboard is not None:
        if not options.tensorboard:
            raise UsageError("--tensorboard: expected a folder, as in --tensorboard=logs, got ''")
        opened.append(open_tracker(study, "tensorboard", options.tensorboard, "--tensorboard"))
    return [*opened, *open_trackers(study, options.tracker)]


def explain(options: argparse.Namespace) -> int:
    from ltx.cli import study

    config, settings = _config(options)
    return study.explain(config, options.store, **settings)


def _config(options: argparse.Namespace) -> "tuple[Config, dict[str, Any]]":
    """The study and engine that the flags describe, and the other settings of a run."""
    from ltx.config import gin_files
    from ltx.store.budget import Limit

    if not options.gin_file and not options.gin_param:
        raise UsageError(
            f"{options.name}: expected --gin_file with a study, as in"
            " --gin_file=studies/first_ticket.gin"
        )
    limit = None if options.budget is None else Limit.parse(options.budget)
    params = [*options.gin_param, *_seeds(options.seeds)]
    config = gin_files.load(options.gin_file, params, options.allow_gin_imports)
    memo_bytes = int(options.memo_gb * 2**30)
    return config, {"data_dir": options.data_dir, "memo_bytes": memo_bytes, "limit": limit}


def status(options: argparse.Namespace) -> int:
    from ltx.reporting import console, status_table
    from ltx.store.store import Store
    from ltx.study import status

    chosen = status.choose(list(status.statuses(Store(options.store, create=False))), options.id)
    if options.id not in (None, "all") and len(chosen) != 1:
        raise UsageError(
            f"status {options.id!r}: {len(chosen) or 'no'} studies have an id that begins so; `ltx"
            " status all` shows every one"
        )
    if not chosen:
        print(f"store {options.store}: no study was run there yet")
    for number, one in enumerate(chosen):
        if number:
            print()
        status_table.show(console.console(), one)
    return 0


def _seeds(text: str | None) -> Iterator[str]:
    if text is None:
        return
    if not re.fullmatch(r"\d+(,\d+)*", text):
        raise UsageError(f"--seeds: expected a count (3) or a list (0,1,7), got {text!r}")
    yield f"Study.seeds = {text if ',' not in text else f'({text})'}"


def report(options: argparse.Namespace) -> int:
    from ltx.store.store import Store

    store = Store(options.store, create=False)
    try:
        from ltx.reporting import page as report
    except ModuleNotFoundError as error:
        raise UsageError(
            f"report: {error.name} is not installed; `pip install 'ltx-lottery[report]'` brings it"
        ) from error
    for path in report.write(
        store, options.out, study=options.study, figures=options.figures, data=options.data
    ):
        print(path)
    return 0


def tickets(options: argparse.Namespace) -> int:
    import json

    from ltx.reporting import console
    from ltx.reporting.format import share
    from ltx.store.store import Store

    if options.action == "show" and not options.id:
        raise UsageError(
            "tickets show: expected a ticket's id or its beginning; see `ltx tickets list`"
        )
    if options.action == "list" and options.id:
        raise UsageError(f"tickets list takes no id; did you mean `ltx tickets show {options.id}`?")
    store = Store(options.store, create=False)
    if options.action == "show":
        print(json.dumps(store.manifest(options.id), indent=2))
        return 0
    manifests = store.manifests()
    rows = [
        [
            m["id"],
            m["data"],
            m["model"],
            m["finder"],
            str(m["seed"]),
            str(m["level"]),
            share(m["density"]),
            share(m.get("effective_density")),
            "superseded" if m.get("superseded") else "",
        ]
        for m in manifests
    ]
    columns = ["ticket", "data", "model", "finder", "seed", "level", "density", "effective", ""]
    if not any(m.get("superseded") for m in manifests):
        rows, columns = [row[:-1] for row in rows], columns[:-1]
    screen = console.console()
    screen.print(console.make_table(columns, rows, right=(4, 5, 6, 7)))
    for m in manifests:
        if text := m.get("superseded"):
            screen.print(f"{m['id']} of {m['finder']} is superseded {text}", soft_wrap=True)
    return 0


def plugins(options: argparse.Namespace) -> int:
    del options
    from ltx.config import plugins as registry
    from ltx.reporting import console

    found = registry.plugins()
    rows = [[p.name, p.kind, p.distribution, p.version, p.status.partition(":")[0]] for p in found]
    screen = console.console()
    screen.print(console.make_table(["plugin", "kind", "distribution", "version", "status"], rows))
    broken = [plugin for plugin in found if plugin.reason]
    for plugin in broken:
        screen.print(f"\n{plugin.name} of {plugin.distribution}: {plugin.reason}", soft_wrap=True)
    return 1 if broken else 0


def check(options: argparse.Namespace) -> int:
    from ltx.cli import check

    return check.run(options.plugin, options.gin_file, options.gin_param, options.allow_gin_imports)


def data(options: argparse.Namespace) -> int:
    from ltx.data import loading
    from ltx.data import tfds as data
    from ltx.reporting import console

    if options.action == "list":
        screen = console.console()
        screen.print(console.make_table(["data set", "status"], data.available(options.data_dir)))
        rows = [
            [offer.usage, f"broken: {offer.reason}" if offer.reason else offer.sentence]
            for offer in loading.offers()
        ]
        screen.print(console.make_table(["offered", "what it is"], rows))
        return 0
    if not options.set:
        raise UsageError(
            f"data {options.action}: expected the name of a data set, as in fashion_mnist"
        )
    if options.action == "prepare":
        print(data.prepare(options.set, options.data_dir))
        return 0
    from ltx.data import importing

    print(importing.import_files(options.set, vars(options)["from"], options.data_dir))
    return 0


def models(options: argparse.Namespace) -> int:
    del options
    from ltx.core import environment
    from ltx.reporting import console

    with environment.hush_stderr():
        from ltx.backends.tf_keras.models import builder as models

    console.console().print(
        console.make_table(["model", "what it is"], list(models.names().items()))
    )
    return 0


def doctor(options: argparse.Namespace) -> int:
    del options
    from ltx.cli import doctor
    from ltx.reporting import console

    report = list(doctor.report())
    rows = [[subject, value, problem or "ok"] for subject, value, problem in report]
    console.console().print(console.make_table(["what", "found", "verdict"], rows))
    return 1 if any(problem for _, _, problem in report) else 0
