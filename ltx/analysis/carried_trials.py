"""Carried tickets of a study, each with the native tickets that it is compared with."""

import dataclasses
from collections.abc import Mapping, Sequence

from ltx.analysis.comparison import PAIRED_DENSITY_TOLERANCE, gains, is_as_dense
from ltx.analysis.grouping import Trials, by_finder
from ltx.analysis.paired_tests import Paired
from ltx.evaluation.trial import Trial
from ltx.store.store import Store
from ltx.study.record import StudyRecord

# Relative, between networks under one new head or stem. Tickets of equal density keep different
# shares of what it replaces, since their tasks, inputs and numbers of classes differ.
SAME_HEAD_TOLERANCE = 0.05


@dataclasses.dataclass(frozen=True)
class Arm:
    """What one finder carried to one task.

    `native` is the label of the finder of the native tickets, "" if there is none, and `head` and
    `stem` what that finder did to these layers, "" where they keep those that they were found with.
    `dense` are trials of the dense network.
    """

    task: str
    finder: str
    source: str
    carry: str
    native: str
    head: str
    dense: Trials
    stem: str = ""

    @property
    def is_renewed(self) -> bool:
        """Whether native tickets have a new head or stem."""
        return bool(self.head or self.stem)

    @property
    def is_native(self) -> bool:
        """Whether its tickets are the native ones themselves, under a new head or stem."""
        return self.native == self.finder


@dataclasses.dataclass(frozen=True)
class Cell:
    """The trials of one level of an arm, and the native ones of that level.

    `paired` are the native ones of seeds where the densities of the whole networks agree.
    """

    arm: Arm
    level: int
    trials: Trials
    native: Trials

    @property
    def paired(self) -> Trials:
        tolerance = SAME_HEAD_TOLERANCE if self.arm.is_renewed else PAIRED_DENSITY_TOLERANCE
        return {
            seed: self.native[seed]
            for seed, trial in self.trials.items()
            if seed in self.native and is_as_dense(trial, self.native[seed], tolerance)
        }

    @property
    def gap(self) -> Paired:
        """By how much carried tickets are better, whatever the direction of the metric."""
        return gains(self.trials, {} if self.arm.is_native else self.paired)


class CarriedTrials:
    """A record's trials by task, finder, level and seed, with the notes of their tickets."""

    def __init__(self, record: StudyRecord, store: Store) -> None:
        self.record, self.store = record, store
        study = record.study if isinstance(record.study, Mapping) else {}
        self.settings: Mapping[str, object] = study.get("finders", {})
        self.trials = by_finder(record.rows)

    def arms(self) -> list[Arm]:
        """The finders that carry tickets, in order of target and source."""
        notes: list[tuple[str, str, Mapping]] = []
        names: dict[str, str] = {}  # of tasks, by their ids
        ids: dict[str, str] = {}  # of tasks, by their names
        for (task, finder), levels in self.trials.items():
            manifest = self._first(finder, levels)
            names.setdefault(str(manifest.get("task_id")), task)
            if manifest:
                ids.setdefault(task, str(manifest["task_id"]))
            note = manifest.get("note", {})
            if note.keys() >= {"source", "source_task", "source_density", "carry", "of"}:
                notes.append((task, finder, note))
        sources = _unique_names({n["source_task"]: n["source"] for _, _, n in notes}, names)
        arms = [
            self._arm(task, finder, sources[note["source_task"]], note, notes, ids)
            for task, finder, note in notes
        ]
        order = [*self.record.tasks, *sources.values()]
        return sorted(arms, key=lambda a: (order.index(a.task), order.index(a.source)))

    def _arm(
        self,
        task: str,
        finder: str,
        source: str,
        note: Mapping,
        notes: Sequence[tuple[str, str, Mapping]],
        ids: Mapping[str, str],
    ) -> Arm:
        """An arm with its native finder.

        Under a new head or stem that is what carries the target's own tickets whole to the target,
        under the same ones; if the study has none, or both are carried too, the finder on the
        target.
        """
        found = self._native(task, note["of"])
        dense = {seed: t for seed, t in self._level(task, found, 0).items() if t.density == 1}
        own = {
            "source_task": ids.get(task),
            "of": note["of"],
            "carry": "rewind",
            "head": note.get("head"),
            "stem": note.get("stem"),
        }
        alike = [
            label
            for place, label, other in notes
            if place == task and own == {key: other.get(key) for key in own}
        ]
        head, stem = (
            "" if note.get(place) in (None, "carry") else note[place] for place in ("head", "stem")
        )
        if not (head or stem) or not alike:
            return Arm(task, finder, source, note["carry"], found, "", dense)
        native = finder if finder in alike else alike[0]
        return Arm(task, finder, source, note["carry"], native, head, dense, stem)

    def cells(self, arm: Arm) -> list[Cell]:
        """An arm's levels but the dense one."""
        return [
            Cell(arm, level, trials, self._level(arm.task, arm.native, level))
            for level, trials in self.trials[arm.task, arm.finder].items()
            if level > 0
        ]

    def _native(self, task: str, of: object) -> str:
        labels = (f for t, f in self.trials if t == task and self.settings.get(f) == of)
        return next(labels, "")

    def _level(self, task: str, finder: str, level: int) -> Trials:
        return self.trials.get((task, finder), {}).get(level, {})

    def _first(self, finder: str, levels: Mapping[int, Trials]) -> Mapping:
        """The manifest of the first ticket that is there."""
        every = (self._manifest(finder, t) for trials in levels.values() for t in trials.values())
        return next(filter(None, every), {})

    def _manifest(self, finder: str, trial: Trial) -> Mapping:
        return self.store.find_manifest(trial.ticket, finder, self.settings.get(finder)) or {}


def _unique_names(noted: Mapping[str, str], labels: Mapping[str, str]) -> dict[str, str]:
    """A name per task id: its label in the study, else that of the note, with its id if shared."""
    names = {id: labels.get(id, name) for id, name in noted.items()}
    shared = list(names.values())
    return {
        id: name if shared.count(name) == 1 or id in labels else f"{name} {id[:6]}"
        for id, name in names.items()
    }
