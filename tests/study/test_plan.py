"""Plan: what it foresees is what a run then trains, and nothing is written on the way."""

import dataclasses
import math
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from ltx_plugins.corrupted import Corrupted
from ltx_plugins.early_bird import EarlyBird
from ltx_plugins.early_rewind import EarlyRewind
from ltx_plugins.gradual import Gradual
from ltx_plugins.imp import IMP
from ltx_plugins.oneshot import SNIP, GraSP, SynFlow
from ltx_plugins.random_reinit import RandomReinit
from ltx_plugins.rigl import SET, RigL
from ltx_plugins.subset import Subset
from ltx_plugins.supermask import Supermask
from ltx_plugins.transfer import Transfer

from ltx import Finder, Mask, Metrics, State, Store, Task
from ltx.core.lab import Lab
from ltx.store.event_log import Trained
from ltx.store.memo import MemoLab
from ltx.study import loop, plan
from ltx.study.definition import Study
from ltx.study.dry_run_lab import CellPlan, DryRunLab, PlanState, Replay
from ltx.study.results import TrialResult
from ltx.study.throughput import Throughput
from ltx.testing import RECIPE, FakeLab

TASK = Task(data="fake", model="fake", recipe=RECIPE)
IMP2 = IMP(levels=2)

FIXED: dict[str, Finder] = {
    "imp": IMP2,
    "reinit": RandomReinit(of=IMP2),
    "shuffled": RandomReinit(of=IMP2, mask="shuffled"),
    "sign_kept": RandomReinit(of=IMP2, weights="sign_kept"),
    "rewind": EarlyRewind(levels=2, rewind="10it"),
    "rate": EarlyRewind(levels=2, rewind="10it", mode="learning_rate"),
    "fine_tune": EarlyRewind(levels=2, rewind="10it", mode="fine_tune"),
    "snip": SNIP(density=0.3),
    "grasp": GraSP(density=0.3),
    "synflow": SynFlow(density=0.3, rounds=3),
    "gradual": Gradual(density=0.3, every="10it"),
    "rigl": RigL(density=0.5, every="10it"),
    "set": SET(density=0.5, every="10it"),
    "supermask": Supermask(),
    "subset": Subset(of=IMP2, share=0.5),
    "corrupted": Corrupted(of=IMP2),
    "transfer": Transfer(of=IMP2, source="other"),
}
OPEN: dict[str, Finder] = {
    "early_bird": EarlyBird(every="5it", window=3),
    "auto": EarlyRewind(levels=2, rewind="auto"),
    "control of auto": RandomReinit(of=EarlyRewind(levels=1, rewind="auto")),
}


class Blind(FakeLab):
    """Cannot read the test split."""

    def run_evaluation(self, state: State, mask: Mask, split: str) -> Metrics:
        assert split != "test"
        return super().run_evaluation(state, mask, split)


def opener(store: Store, lab: type[FakeLab] = FakeLab) -> loop.OpenLab:
    return lambda task, seed, sealed: MemoLab(lab(task, seed, sealed=sealed), store)


def foreseen(made: Study, store: Store, convergent: bool = False) -> list[CellPlan]:
    return plan.cells(made, opener(store, Blind), store, convergent)


def steps(cells: list[CellPlan]) -> int:
    return sum(cell.cost.steps for cell in cells)


def trained(store: Store) -> int:
    return sum(event.steps for event in store.events() if isinstance(event, Trained))


def run(made: Study, store: Store) -> list:
    return list(loop.run(made, opener(store), store))


def files(store: Store) -> dict[str, tuple[bytes, int]]:
    return {
        str(path): (path.read_bytes(), path.stat().st_mtime_ns)
        for path in store.path.rglob("*")
        if path.is_file()
    }


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "store")


def test_a_plans_lab_shows_what_the_lab_it_wraps_is() -> None:
    facts = {name for name, value in vars(Lab).items() if isinstance(value, property)}
    own = {name for name in facts if getattr(DryRunLab, name) is not getattr(Lab, name)}
    assert facts - {"spent", "seconds"} <= own


@pytest.mark.parametrize("label", FIXED)
def test_the_steps_foreseen_are_the_steps_trained(store: Store, label: str) -> None:
    made = Study({label: FIXED[label]}, tasks=(TASK,), seeds=2)
    most, least = foreseen(made, store), foreseen(made, store, convergent=True)
    rows = run(made, store)
    assert [cell.error for cell in most] == ["", ""]
    assert steps(most) == steps(least) == trained(store)
    assert sum(cell.tickets for cell in most) == len(rows)
    assert all(cell.requested == cell.shared + cell.cost.steps for cell in most)
    after = foreseen(made, store)
    assert steps(after) == 0
    assert [cell.error for cell in after] == ["", ""]
    assert all(cell.requested == cell.stored + cell.shared for cell in after)
    assert sum(cell.bytes + cell.states for cell in after) == 0


def test_what_finders_share_is_counted_once(store: Store) -> None:
    made = Study(FIXED, tasks=(TASK,), seeds=1)
    cells = foreseen(made, store)
    run(made, store)
    assert steps(cells) == trained(store)
    alone = sum(
        steps(foreseen(Study({k: f}, tasks=(TASK,), seeds=1), Store(store.path / k)))
        for k, f in FIXED.items()
    )
    assert steps(cells) < alone


@pytest.mark.parametrize("label", OPEN)
def test_a_finder_that_stops_by_what_it_sees_trains_about_within_the_bounds(
    store: Store, label: str
) -> None:
    made = Study({label: OPEN[label]}, tasks=(TASK,), seeds=2)
    most, least = foreseen(made, store), foreseen(made, store, convergent=True)
    run(made, store)
    assert steps(least) < steps(most)
    # Rewinding to step 0 shares its first trial with the search, to a later step it does not.
    assert 0.95 * steps(least) <= trained(store) <= 1.05 * steps(most)
    for convergent in (False, True):
        after = foreseen(made, store, convergent)
        assert steps(after) == 0
        assert [cell.error for cell in after] == ["", ""]


@given(cut=st.integers(0, 11))
def test_a_study_cut_anywhere_needs_the_rest(cut: int, tmp_path_factory) -> None:
    store = Store(tmp_path_factory.mktemp("cut") / "store")
    made = Study(
        {"reinit": RandomReinit(of=IMP2), "imp": IMP2, "snip": SNIP(density=0.3)},
        tasks=(TASK,),
        seeds=2,
    )
    whole = steps(foreseen(made, store))
    results = loop.run(made, opener(store), store)
    for _ in range(cut):
        next(results)
    results.close()  # type: ignore[attr-defined]
    assert steps(foreseen(made, store)) == whole - trained(store)


def test_the_half_of_a_training_that_a_checkpoint_holds_is_not_counted(store: Store) -> None:
    lab = opener(store)(TASK, 0, True)
    lab.train(lab.init(), lab.dense(), "25it")
    made = Study({"imp": IMP(levels=1)}, tasks=(TASK,), seeds=1)
    (cell,) = foreseen(made, store)
    assert (cell.requested, cell.stored, cell.shared, cell.cost.steps) == (180, 50, 35, 95)


def test_no_bound_makes_two_finders_alike_that_are_not(store: Store) -> None:
    pair = {"imp": IMP2, "corrupted": Corrupted(of=IMP2)}
    most, least = plan.estimate(Study(pair, tasks=(TASK,), seeds=1), opener(store), store)
    assert [cell.cost for cell in most] == [cell.cost for cell in least]


def test_the_bounds_are_two_plans_or_one_that_made_nothing_up(store: Store) -> None:
    made = Study({"imp": IMP2, **OPEN}, tasks=(TASK,), seeds=1)
    most, least = plan.estimate(made, opener(store), store)
    assert (steps(most), steps(least)) == (
        steps(foreseen(made, store)),
        steps(foreseen(made, store, convergent=True)),
    )
    run(made, store)
    most, least = plan.estimate(made, opener(store), store)
    assert most is least
    assert steps(most) == 0


def test_nothing_is_written_and_no_test_split_is_read(store: Store) -> None:
    made = Study({**FIXED, **OPEN}, tasks=(TASK,), seeds=1)
    results = loop.run(made, opener(store), store)
    for _ in range(9):
        next(results)
    results.close()  # type: ignore[attr-defined]
    before = files(store)
    foreseen(made, store)
    foreseen(made, store, convergent=True)
    assert files(store) == before


def test_a_trial_that_is_gone_is_planned_again_and_its_training_is_not(store: Store) -> None:
    made = Study({"imp": IMP(levels=1)}, tasks=(TASK,), seeds=1)
    run(made, store)
    for path in (store.path / "trials").iterdir():
        path.unlink()
    (cell,) = foreseen(made, store)
    assert (cell.cost.steps, cell.requested) == (0, cell.stored)
    for path in (store.path / "memo").rglob("*.safetensors"):
        path.unlink()
    (cell,) = foreseen(made, store)
    assert cell.cost.steps == 120


@dataclasses.dataclass(frozen=True)
class Fails(Finder):
    def find(self, lab: Lab):  # type: ignore[no-untyped-def]
        yield from IMP(levels=1).find(lab)
        raise ValueError("of its own")


def test_a_finder_that_fails_in_the_plan_is_told_and_the_others_are_planned(store: Store) -> None:
    made = Study({"fails": Fails(), "imp": IMP(levels=1)}, tasks=(TASK,), seeds=1)
    fails, imp = foreseen(made, store)
    assert fails.error.startswith("ValueError: of its own (")
    assert "test_plan.py, line " in fails.error
    assert (fails.tickets, imp.tickets) == (2, 2)
    assert (fails.cost.steps, imp.cost.steps) == (120, 0)


def test_a_line_adds_its_seeds_up_by_speed_and_size(store: Store) -> None:
    other = dataclasses.replace(TASK, recipe=dataclasses.replace(RECIPE, batch_size=10))
    made = Study({"imp": IMP(levels=1), "bird": OPEN["early_bird"]}, tasks=(TASK, other), seeds=2)
    most, least = foreseen(made, store), foreseen(made, store, convergent=True)
    benches = plan.labs_to_time(most)
    assert [lab.task for lab in benches.values()] == [TASK, other]
    paces = dict(zip(benches, [Throughput(0.5, 2.0, 1000), None], strict=True))
    lines = plan.lines(most, least, paces)
    names = [(line.task, line.finder, line.seeds, line.tickets) for line in lines]
    labels = made.labels
    assert names == [
        (labels[0], "imp", 2, 4),
        (labels[0], "bird", 2, 8),
        (labels[1], "imp", 2, 4),
        (labels[1], "bird", 2, 8),
    ]
    assert lines[0].cost.steps == lines[0].least == 2 * 120
    assert lines[0].seconds == 2 * (120 * 0.5 + 12 * 2.0)
    assert lines[0].cost.dense_flops == 2 * FakeLab().cost(120, FakeLab().dense()).dense_flops
    assert lines[0].cost.flops < lines[0].cost.dense_flops
    assert lines[1].least < lines[1].cost.steps
    assert lines[2].seconds is None


def test_the_disk_foreseen_is_the_disk_taken(store: Store) -> None:
    made = Study({"imp": IMP2, "rewind": FIXED["rewind"]}, tasks=(TASK,), seeds=2)
    cells = foreseen(made, store)
    trained_state = FakeLab().run_training(FakeLab().init(), FakeLab().dense(), 1, "order").state
    size = sum(array.nbytes for array in trained_state.arrays().values())
    lines = plan.lines(cells, cells, {"any": Throughput(1.0, 1.0, size)})
    run(made, store)
    states = sum(path.stat().st_size for path in (store.path / "states").iterdir())
    assert len(list((store.path / "states").iterdir())) == 4
    planned = sum(line.bytes for line in lines)
    masks = sum(cell.tickets for cell in cells) * (FakeLab().dense().size // 8 + 4096)
    assert 0.5 * (states + masks) < planned < 2 * (states + masks)


@pytest.mark.slow
def test_on_keras_the_steps_foreseen_are_the_steps_trained(store: Store) -> None:
    from conftest import DIGITS

    from ltx.backends.tf_keras.lab import KerasLab

    def open_lab(task: Task, seed: int, sealed: bool) -> Lab:
        return MemoLab(KerasLab(task, seed, sealed=sealed), store)

    labels = ("imp", "snip", "supermask")
    finders = {label: FIXED[label] for label in labels} | {"auto": OPEN["auto"]}
    made = Study(finders, tasks=(DIGITS,), seeds=1)
    most = {cell.finder: cell for cell in plan.cells(made, open_lab, store)}
    assert [cell.error for cell in most.values()] == [""] * len(finders)
    took: dict[str, int] = {}
    for result in loop.run(made, open_lab, store):
        assert isinstance(result, TrialResult), result
        took[result.finder] = trained(store) - sum(n for f, n in took.items() if f != result.finder)
    for label, steps_taken in took.items():
        if label != "auto":
            assert steps_taken == most[label].cost.steps
    after = plan.cells(made, open_lab, store)
    assert [(cell.error, cell.cost.steps) for cell in after] == [("", 0)] * len(finders)


def test_nobody_knows_the_seconds_of_what_is_made_up(tmp_path: Path) -> None:
    store = Store(tmp_path)
    inner = MemoLab(FakeLab(TASK), store)
    known = inner.train(inner.init(), inner.dense(), "20it")
    lab = DryRunLab(
        MemoLab(FakeLab(TASK), store),
        PlanState(store, True, {}),
        CellPlan("t", "f", 0),
        Replay(True),
    )
    assert lab.train(lab.init(), lab.dense(), "20it").seconds == known.seconds
    assert lab.seconds > 0
    assert math.isnan(lab.train(lab.init(), lab.dense()).seconds)
    assert math.isnan(lab.seconds)
