"""Record: what a store keeps of a study, from its command to its trials, and what is missing."""

import dataclasses
from collections.abc import Iterator, Mapping, Sequence

from ltx.core.environment import versions
from ltx.core.identity import describe
from ltx.evaluation.instability import TICKET, Stability
from ltx.store.event_log import Timing, timings
from ltx.store.store import Store
from ltx.study.definition import Study
from ltx.study.results import (
    CellFailure,
    DamagedResult,
    MissingResult,
    StabilityResult,
    TrialResult,
)

_APART = ("rows", "compared", "failures", "lost", "stability", "took")


@dataclasses.dataclass(frozen=True)
class StudyRecord:
    """A study's provenance and its results so far.

    `finders` says of each label whether it is a control; `study` and `engine` are settings as
    plain JSON data, `config` all of them as one gin file. `took` has the seconds of those trials
    of which the store's log tells them, by their ids.
    """

    id: str
    command: str
    config: str
    study: object
    engine: object
    versions: Mapping[str, str]
    plugins: Sequence[Mapping[str, str]]
    tasks: tuple[str, ...]
    finders: Mapping[str, bool]
    seeds: tuple[int, ...]
    margin: float = Study.margin
    stability: Stability | None = None
    finished: bool = False
    rows: tuple[TrialResult, ...] = ()
    compared: tuple[StabilityResult, ...] = ()
    failures: tuple[CellFailure, ...] = ()
    lost: tuple[DamagedResult, ...] = ()
    took: Mapping[str, Timing] = dataclasses.field(default_factory=dict, compare=False)

    @classmethod
    def of(
        cls,
        study: Study,
        engine: object,
        *,
        command: str,
        config: str,
        plugins: Sequence[Mapping[str, str]],
    ) -> "StudyRecord":
        """The record of a study that is about to begin."""
        return cls(
            id=study.id,
            command=command,
            config=config,
            study=describe(study),
            engine=describe(engine),
            versions=versions(),
            plugins=plugins,
            tasks=tuple(study.labels),
            finders={label: finder.control for label, finder in study.finders.items()},
            seeds=study.seeds,
            margin=study.margin,
            stability=study.stability,
        )

    def document(self) -> dict[str, object]:
        """Plain JSON data; trials are named by their ids."""
        plain = {f.name: getattr(self, f.name) for f in dataclasses.fields(self)}
        asked = self.stability
        return {
            "kind": "study",
            **{key: plain[key] for key in plain if key not in _APART},
            "stability": None if asked is None else dataclasses.asdict(asked),
            "trials": [
                {
                    "task": row.task,
                    "finder": row.finder,
                    "control": row.control,
                    "seed": row.seed,
                    "level": row.trial.level,
                    "trial": row.trial.id,
                }
                for row in self.rows
            ],
            "compared": [
                {
                    "task": one.task,
                    "finder": one.finder,
                    "control": one.control,
                    "seed": one.seed,
                    "level": one.instability.level,
                    "at": one.instability.at,
                    "stability": one.instability.id,
                }
                for one in self.compared
            ],
            "failures": [dataclasses.asdict(failure) for failure in self.failures],
        }

    @classmethod
    def read(cls, store: Store, id: str = "") -> "StudyRecord":
        """The record of the study whose id is, or alone begins with, `id`; the latest for ""."""
        document = store.study(id)
        entries = document.get("trials", [])
        known = store.trials({entry["trial"] for entry in entries})
        trials = {trial.id: trial for trial in known}
        rows, lost = [], []
        for entry in entries:
            place = (entry["task"], entry["finder"])
            if entry["trial"] in trials:
                row = TrialResult(*place, entry["control"], entry["seed"], trials[entry["trial"]])
                rows.append(row)
            else:
                lost.append(DamagedResult(*place, entry["seed"], entry.get("level")))
        compared = []
        for entry in document.get("compared", []):
            place = (entry["task"], entry["finder"])
            if found := store.instability(entry["stability"]):
                compared.append(StabilityResult(*place, entry["control"], entry["seed"], found))
            else:
                lost.append(DamagedResult(*place, entry["seed"], entry["level"], entry["at"]))
        asked = document.get("stability")
        cells = [*entries, *document.get("failures", [])]
        return cls(
            id=document["id"],
            command=document["command"],
            config=document["config"],
            study=document["study"],
            engine=document["engine"],
            versions=document["versions"],
            plugins=document["plugins"],
            # Records of ltx 0.1.0's first days name their cells only through their results.
            tasks=tuple(document.get("tasks") or dict.fromkeys(c["task"] for c in cells)),
            finders=document.get("finders")
            or {c["finder"]: bool(c.get("control")) for c in reversed(cells)},
            seeds=tuple(document.get("seeds") or sorted({c["seed"] for c in cells})),
            margin=document.get("margin", Study.margin),
            stability=None if asked is None else Stability(**asked),
            finished=document.get("finished", "trials" in document),
            rows=tuple(rows),
            compared=tuple(compared),
            failures=tuple(CellFailure(**failure) for failure in document.get("failures", [])),
            lost=tuple(lost),
            took=timings(store.events(), trials.keys()),
        )

    def gaps(self) -> Iterator[MissingResult]:
        """The trials that are missing: a finder's levels are those it reached with any seed."""
        there: dict[tuple[str, str, int], set[int]] = {}
        levels: dict[tuple[str, str], set[int | None]] = {}
        for row in self.rows:
            there.setdefault((row.task, row.finder, row.seed), set()).add(row.trial.level)
            levels.setdefault((row.task, row.finder), set()).add(row.trial.level)
        for one in self.lost:
            if one.at is None:
                levels.setdefault((one.task, one.finder), set()).add(one.level)
        for task in self.tasks:
            for finder, control in self.finders.items():
                known = levels.get((task, finder), {None})
                for seed in self.seeds:
                    absent = known - there.get((task, finder, seed), set())
                    for level in sorted(absent, key=lambda found: -1 if found is None else found):
                        reason = self._reason(task, finder, seed, level)
                        yield MissingResult(task, finder, control, seed, level, reason)

    def uncompared(self) -> Iterator[MissingResult]:
        """The trials whose copies were to be compared and are not, with the place."""
        there = {
            (one.task, one.finder, one.seed, one.instability.level, one.instability.at)
            for one in self.compared
        }
        asked = self.stability
        for row in self.rows:
            where, level = (row.task, row.finder, row.seed), row.trial.level
            for at in asked.at if asked and asked.measures(level) else ():
                idle = at == TICKET and not row.trial.trained_for.steps
                if not idle and (*where, level, at) not in there:
                    reason = self._unstable(*where, level, at)
                    yield MissingResult(
                        row.task, row.finder, row.control, row.seed, level, reason, at
                    )

    def _unstable(self, task: str, finder: str, seed: int, level: int, at: str) -> str:
        if DamagedResult(task, finder, seed, level, at) in self.lost:
            return "its file is missing or damaged; run the study again"
        for failure in self.failures:
            mine = failure.error.startswith(f"stability of level {level} at {at}: ")
            if mine and (failure.task, failure.finder, failure.seed) == (task, finder, seed):
                return failure.error
        return "not measured" if self.finished else "not run yet"

    def _reason(self, task: str, finder: str, seed: int, level: int | None) -> str:
        if DamagedResult(task, finder, seed, level) in self.lost:
            return "its file is missing or damaged; run the study again"
        for failure in self.failures:
            mine = (failure.task, failure.finder, failure.seed) == (task, finder, seed)
            if failure.ended and mine:
                return f"stopped early: {failure.error}"
        return "not found with this seed" if self.finished else "not run yet"
