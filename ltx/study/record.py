"""StudyRecord: a study's provenance and results, as its store keeps them."""

import dataclasses
import re
from collections.abc import Iterator, Mapping, Sequence

from ltx.core.environment import versions
from ltx.core.errors import CorruptError
from ltx.core.identity import describe
from ltx.core.objectives.metric import ACCURACY
from ltx.evaluation.instability import TICKET, Stability
from ltx.store.event_log import Timing, timings
from ltx.store.store import Store
from ltx.study.controlled import class_name, control_classes, controlled
from ltx.study.definition import Study
from ltx.study.results import (
    CellFailure,
    DamagedResult,
    MissingResult,
    StabilityResult,
    TrialResult,
)

_DAMAGED = "its file is missing or damaged; run the study again"
# Fields that `document` converts.
_CONVERTED = ("rows", "compared", "failures", "damaged", "stability", "timings")
_NEEDED = {"config", "study", "engine", "versions", "plugins"}
# How records of ltx 0.1.0 name the level and the rewind point of a failure.
_STABILITY_FAILURE = re.compile(r"stability of level (\d+) at (.+?): ")


@dataclasses.dataclass(frozen=True)
class StudyRecord:
    """A study's provenance and its results so far.

    `finders` maps each label to whether it is a control, `controls` each control's label to the
    finders that it controls. `margin` None is that of each task's metric. `study` and
    `engine` are settings as plain JSON data, `config` all of them as one gin file. `timings` has
    the seconds of the trials that the store's log has, by trial id.
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
    margin: float | None = ACCURACY.margin
    stability: Stability | None = None
    finished: bool = False
    rows: tuple[TrialResult, ...] = ()
    compared: tuple[StabilityResult, ...] = ()
    failures: tuple[CellFailure, ...] = ()
    damaged: tuple[DamagedResult, ...] = ()
    controls: Mapping[str, tuple[str, ...]] = dataclasses.field(default_factory=dict)
    timings: Mapping[str, Timing] = dataclasses.field(default_factory=dict, compare=False)

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
        """The record of a study before its first result."""
        settings = {label: describe(finder) for label, finder in study.finders.items()}
        controls = [label for label, finder in study.finders.items() if finder.control]
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
            margin=_margin(study),
            stability=study.stability,
            controls=controlled(settings, controls, control_classes(study.finders.values())),
        )

    def document(self) -> dict[str, object]:
        """The record as plain JSON data; trials are named by their ids."""
        fields = {f.name: getattr(self, f.name) for f in dataclasses.fields(self)}
        return {
            "kind": "study",
            **{key: fields[key] for key in fields if key not in _CONVERTED},
            "stability": self.stability and dataclasses.asdict(self.stability),
            "trials": [
                {
                    "task": row.task,
                    "finder": row.finder,
                    "control": row.control,
                    "seed": row.seed,
                    "level": row.trial.level,
                    "trial": row.trial.id,
                    "parent": row.parent,
                    **({"lab": dict(row.lab)} if row.lab else {}),
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
            "failures": [_plain(failure) for failure in self.failures],
        }

    @classmethod
    def read(cls, store: Store, id: str = "") -> "StudyRecord":
        """Read the record of the study with this id or unique id prefix; the latest for ""."""
        document = store.study(id)
        if missing := _NEEDED - document.keys():
            raise CorruptError(
                f"study {document['id']}: its record has no {min(missing)!r}; the study's command"
                " writes it anew and trains nothing again"
            )
        entries = document.get("trials", [])
        trials = {trial.id: trial for trial in store.trials({e["trial"] for e in entries})}
        rows, damaged = [], []
        failures = [_failure(entry) for entry in document.get("failures", [])]
        for entry in entries:
            where = (entry["task"], entry["finder"])
            trial = trials.get(entry["trial"])
            if trial and not trial.is_finite:
                failures.append(_diverged(entry, ended=True))
            elif trial:
                parent = _parent(entry, trial.ticket, store)
                cell = (*where, entry["control"], entry["seed"])
                rows.append(TrialResult(*cell, trial, parent, entry.get("lab", {})))
            else:
                damaged.append(DamagedResult(*where, entry["seed"], entry.get("level")))
        compared = []
        for entry in document.get("compared", []):
            where = (entry["task"], entry["finder"])
            result = store.instability(entry["stability"])
            if result and not result.is_finite:
                failures.append(_diverged(entry, ended=False))
            elif result:
                compared.append(StabilityResult(*where, entry["control"], entry["seed"], result))
            else:
                damaged.append(DamagedResult(*where, entry["seed"], entry["level"], entry["at"]))
        stability = document.get("stability")
        cells = [*entries, *document.get("failures", [])]
        # The first records of ltx 0.1.0 name their cells only through their results.
        finders = document.get("finders") or {
            c["finder"]: bool(c.get("control")) for c in reversed(cells)
        }
        return cls(
            id=document["id"],
            command=document["command"],
            config=document["config"],
            study=document["study"],
            engine=document["engine"],
            versions=document["versions"],
            plugins=document["plugins"],
            tasks=tuple(document.get("tasks") or dict.fromkeys(c["task"] for c in cells)),
            finders=finders,
            seeds=tuple(document.get("seeds") or sorted({c["seed"] for c in cells})),
            margin=document.get("margin", ACCURACY.margin),
            stability=None if stability is None else Stability(**stability),
            finished=document.get("finished", "trials" in document),
            rows=tuple(rows),
            compared=tuple(compared),
            failures=tuple(failures),
            damaged=tuple(damaged),
            controls=_controls(document, finders),
            timings=timings(store.events(), trials.keys()),
        )

    def gaps(self) -> Iterator[MissingResult]:
        """The missing trials; a finder should have each level that it reached with any seed."""
        present: dict[tuple[str, str, int], set[int]] = {}
        levels: dict[tuple[str, str], set[int | None]] = {}
        for row in self.rows:
            present.setdefault((row.task, row.finder, row.seed), set()).add(row.trial.level)
            levels.setdefault((row.task, row.finder), set()).add(row.trial.level)
        for one in self.damaged:
            if one.at is None:
                levels.setdefault((one.task, one.finder), set()).add(one.level)
        for task in self.tasks:
            for finder, control in self.finders.items():
                expected = levels.get((task, finder), {None})
                for seed in self.seeds:
                    missing = expected - present.get((task, finder, seed), set())
                    for level in sorted(missing, key=lambda level: -1 if level is None else level):
                        reason = self._missing_trial(task, finder, seed, level)
                        yield MissingResult(task, finder, control, seed, level, reason)

    def uncompared(self) -> Iterator[MissingResult]:
        """The missing stability results of the trials that are there, by rewind point."""
        present = {
            (one.task, one.finder, one.seed, one.instability.level, one.instability.at)
            for one in self.compared
        }
        settings = self.stability
        for row in self.rows:
            where, level = (row.task, row.finder, row.seed), row.trial.level
            for at in settings.at if settings and settings.measures(level) else ():
                untrained = at == TICKET and not row.trial.trained_for.steps
                if not untrained and (*where, level, at) not in present:
                    reason = self._missing_stability(*where, level, at)
                    yield MissingResult(
                        row.task, row.finder, row.control, row.seed, level, reason, at
                    )

    def _missing_stability(self, task: str, finder: str, seed: int, level: int, at: str) -> str:
        """Why the stability of a ticket from a rewind point is missing."""
        if DamagedResult(task, finder, seed, level, at) in self.damaged:
            return _DAMAGED
        for failure in self.failures:
            cell = (failure.task, failure.finder, failure.seed)
            if cell == (task, finder, seed) and (failure.level, failure.at) == (level, at):
                return failure.text
        return "not measured" if self.finished else "not run yet"

    def _missing_trial(self, task: str, finder: str, seed: int, level: int | None) -> str:
        """Why the trial of a level is missing."""
        if DamagedResult(task, finder, seed, level) in self.damaged:
            return _DAMAGED
        for failure in self.failures:
            cell = (failure.task, failure.finder, failure.seed)
            if failure.ended and cell == (task, finder, seed):
                return failure.reason
        return "not found with this seed" if self.finished else "not run yet"


def _margin(study: Study) -> float | None:
    """The margin of all tasks; None where each has that of its metric."""
    accuracy = set(study.metrics.values()) == {ACCURACY}
    return ACCURACY.margin if study.margin is None and accuracy else study.margin


def _parent(entry: Mapping, ticket: str, store: Store) -> str | None:
    """The ticket that a control's ticket was made from; ltx 0.1.0 has it in the manifest only."""
    if "parent" in entry or not entry["control"]:
        return entry.get("parent")
    return (store.find_manifest(ticket) or {}).get("parent")


def _controls(document: Mapping, finders: Mapping[str, bool]) -> dict[str, tuple[str, ...]]:
    """What each control controls; records of ltx 0.1.0 have it in their settings only."""
    if "controls" in document:
        return {label: tuple(subjects) for label, subjects in document["controls"].items()}
    study = document["study"]
    settings = study.get("finders", {}) if isinstance(study, Mapping) else {}
    controls = [label for label, control in finders.items() if control]
    classes = {class_name(settings.get(label)) for label in controls}
    return controlled(settings, controls, classes)


def _plain(failure: CellFailure) -> dict[str, object]:
    """A failure as plain data; fields that do not apply to it are omitted."""
    omitted = [name for name in ("level", "at") if getattr(failure, name) is None]
    omitted += [] if failure.diverged else ["diverged"]
    return {key: value for key, value in vars(failure).items() if key not in omitted}


def _failure(entry: Mapping) -> CellFailure:
    """A failure of a stored record."""
    match = _STABILITY_FAILURE.match(entry["error"])
    if match and not entry.get("ended", True) and "level" not in entry:
        entry = {**entry, "level": int(match[1]), "at": match[2]}
    names = {field.name for field in dataclasses.fields(CellFailure)}
    return CellFailure(**{key: value for key, value in entry.items() if key in names})


def _diverged(entry: Mapping, ended: bool) -> CellFailure:
    """The failure that stands for a stored result that is not finite, as of ltx 0.1.0."""
    cell = entry["task"], entry["finder"], entry["seed"]
    text = "the stored result is not finite"
    return CellFailure(*cell, text, ended, entry["level"], entry.get("at"), diverged=True)
