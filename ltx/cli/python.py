"""`ltx.run`: run a study from Python instead of the command line."""

import contextlib
import os
from collections.abc import Sequence

from ltx.cli import study as command
from ltx.cli.trackers import open_trackers
from ltx.config import gin_files
from ltx.config.gin_files import Config
from ltx.core import trust as trusted
from ltx.core.engine import Engine
from ltx.core.errors import BudgetError, UsageError
from ltx.core.validation import check_type
from ltx.reporting.results import Results
from ltx.store.budget import Limit
from ltx.store.memo import CHECKPOINT_SECONDS, MEMO_BYTES
from ltx.store.store import Store
from ltx.study.definition import Study
from ltx.study.listener import StudyListener


def run(
    study: Study | str | os.PathLike[str],
    store: Store | str | os.PathLike[str] = "ltx-store",
    engine: Engine | None = None,
    *,
    params: Sequence[str] = (),
    data_dir: str | os.PathLike[str] | None = None,
    budget: str | None = None,
    progress: bool = False,
    trackers: Sequence[StudyListener | str] = (),
    memo_bytes: int = MEMO_BYTES,
    checkpoint_seconds: float = CHECKPOINT_SECONDS,
    trust: Sequence[str] = (),
) -> Results:
    """Run a study to its end, or go on where it was stopped, and return its results.

    Args:
      study: a Study, or a gin file: a path, or the name of one that comes with ltx.
      store: the folder that keeps tickets, trials and unfinished work; created if missing.
      engine: where and how programs run; by default that of the gin file.
      params: gin bindings applied after the file, as in "imp.levels=5".
      data_dir: where TFDS keeps its data sets; by default $TFDS_DATA_DIR.
      budget: how much may be trained now, as in "20000it" or "30m". The results of a study that it
        ends early have `finished` False.
      progress: whether to show a progress bar on stderr.
      trackers: listeners, or NAME:LOCATION of an installed tracker, as in "csv:trials.csv".
      memo_bytes: how much finished training the store caches.
      checkpoint_seconds: how much training a killed run may lose.
      trust: the packages whose functions a gin file may name as models, as in ("my_package",);
        the models of a Study may be of any package.
    """
    limit = None if budget is None else Limit.parse(budget)
    with contextlib.suppress(BudgetError), _trust(study, trust):
        config = _config(study, engine, params)
        listeners = [_listener(tracker, config.study) for tracker in trackers]
        opened = store if isinstance(store, Store) else Store(store)
        command.train(
            config,
            opened,
            listeners,
            command=f"ltx.run({'study' if isinstance(study, Study) else repr(str(study))})",
            progress=progress,
            data_dir=None if data_dir is None else os.fspath(data_dir),
            memo_bytes=memo_bytes,
            checkpoint_seconds=checkpoint_seconds,
            limit=limit,
        )
    return Results.read(opened, config.study.id)


def _trust(study: object, packages: Sequence[str]) -> contextlib.AbstractContextManager[None]:
    """The packages that a gin file may name; a Study comes from code, which may name any."""
    if not isinstance(study, Study):
        return trusted.only(packages, "ltx.run trust")
    if packages:
        raise UsageError("ltx.run: `trust` is for a gin file; the models of a Study may be any")
    return contextlib.nullcontext()


def _listener(tracker: StudyListener | str, study: Study) -> StudyListener:
    if isinstance(tracker, str):
        return open_trackers(study, [tracker])[0]
    check_type("ltx.run trackers", tracker, StudyListener, "'csv:trials.csv'")
    return tracker


def _config(
    study: Study | str | os.PathLike[str], engine: Engine | None, params: Sequence[str]
) -> Config:
    if engine is not None:
        check_type("engine", engine, Engine, "ltx.Engine(device='cpu')")
    if isinstance(study, Study):
        if params:
            raise UsageError("ltx.run: `params` change a gin file; change the Study itself instead")
        return Config(study, engine or Engine(), "")
    if not isinstance(study, str | os.PathLike):
        raise UsageError(f"ltx.run: expected a Study or a gin file, got {study!r}")
    config = gin_files.load([os.fspath(study)], list(params))
    return config if engine is None else Config(config.study, engine, config.text)
