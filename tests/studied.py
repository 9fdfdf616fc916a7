"""Studied: stores that hold a study, run on FakeLab or made up in any size, for reports."""

import dataclasses
from pathlib import Path

import numpy as np
from ltx_plugins.imp import IMP
from ltx_plugins.oneshot import SNIP
from ltx_plugins.random_reinit import RandomReinit
from ltx_plugins.transfer import Transfer

from ltx import Cost, Finder, History, Metrics, Store, Task, Ticket, Trial
from ltx.evaluation.instability import Stability
from ltx.store.event_log import Timing, TrialTimed
from ltx.study import loop
from ltx.study.definition import Study
from ltx.study.record import StudyRecord
from ltx.study.results import CellFailure, StabilityResult, TrialResult
from ltx.testing import RECIPE, FakeLab

TASK = Task(data="fake", model="fake", recipe=RECIPE)
OTHER = dataclasses.replace(TASK, data="other")
COMMAND = "ltx run --gin_file=studies/mine.gin"


def finders(levels: int = 3) -> dict[str, Finder]:
    imp = IMP(levels=levels)
    return {
        "imp": imp,
        "snip": SNIP(),
        "from_fake": Transfer(of=imp, source="fake"),
        "from_third": Transfer(of=imp, source="third"),
        "reinit": RandomReinit(of=imp),
    }


def run(made: Study, store: Store) -> StudyRecord:
    """Run a study on FakeLab and record it as the runner does."""
    results = list(loop.run(made, lambda t, s, sealed: FakeLab(t, s, sealed=sealed), store))
    record = dataclasses.replace(
        StudyRecord.of(made, None, command=COMMAND, config="Study.seeds = 2", plugins=[]),
        rows=tuple(r for r in results if isinstance(r, TrialResult)),
        compared=tuple(r for r in results if isinstance(r, StabilityResult)),
        failures=tuple(r for r in results if isinstance(r, CellFailure)),
        finished=True,
    )
    store.put_study(record.id, record.document())
    return record


def small(path: Path, seeds: int = 3) -> Store:
    """Two tasks, four finders and a control."""
    store = Store(path)
    run(Study(finders(), tasks=(TASK, OTHER), seeds=seeds), store)
    return store


def tiny(path: Path) -> Store:
    """One finder on one task with one seed."""
    store = Store(path)
    run(Study({"imp": IMP(levels=1)}, tasks=(TASK,), seeds=1), store)
    return store


def stable(path: Path) -> Store:
    """One finder and a control, with two places of stability."""
    store, imp = Store(path), IMP(levels=1)
    measured = Stability(points=5, at=("ticket", "20it"))
    found = {"imp": imp, "reinit": RandomReinit(of=imp)}
    run(Study(found, tasks=(TASK,), seeds=2, stability=measured), store)
    return store


def large(path: Path, tasks: int = 4, labels: int = 5, seeds: int = 10, levels: int = 10) -> Store:
    """Made-up trials of real tickets; as many as the numbers give, 2,000 by default."""
    store, rng, rows = Store(path), np.random.default_rng(0), []
    names = [f"data_{t}" for t in range(tasks)]
    imp = IMP(levels=levels - 1)
    made = Study(
        {f"finder_{n}": imp for n in range(labels - 1)} | {"reinit": RandomReinit(of=imp)},
        tasks=[dataclasses.replace(TASK, data=name) for name in names],
        seeds=seeds,
    )
    record = StudyRecord.of(made, None, command=COMMAND, config="", plugins=[])
    for task, name in zip(made.tasks, record.tasks, strict=True):
        for seed in made.seeds:
            lab = FakeLab(task, seed)
            for label, finder in made.finders.items():
                for ticket in _tickets(lab, levels, label):
                    store.put_ticket(ticket, task, finder, label)
                    trial = _trial(ticket, rng)
                    store.put_trial(trial)
                    store.log_event(TrialTimed(trial.id, Timing(60.0 * ticket.level, 60.0)))
                    rows.append(TrialResult(name, label, finder.control, seed, trial))
    record = dataclasses.replace(record, rows=tuple(rows), finished=True)
    store.put_study(record.id, record.document())
    return store


def _tickets(lab: FakeLab, levels: int, label: str) -> list[Ticket]:
    rng = lab.rng(label)
    order = {name: rng.permutation(ones.size) for name, ones in lab.dense().items()}
    masks = [
        {
            name: order[name].reshape(ones.shape) < ones.size * 0.8**n
            for name, ones in lab.dense().items()
        }
        for n in range(levels)
    ]
    return [
        Ticket.of(lab, type(lab.dense())(mask), lab.init(label), level=n)
        for n, mask in enumerate(masks)
    ]


def _trial(ticket: Ticket, rng: np.random.Generator) -> Trial:
    steps = tuple(range(100, 10_001, 100))
    loss = tuple(float(v) for v in 1 / np.sqrt(steps) + rng.normal(0, 0.01, len(steps)) + 1)
    accuracy = float(np.clip(0.98 - 0.01 * ticket.level + rng.normal(0, 0.005), 0, 1))
    cost = Cost(10_000, 600_000, 10**12, int(10**12 * ticket.density))
    return Trial(
        id=ticket.id,
        ticket=ticket.id,
        task=ticket.task,
        seed=ticket.seed,
        level=ticket.level,
        density=ticket.density,
        start=0,
        history=History(steps, loss, tuple(1 - v / 3 for v in loss)),
        validation=Metrics(0.1, accuracy),
        test=Metrics(0.1, accuracy),
        found_for=Cost(10_000 * ticket.level, 0, 10**12 * ticket.level, 10**11 * ticket.level),
        trained_for=cost,
    )
