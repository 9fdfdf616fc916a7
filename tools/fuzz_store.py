"""Mutates files of a small store, renews their digests, and reads them in every way ltx does.

    python tools/fuzz_store.py --count=100000 --seed=0

A read may return what was stored, say that there is nothing, or raise an LtxError. Everything else
is counted and printed: another exception, more than 5 seconds, or a wrong ticket, which is one
whose id, mask, state, level, task, seed, recipe or parent is not that of its name. Costs, notes,
labels and measured numbers are covered by no id: of those, only types and ranges can be checked.
"""

import argparse
import collections
import logging
import os
import random
import shutil
import signal
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from ltx_plugins.imp import IMP
from store_mutations import mutated

from ltx import Store, Ticket, Trial
from ltx.core.errors import LtxError
from ltx.core.task import Task
from ltx.evaluation.instability import Stability
from ltx.store.event_log import StudyStarted
from ltx.store.memo import MemoLab
from ltx.study import loop, status
from ltx.study.definition import Study
from ltx.study.record import StudyRecord
from ltx.study.results import StabilityResult, TrialResult
from ltx.testing import RECIPE, FakeLab

MOST_SECONDS = 5


# A small store


def make(path: Path) -> Store:
    """A store with a file of every kind: two labels, a stability, a memo and a log."""
    store, imp = Store(path), IMP(levels=1)
    measured = Stability(points=3)
    recipe_task = Task(data="fake", model="fake", recipe=RECIPE)
    study = Study({"imp": imp, "twin": imp}, tasks=(recipe_task,), seeds=1, stability=measured)

    def open_lab(task: Task, seed: int, sealed: bool) -> MemoLab:
        return MemoLab(FakeLab(task, seed, sealed=sealed), store)

    store.log_event(StudyStarted(study.id))
    results = list(loop.run(study, open_lab, store))
    record = StudyRecord.of(study, None, command="ltx run", config="", plugins=[])
    document = {
        **record.document(),
        "trials": [
            _entry(one, one.trial.level) | {"trial": one.trial.id}
            for one in results
            if isinstance(one, TrialResult)
        ],
        "compared": [
            _entry(one, one.instability.level)
            | {"stability": one.instability.id, "at": one.instability.at}
            for one in results
            if isinstance(one, StabilityResult)
        ],
        "failures": [{"task": "fake", "finder": "imp", "seed": 0, "error": "none"}],
    }
    store.put_study(record.id, document)
    return store


def _entry(result: TrialResult | StabilityResult, level: int) -> dict[str, Any]:
    names = ("task", "finder", "control", "seed")
    return {**{name: getattr(result, name) for name in names}, "level": level}


# Reads


class Reader:
    """Reads one file of a store, by all ways that lead to it, and finds what must not be."""

    def __init__(self, store: Store) -> None:
        self.store, self.path = store, store.path
        self.tickets = {ticket.id: ticket for ticket in store.tickets()}
        self.manifests = {id: store.manifest(id) for id in self.tickets}
        self.packed = {id: store.packed(id) for id in self.tickets}
        self.kinds = {
            "tickets": self.tickets_,
            "found": self.tickets_,
            "states": self.tickets_,
            "trials": self.trials,
            "stability": self.stability,
            "studies": self.studies,
            "memo": self.memo,
            "log.jsonl": self.log,
            "ltx-store.json": self.mark,
        }

    def reads(self, path: Path) -> Iterator[Callable[[], object]]:
        """The ways to read the file; each is tried with the file in its place."""
        yield from self.kinds[path.relative_to(self.path).parts[0]](path)

    def tickets_(self, path: Path) -> Iterator[Callable[[], object]]:
        store, ids = self.store, list(self.tickets)
        yield store.manifests
        yield lambda: list(store.manifests_by_id(ids).values())
        yield store.tickets
        for id, known in self.manifests.items():
            if path.parent.name != "states" and not path.name.startswith(id):
                continue
            yield from self.ticket_(id, known["finder_settings"])

    def ticket_(self, id: str, settings: object) -> Iterator[Callable[[], object]]:
        store = self.store
        yield lambda: self.asked(id, store.ticket(id).id)
        yield lambda: self.asked(id, store.ticket(id[:6], "twin").id)
        yield lambda: store.manifest(id)
        yield lambda: self.asked_packed(id)
        yield lambda: store.find_manifest(id)
        yield lambda: store.find_manifest(id, "twin", settings)

    def asked(self, id: str, got: str) -> str:
        return "" if got == id else f"wrong ticket {got} for {id}"

    def asked_packed(self, id: str) -> str:
        got, known = self.store.packed(id), self.packed[id]
        if got is None or known is None:
            return ""
        plain = [({n: a.tolist() for n, a in bits.items()}, sizes) for bits, sizes in (got, known)]
        return "" if plain[0] == plain[1] else f"wrong masks of {id}"

    def trials(self, path: Path) -> Iterator[Callable[[], object]]:
        yield self.store.trials
        yield lambda: self.store.trial(path.stem)
        yield lambda: StudyRecord.read(self.store)

    def stability(self, path: Path) -> Iterator[Callable[[], object]]:
        yield lambda: self.store.instability(path.stem)
        yield lambda: StudyRecord.read(self.store)

    def studies(self, path: Path) -> Iterator[Callable[[], object]]:
        yield self.store.studies
        yield lambda: StudyRecord.read(self.store)
        yield lambda: StudyRecord.read(self.store, path.stem[:6])
        yield lambda: list(status.statuses(self.store))

    def mark(self, path: Path) -> Iterator[Callable[[], object]]:
        yield lambda: Store(self.path, create=False)

    def log(self, path: Path) -> Iterator[Callable[[], object]]:
        yield lambda: StudyRecord.read(self.store)
        yield lambda: list(status.statuses(self.store))

    def memo(self, path: Path) -> Iterator[Callable[[], object]]:
        memo, key = self.store.memo, path.parent.name
        yield lambda: memo.run(key, 1 << 40)
        yield lambda: memo.run(key, 1 << 40, read_only=True, start=FakeLab().init())
        yield lambda: memo.numbers(key)
        yield lambda: memo.numbers(key, read_only=True)

    def wrong(self, value: object) -> str:
        """What is wrong with a value that was read; "" if nothing is."""
        if isinstance(value, list):
            return next((text for one in value if (text := self.wrong(one))), "")
        if isinstance(value, str):
            return value
        if isinstance(value, Ticket):
            return "" if value.id in self.tickets else f"wrong ticket {value.id}"
        if isinstance(value, dict) and value.get("kind") == "ticket":
            names = ("level", "density", "task_id", "seed", "recipe", "parent", "state", "shapes")
            known = self.manifests.get(value["id"], {})
            bad = [name for name in names if known.get(name) != value[name]]
            return f"wrong {bad} of ticket {value['id']}" if bad else ""
        if isinstance(value, Trial):
            metrics = (value.validation.value, value.test.value, value.density)
            return "" if all(0 <= one <= 1 for one in metrics) else "wrong trial"
        return ""


def try_one(reader: Reader, rng: random.Random, files: dict[Path, bytes]) -> Iterator[str]:
    """Mutate one file, read it, and put it back; what was found that must not be."""
    kinds = sorted({path.relative_to(reader.path).parts[0] for path in files})
    kind = rng.choice(kinds)
    path = rng.choice([path for path in files if path.relative_to(reader.path).parts[0] == kind])
    others = [content for other, content in files.items() if other.suffix == path.suffix]
    content = mutated(rng, files[path], others)
    path.write_bytes(content)
    for read in reader.reads(path):
        if not path.exists():  # the read before put it aside
            path.write_bytes(content)
        started = time.monotonic()
        signal.alarm(4 * MOST_SECONDS)
        try:
            wrong = reader.wrong(read())
        except LtxError as error:
            wrong = "an error of several lines" if "\n" in str(error) else ""
        except Exception as error:  # whatever it is: that is what is looked for
            wrong = f"{type(error).__name__}: {error}"[:300]
        signal.alarm(0)
        if time.monotonic() - started > MOST_SECONDS:
            wrong = f"took {time.monotonic() - started:.1f} s"
        if wrong:
            yield f"{path.relative_to(reader.path).parts[0]}: {wrong}"
    path.write_bytes(files[path])


def contents(store: Store) -> dict[Path, bytes]:
    """The files of a store that are read, in a fixed order."""
    names = {"locks", "damaged"}
    paths = [path for path in sorted(store.path.rglob("*")) if path.is_file()]
    return {
        path: path.read_bytes()
        for path in paths
        if path.relative_to(store.path).parts[0] not in names
    }


def _hang(*_: object) -> None:
    raise TimeoutError("hangs")


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--count", type=int, default=10_000, help="how many mutated files")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    logging.disable(logging.CRITICAL)
    signal.signal(signal.SIGALRM, _hang)
    found: collections.Counter[str] = collections.Counter()
    with tempfile.TemporaryDirectory(dir=os.environ.get("TMPDIR")) as folder:
        store = make(Path(folder) / "store")
        reader, files, started = Reader(store), contents(store), time.monotonic()
        for number in range(options.count):
            for text in try_one(reader, random.Random(f"{options.seed} {number}"), files):
                found[text] += 1
                if found[text] == 1:
                    print(f"{options.seed} {number}: {text}", flush=True)
            shutil.rmtree(store.path / "damaged", ignore_errors=True)
        seconds = time.monotonic() - started
    print(f"{options.count} mutated files, {sum(found.values())} faults, {seconds:.0f} s")
    return min(1, len(found))


if __name__ == "__main__":
    raise SystemExit(main())
