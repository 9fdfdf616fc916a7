"""Loop: every cell runs, failures stay in theirs, and nothing finished is done again."""

import dataclasses
import logging
import math
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hands import Hands, SlowLab
from ltx_plugins.early_bird import EarlyBird
from ltx_plugins.imp import IMP
from ltx_plugins.oneshot import SNIP
from ltx_plugins.random_reinit import RandomReinit

from ltx import Finder, Lab, Mask, Store, Task, Ticket, UsageError
from ltx.core.errors import DivergedError, StoreFullError
from ltx.store.event_log import Timing, Trained, timings
from ltx.store.memo import MemoLab
from ltx.study import loop
from ltx.study.definition import Cell, Study
from ltx.study.listener import StudyListener
from ltx.study.results import CellFailure, TrialResult
from ltx.testing import RECIPE, FakeLab

TASK = Task(data="fake", model="fake", recipe=RECIPE)
OTHER = dataclasses.replace(TASK, data="other")


ERRORS: dict[str, type[BaseException]] = {
    "DivergedError": DivergedError,
    "KeyboardInterrupt": KeyboardInterrupt,
    "StoreFullError": StoreFullError,
    "UsageError": UsageError,
    "ValueError": ValueError,
    "ZeroDivisionError": ZeroDivisionError,
}


@dataclasses.dataclass(frozen=True)
class Breaks(Finder):
    """Finds the dense ticket, then fails for one seed."""

    error: str = "DivergedError"
    seed: int = 0

    def find(self, lab: Lab) -> Iterator[Ticket]:
        yield Ticket.of(lab, lab.dense(), lab.init())
        if lab.seed == self.seed:
            raise ERRORS[self.error]("the loss is not finite")


@dataclasses.dataclass(frozen=True)
class Crashes(Breaks):
    """Its check has a bug."""

    def check(self, lab: Lab) -> None:
        {}["kernel"]


@dataclasses.dataclass(frozen=True)
class Peeks(Finder):
    """Reads what it may not."""

    def find(self, lab: Lab) -> Iterator[Ticket]:
        lab.evaluate(lab.init(), lab.dense(), "test")
        yield Ticket.of(lab, lab.dense(), lab.init())


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "store")


def opener(store: Store) -> loop.OpenLab:
    return lambda task, seed, sealed: MemoLab(FakeLab(task, seed, sealed=sealed), store)


def run(made: Study, store: Store) -> tuple[list[TrialResult], list[CellFailure]]:
    results = list(loop.run(made, opener(store), store))
    rows = [r for r in results if isinstance(r, TrialResult)]
    return rows, [r for r in results if isinstance(r, CellFailure)]


def trained(store: Store) -> int:
    return sum(event.steps for event in store.events() if isinstance(event, Trained))


def test_every_cell_gives_a_row_per_level(store: Store) -> None:
    imp = IMP(levels=2)
    made = Study({"imp": imp, "reinit": RandomReinit(of=imp)}, tasks=(TASK, OTHER), seeds=(0, 5))
    rows, failures = run(made, store)
    assert failures == []
    cells = [(r.task, r.finder, r.control, r.seed, r.trial.level) for r in rows]
    assert len(set(cells)) == len(cells) == 2 * 2 * 2 * 3
    assert {cell[:3] for cell in cells} == {
        (task, *finder)
        for task in ("fake/fake", "other/fake")
        for finder in (("imp", False), ("reinit", True))
    }
    assert {r.seed for r in rows} == {0, 5}
    assert all(r.trial.seed == r.seed for r in rows)
    assert store.trials()
    assert {m["finder"] for m in store.manifests()} == {"imp", "reinit"}


class Calls(StudyListener):
    """Keeps each call with the steps trained until then."""

    def __init__(self, made: Study, store: Store) -> None:
        self.made, self.store = made, store
        self.calls: list[object] = []

    def cell_started(self, cell: Cell) -> None:
        assert cell.finder == self.made.finders[cell.finder_label]
        self.calls.append((*cell.key, None, trained(self.store)))

    def ticket_found(self, cell: Cell, ticket: Ticket) -> None:
        assert cell.task_of(ticket) == cell.task == TASK
        self.calls.append((*cell.key, ticket.level, trained(self.store)))

    def measured(self, result: TrialResult) -> None:
        self.calls.append(TrialResult)

    def failed(self, failure: CellFailure) -> None:
        self.calls.append(CellFailure)


def test_a_listener_is_called_for_every_ticket_before_it_is_trained(store: Store) -> None:
    made = Study({"imp": IMP(levels=1), "fails": Breaks(seed=0)}, tasks=(TASK,), seeds=1)
    listener = Calls(made, store)
    results = list(loop.run(made, opener(store), store, listener))
    assert [type(result) for result in results] == [*[TrialResult] * 3, CellFailure]
    imp, fails = ("fake/fake", "imp", 0), ("fake/fake", "fails", 0)
    assert listener.calls == [
        *((*imp, None, 0), (*imp, 0, 0), TrialResult),
        *((*imp, 1, 60), TrialResult),
        *((*fails, None, 120), (*fails, 0, 120), TrialResult, CellFailure),
    ]


class Faulty(StudyListener):
    def measured(self, result: TrialResult) -> None:
        raise ValueError("of its own")


def test_an_error_in_a_listener_is_not_a_cells(store: Store) -> None:
    made = Study({"imp": IMP(levels=1)}, tasks=(TASK,), seeds=1)
    with pytest.raises(ValueError, match="of its own"):
        list(loop.run(made, opener(store), store, Faulty()))


def test_a_control_shares_the_trainings_of_what_it_controls(store: Store) -> None:
    imp = IMP(levels=2)
    run(Study({"imp": imp}, tasks=(TASK,), seeds=1), store)
    before = trained(store)
    assert before == 3 * 60
    run(Study({"imp": imp, "reinit": RandomReinit(of=imp)}, tasks=(TASK,), seeds=1), store)
    assert trained(store) == before + 3 * 60


def test_a_finished_study_runs_again_without_training(store: Store) -> None:
    made = Study({"imp": IMP(levels=3)}, tasks=(TASK,), seeds=2)
    first = run(made, store)
    before = trained(store)
    assert run(made, store) == first
    for path in (store.path / "memo").rglob("*.safetensors"):
        path.touch()
    assert trained(store) == before


def timed(
    made: Study, store: Store, lab: type[FakeLab] = SlowLab
) -> tuple[list[TrialResult], dict[str, Timing]]:
    """The trials of a study on such labs, and what the log tells of their seconds."""
    results = loop.run(made, lambda t, s, sealed: MemoLab(lab(t, s, sealed=sealed), store), store)
    rows = [result for result in results if isinstance(result, TrialResult)]
    return rows, timings(store.events(), {row.trial.id for row in rows})


SLOW = Study(
    {"imp": IMP(levels=2), "snip": SNIP(), "reinit": RandomReinit(of=IMP(levels=2))},
    tasks=(TASK,),
    seeds=1,
)


def test_seconds_count_finding_and_training(store: Store, hands: Hands) -> None:
    rows, seconds = timed(SLOW, store)
    told = [
        (row.finder, seconds[row.trial.id].found, seconds[row.trial.id].trained) for row in rows
    ]
    assert told == [
        ("imp", 0, 60),
        ("imp", 60, 60),
        ("imp", 120, 60),
        ("snip", 0, 60),
        ("snip", 5, 60),
        ("reinit", 0, 60),
        ("reinit", 60, 60),
        ("reinit", 120, 60),
    ]


def test_a_second_run_tells_the_same_seconds_and_moves_no_byte(store: Store, hands: Hands) -> None:
    def contents() -> dict[str, bytes]:
        kinds = ("tickets", "found", "states", "trials")
        return {p.name: p.read_bytes() for kind in kinds for p in (store.path / kind).iterdir()}

    first, before = timed(SLOW, store), contents()
    hands.pace = 7.0
    assert timed(SLOW, store) == first
    assert contents() == before
    # Another clock, from nothing: the seconds are its own, the bytes are the same.
    for kind in ("memo", "tickets", "found", "states", "trials"):
        for path in (store.path / kind).rglob("*.*"):
            path.unlink()
    rows, seconds = timed(SLOW, store)
    assert rows == first[0]
    assert contents() == before
    assert seconds[rows[2].trial.id] == Timing(7 * 120, 7 * 60)


def test_what_is_found_from_the_memo_took_what_it_took(store: Store, hands: Hands) -> None:
    timed(dataclasses.replace(SLOW, finders={"imp": IMP(levels=2)}), store)
    hands.pace = 1000.0
    rows, seconds = timed(dataclasses.replace(SLOW, finders={"longer": IMP(levels=3)}), store)
    assert seconds[rows[2].trial.id] == Timing(120, 60)
    assert seconds[rows[3].trial.id] == Timing(180, 60_000)


@dataclasses.dataclass(frozen=True)
class Ponders(Finder):
    """Does work of its own, before and after its first ticket."""

    def find(self, lab: Lab) -> Iterator[Ticket]:
        SlowLab.hands.move(3)
        dense = Ticket.of(lab, lab.dense(), lab.init())
        yield dense
        SlowLab.hands.move(4)
        scores = {name: lab.rng(name).random(ones.shape) for name, ones in lab.dense().items()}
        yield dense.child(lab, Mask({name: score < 0.5 for name, score in scores.items()}))


def test_a_finders_own_work_counts_and_the_trials_between_do_not(
    store: Store, hands: Hands
) -> None:
    rows, seconds = timed(dataclasses.replace(SLOW, finders={"ponders": Ponders()}), store)
    assert [seconds[row.trial.id].found for row in rows] == [3, 7]


def test_a_ticket_that_waits_for_others_took_no_longer(store: Store, hands: Hands) -> None:
    made = EarlyBird(densities=(0.9, 0.1), every="2it", window=2, threshold=0.9)
    rows, seconds = timed(dataclasses.replace(SLOW, finders={"early": made}), store)
    for row in rows:
        assert seconds[row.trial.id].found == row.trial.found_for.steps


class Forgets(SlowLab):
    """Does not tell how long it trained."""

    def run_training(self, *asked: Any) -> Any:
        return dataclasses.replace(super().run_training(*asked), seconds=math.nan)


def test_seconds_that_are_not_known_are_not_told(store: Store, hands: Hands) -> None:
    rows, seconds = timed(SLOW, store, Forgets)
    assert [math.isnan(seconds[row.trial.id].found) for row in rows[:3]] == [False, True, True]
    assert all(math.isnan(seconds[row.trial.id].total) for row in rows)


def test_trials_do_not_depend_on_the_memo(store: Store, tmp_path: Path) -> None:
    made = Study({"imp": IMP(levels=2)}, tasks=(TASK,), seeds=1)
    run(made, store)
    again = run(made, store)
    plain = Store(tmp_path / "plain")
    rows = list(
        loop.run(made, lambda task, seed, sealed: FakeLab(task, seed, sealed=sealed), plain)
    )
    assert rows == again[0]


def test_a_study_cut_short_goes_on(store: Store) -> None:
    made = Study({"imp": IMP(levels=3)}, tasks=(TASK,), seeds=2)
    results = loop.run(made, opener(store), store)
    first = [next(results) for _ in range(3)]
    results.close()  # type: ignore[attr-defined]
    before = trained(store)
    rows, _ = run(made, store)
    assert rows[:3] == first
    assert trained(store) == 2 * 4 * 60
    assert before < trained(store)


# A plugin is a stranger's code: its own mistakes fail its cells, not the study.
@pytest.mark.parametrize(
    "error", ["DivergedError", "UsageError", "ValueError", "ZeroDivisionError"]
)
def test_a_failing_cell_keeps_its_tickets_and_the_other_cells(store: Store, error: str) -> None:
    finders = {"breaks": Breaks(error), "imp": IMP(levels=1)}
    rows, failures = run(Study(finders, tasks=(TASK,), seeds=2), store)
    assert [(f.task, f.finder, f.seed) for f in failures] == [("fake/fake", "breaks", 0)]
    assert "the loss is not finite" in failures[0].error
    assert [(r.finder, r.seed, r.trial.level) for r in rows] == [
        ("breaks", 0, 0),
        ("imp", 0, 0),
        ("imp", 0, 1),
        ("breaks", 1, 0),
        ("imp", 1, 0),
        ("imp", 1, 1),
    ]
    assert len(store.tickets(finder="breaks")) == 2


def test_a_crash_names_the_line_of_the_plugin_and_the_log_keeps_the_traceback(store: Store) -> None:
    finders = {"a": Breaks("ValueError"), "b": Breaks("DivergedError")}
    _, (crash, foreseen) = run(Study(finders, tasks=(TASK,), seeds=1), store)
    assert crash.error.startswith("ValueError: the loss is not finite (")
    assert re.search(r"test_loop\.py, line \d+: raise ERRORS\[self\.error\]\(", crash.error)
    assert foreseen.error == "the loss is not finite"
    logged = {e.cell[1]: e for e in store.events() if getattr(e, "error", None)}
    assert {label: e.state for label, e in logged.items()} == {"a": "failed", "b": "diverged"}
    assert logged["a"].error == crash.error
    assert logged["a"].traceback.startswith("Traceback (most recent call last):")
    assert logged["a"].traceback.endswith("ValueError: the loss is not finite\n")
    assert logged["b"].traceback is None


def test_a_check_that_crashes_is_a_mistake_of_the_finder(store: Store) -> None:
    made = Study({"crashes": Crashes()}, tasks=(TASK,), seeds=1)
    with pytest.raises(UsageError, match=r"Study\.finders\['crashes'\]: its check raised KeyError"):
        loop.check(made, opener(store))


@pytest.mark.parametrize("error", ["KeyboardInterrupt", "StoreFullError"])
def test_what_is_no_cells_fault_stops_the_study(store: Store, error: str) -> None:
    with pytest.raises(ERRORS[error]):
        run(Study({"breaks": Breaks(error)}, tasks=(TASK,), seeds=1), store)


def test_a_finder_never_sees_the_test_split(store: Store) -> None:
    rows, failures = run(Study({"peeks": Peeks()}, tasks=(TASK,), seeds=1), store)
    assert rows == []
    assert "test split" in failures[0].error


def test_tasks_that_differ_are_not_mistaken_for_one(store: Store) -> None:
    short = dataclasses.replace(TASK, recipe=dataclasses.replace(RECIPE, length="20it"))
    try:
        made = Study({"imp": IMP(levels=1)}, tasks=(TASK, short), seeds=1)
    except UsageError:
        return
    rows, _ = run(made, store)
    assert len({(r.task, r.finder, r.seed, r.trial.level) for r in rows}) == len(rows) == 4


def test_check_refuses_before_anything_trains(store: Store) -> None:
    labs: list[Lab] = []

    def open_lab(task: Task, seed: int, sealed: bool) -> Lab:
        labs.append(MemoLab(FakeLab(task, seed, sealed=sealed), store))
        return labs[-1]

    wrong = IMP(pruning=dataclasses.replace(IMP().pruning, keep=("conv*",)))
    with pytest.raises(UsageError, match=r"conv\*"):
        loop.check(Study({"good": IMP(), "wrong": wrong}, tasks=(TASK,)), open_lab)
    loop.check(Study({"good": IMP()}, tasks=(TASK,)), open_lab)
    assert labs
    assert all(lab.spent.steps == 0 for lab in labs)
    assert trained(store) == 0


@dataclasses.dataclass(frozen=True)
class Nameless(Finder):
    """Has a setting that no hash can stand for."""

    score: Any = abs

    def find(self, lab: Lab) -> Iterator[Ticket]:
        yield Ticket.of(lab, lab.dense(), lab.init())


def test_check_refuses_a_setting_without_identity(store: Store) -> None:
    made = Study({"nameless": Nameless(score=max)}, tasks=(TASK,), seeds=1)
    with pytest.raises(UsageError, match="nameless"):
        loop.check(made, opener(store))


def test_check_refuses_a_task_whose_data_are_spoilt(store: Store) -> None:
    spoilt = dataclasses.replace(TASK, corrupt="random_labels")
    with pytest.raises(
        UsageError, match=r"Task\.corrupt 'random_labels': a study measures on true"
    ):
        loop.check(Study({"imp": IMP()}, tasks=(spoilt,)), opener(store))


@dataclasses.dataclass(frozen=True)
class Empties(Finder):
    """Leaves nothing of the hidden layer."""

    def find(self, lab: Lab) -> Iterator[Ticket]:
        dense = Ticket.of(lab, lab.dense(), lab.init())
        yield dense
        hidden = dense.mask["hidden/kernel"]
        yield dense.child(lab, Mask({**dense.mask, "hidden/kernel": hidden & False}))


def test_a_layer_that_lost_everything_is_told_once_and_still_measured(
    store: Store, caplog: pytest.LogCaptureFixture
) -> None:
    made = Study({"broken": Empties(), "imp": IMP(levels=1)}, tasks=(TASK,), seeds=1)
    results = loop.run(made, opener(store), store)
    with caplog.at_level(logging.WARNING, "ltx"):
        next(results)
        assert not caplog.messages
        rows = [row for row in results if isinstance(row, TrialResult)]
    assert caplog.messages == [
        "broken, level 1: disconnected, so that it cannot learn: no path of surviving weights leads"
        " from the inputs to the outputs; it ends at hidden/kernel"
    ]
    assert [(row.finder, row.trial.level) for row in rows] == [
        ("broken", 1),
        ("imp", 0),
        ("imp", 1),
    ]


@dataclasses.dataclass(frozen=True)
class Strays(Finder):
    """Keeps five hidden units, and makes seven more that nothing takes."""

    def find(self, lab: Lab) -> Iterator[Ticket]:
        dense = Ticket.of(lab, lab.dense(), lab.init())
        yield dense
        taken = dense.mask["output/kernel"].copy()
        taken[5:] = False
        yield dense.child(lab, Mask({**dense.mask, "output/kernel": taken}))


class Asked(FakeLab):
    """Counts how often it is asked for paths."""

    times = 0

    def compute_effective(self, mask: Mask) -> Mask:
        Asked.times += 1
        return super().compute_effective(mask)


def test_useless_weights_are_told_before_training_and_measured_once(
    store: Store, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Asked, "times", 0)
    made = Study({"strays": Strays()}, tasks=(TASK,), seeds=1)
    told = (
        "strays, level 1: 53% of its weights are useless, on no path of surviving weights from the"
        " inputs to the outputs: its effective density is 41.67%; dead units: 7 of 12 in"
        " hidden/kernel"
    )
    for _ in range(2):
        results = loop.run(made, lambda t, s, sealed: Asked(t, s, sealed=sealed), store)
        first, second = results
        assert isinstance(second, TrialResult)
        assert caplog.messages == [told]
        assert Asked.times == 2  # the ticket's mask and the dense one, to compare with
        caplog.clear()
    assert second.trial.trained_for == FakeLab(TASK).cost(
        60, store.ticket(second.trial.ticket).mask
    )
    dense, sparse = (store.manifest(row.trial.ticket) for row in (first, second))
    assert "effective_density" not in dense
    assert sparse["effective_density"] == pytest.approx(5 / 12)
    assert sparse["dead_units"] == {"hidden/kernel": 7, "output/kernel": 0}


class Untold(FakeLab):
    """Has a model that does not tell its paths."""

    def compute_effective(self, mask: Mask) -> Mask:
        raise UsageError("nobody knows")


def test_what_cannot_be_measured_is_told_once_and_stops_nothing(
    store: Store, caplog: pytest.LogCaptureFixture
) -> None:
    made = Study({"imp": IMP(levels=2)}, tasks=(TASK,), seeds=2)
    rows = list(loop.run(made, lambda t, s, sealed: Untold(t, s, sealed=sealed), store))
    assert len(rows) == 6
    assert caplog.messages == ["nobody knows"]
    assert all("effective_density" not in one for one in store.manifests())


def test_check_refuses_a_batch_larger_than_the_data(store: Store) -> None:
    large = dataclasses.replace(TASK, recipe=dataclasses.replace(RECIPE, batch_size=1000))
    with pytest.raises(UsageError, match="1000 is more than the 200"):
        loop.check(Study({"imp": IMP()}, tasks=(large,)), opener(store))


def test_tasks_go_by_the_labels_they_are_given(store: Store) -> None:
    made = Study({"imp": IMP(levels=1)}, tasks={"one": TASK, "two": OTHER}, seeds=1)
    assert made.labels == ["one", "two"]
    assert made.named == {"one": TASK, "two": OTHER}
    rows, _ = run(made, store)
    assert [(row.task, row.trial.task) for row in rows[::2]] == [
        ("one", TASK.id),
        ("two", OTHER.id),
    ]
    assert made.id != Study({"imp": IMP(levels=1)}, tasks=(TASK, OTHER), seeds=1).id
