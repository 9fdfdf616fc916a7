"""MemoLab: nothing is trained twice; interrupted or corrupt work ends in the same bytes."""

import dataclasses
import math
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hands import Hands, SlowLab
from ltx_plugins.early_rewind import EarlyRewind

from ltx import (
    Barrier,
    Cost,
    EdgePopup,
    Lab,
    Mask,
    Metrics,
    NofM,
    PolynomialDecay,
    Run,
    State,
    Store,
    Task,
    Ticket,
    UsageError,
    barrier,
    copies,
)
from ltx.core import environment
from ltx.core.run import timed
from ltx.store import atomic_files, memo
from ltx.store.event_log import Trained
from ltx.store.memo import MemoLab, Training
from ltx.study import loop, plan
from ltx.study.definition import Study
from ltx.testing import RECIPE, FakeLab


class Counting(FakeLab):
    """Remembers what it was asked to train, and is interrupted before `stop_at`."""

    def __init__(
        self, task: Task | None = None, seed: int = 0, stop_at: int = 10**9, **settings: Any
    ) -> None:
        super().__init__(task, seed, **settings)
        self.calls: list[tuple[int, int]] = []
        self.stop_at = stop_at

    def run_training(self, state: State, mask: Mask, stop: int, stream: str) -> Run:
        if stop > self.stop_at:
            raise KeyboardInterrupt
        self.calls.append((state.step, stop))
        return super().run_training(state, mask, stop, stream)


def pair(store: Store, limit: int = memo.MEMO_BYTES, **settings: Any) -> tuple[Counting, MemoLab]:
    inner = Counting(**settings)
    return inner, MemoLab(inner, store, limit)


def plain(until: str | None = None) -> Run:
    lab = FakeLab()
    return lab.train(lab.init(), lab.dense(), until)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "store")


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memo, "CHECKPOINT_SECONDS", 1e-9)


def train(lab: Lab, until: str | None = None) -> Run:
    return lab.train(lab.init(), lab.dense(), until)


def entries(store: Store) -> list[str]:
    return sorted(path.name for path in (store.path / "memo").rglob("*.safetensors"))


def trained(store: Store) -> int:
    return sum(event.steps for event in store.events() if isinstance(event, Trained))


def test_a_remembered_training_is_the_plain_one(store: Store) -> None:
    _, first = pair(store)
    inner, second = pair(store)
    assert train(first) == train(second) == plain()
    assert inner.calls == []


def test_who_listens_hears_of_each_stretch_and_of_what_was_remembered(
    store: Store, impatient: None
) -> None:
    told: list[tuple[Training, Run]] = []

    def lab() -> MemoLab:
        return MemoLab(FakeLab(), store, on_progress=lambda *call: told.append(call))

    first = lab()
    train(first, "20it")
    asked = Training.of(first.task, first.init(), first.dense())
    assert {training for training, _ in told} == {asked}
    assert [run.state.step for _, run in told] == list(range(10, 21))
    assert told[-1][1] == plain("20it")
    told.clear()
    train(lab(), "20it")
    assert told == [(asked, plain("20it"))]
    told.clear()
    train(lab(), "25it")
    assert [run.state.step for _, run in told] == [25]
    assert told[-1][1] == plain("25it")


def test_a_longer_training_starts_from_the_longest_known(store: Store) -> None:
    _, lab = pair(store)
    train(lab, "20it")
    train(lab, "35it")
    inner, lab = pair(store)
    assert train(lab) == plain()
    assert min(start for start, _ in inner.calls) == 35
    assert trained(store) == 60


def test_a_shorter_training_is_not_cut_from_a_longer_one(store: Store) -> None:
    _, lab = pair(store)
    train(lab)
    assert train(lab, "25it") == plain("25it")


@pytest.mark.parametrize("change", ["seed", "stream", "state", "mask", "task"])
def test_every_argument_makes_its_own_entry(store: Store, change: str) -> None:
    train(pair(store)[1])
    task = Task(data="other" if change == "task" else "fake", model="fake", recipe=RECIPE)
    inner, lab = pair(store, task=task, seed=int(change == "seed"))
    state, mask = FakeLab().init("b" if change == "state" else "init"), lab.dense()
    if change == "mask":
        mask = Mask(
            {name: keep & (lab.rng(name).random(keep.shape) < 0.5) for name, keep in mask.items()}
        )
    stream = "second" if change == "stream" else "order"
    run = lab.train(state, mask, stream=stream)
    assert inner.calls
    assert run == FakeLab(task, inner.seed).train(state, mask, stream=stream)


def test_the_ledger_counts_what_was_remembered(store: Store) -> None:
    _, first = pair(store)
    train(first)
    _, second = pair(store)
    train(second, "20it")
    train(second)
    assert first.spent.steps == 60
    assert second.spent.steps == 80
    assert trained(store) == 60 + 20


def test_a_learned_mask_is_remembered_by_its_method(store: Store) -> None:
    method = EdgePopup(0.3)
    first, second = (pair(store)[1] for _ in range(2))
    run = first.train_mask(first.init(), first.dense(), method)
    lab = FakeLab()
    assert run == lab.train_mask(lab.init(), lab.dense(), method)
    assert second.train_mask(lab.init(), lab.dense(), method) == run
    assert trained(store) == 60
    assert second.train_mask(lab.init(), lab.dense(), EdgePopup(0.4)) != run
    # The scores are the state's slots: a half-done training is found by the state it began from.
    half = second.train_mask(lab.init(), lab.dense(), method, "30it").state
    assert second.train_mask(half, lab.dense(), method).state == run.state
    assert second.spent.steps == 60 + 60 + 30 + 30


def test_no_training_is_not_an_entry(store: Store) -> None:
    _, lab = pair(store)
    mask = Mask(
        {
            name: keep & (lab.rng(name).random(keep.shape) < 0.5)
            for name, keep in lab.dense().items()
        }
    )
    assert lab.train(lab.init(), mask, "0it") == FakeLab().train(lab.init(), mask, "0it")
    assert entries(store) == []


def test_siblings_are_remembered_too_and_share_the_ledger(store: Store) -> None:
    _, lab = pair(store)
    sibling = lab.on(data="other")
    assert isinstance(sibling, MemoLab)
    run = train(sibling)
    assert lab.spent.steps == 60
    before = trained(store)
    assert train(lab.on(data="other")) == run
    assert trained(store) == before


class Softmax(FakeLab):
    outputs_logits = False


def test_a_softmax_shows_through(store: Store) -> None:
    lab = MemoLab(Softmax(), store)
    with pytest.raises(UsageError, match="ends in logits"):
        lab.synaptic_flow(lab.init(), lab.dense())


def test_the_rest_of_the_lab_shows_through(store: Store) -> None:
    inner, lab = pair(store, seed=4)
    for name in (
        "task",
        "seed",
        "prunable",
        "head",
        "input_shape",
        "epoch",
        "fingerprint",
        "sealed",
    ):
        assert getattr(lab, name) == getattr(inner, name)
    assert lab.init("x") == inner.init("x")
    assert lab.evaluate(lab.init(), lab.dense()) == inner.evaluate(lab.init(), lab.dense())
    assert lab.gradients(lab.init(), lab.dense(), 2).keys() == lab.dense().keys()
    assert lab.spent.steps == 2
    product = lab.hessian_gradient(lab.init(), lab.dense())
    flow = lab.synaptic_flow(lab.init(), lab.dense())
    decay = PolynomialDecay(0.5, begin=0, end=9, structure=NofM())
    made = lab.scheduled_mask(lab.init(), lab.dense(), decay)
    assert made == inner.scheduled_mask(inner.init(), inner.dense(), decay)
    for name in lab.dense():
        same = inner.hessian_gradient(inner.init(), inner.dense())[name]
        np.testing.assert_array_equal(product[name], same)
        same = inner.synaptic_flow(inner.init(), inner.dense())[name]
        np.testing.assert_array_equal(flow[name], same)
    with pytest.raises(UsageError, match="test split"):
        lab.evaluate(lab.init(), lab.dense(), "test")


@pytest.mark.usefixtures("impatient")
def test_a_checkpoint_replaces_the_older_one(store: Store) -> None:
    _, lab = pair(store, stop_at=30)
    with pytest.raises(KeyboardInterrupt):
        train(lab)
    assert entries(store) == ["30.checkpoint.safetensors"]
    train(pair(store)[1])
    assert entries(store) == ["60.safetensors"]


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize("step", [9, 10, 11, 37, 59])
def test_an_interrupted_training_goes_on_to_the_same_bytes(store: Store, step: int) -> None:
    _, lab = pair(store, stop_at=step)
    with pytest.raises(KeyboardInterrupt):
        train(lab)
    inner, lab = pair(store)
    assert train(lab) == plain()
    begun = min(start for start, _ in inner.calls)
    assert begun == (step if step >= 10 else 0)


@pytest.mark.usefixtures("impatient")
def test_a_shorter_training_leaves_a_longer_ones_checkpoint(store: Store) -> None:
    _, lab = pair(store, stop_at=50)
    with pytest.raises(KeyboardInterrupt):
        train(lab)
    train(pair(store)[1], "5it")
    inner, lab = pair(store)
    assert train(lab) == plain()
    assert min(start for start, _ in inner.calls) == 50


KILLED = """
import sys, time
from ltx import Store
from ltx.store import memo
from ltx.testing import FakeLab
memo.CHECKPOINT_SECONDS = 1e-9
class Slow(FakeLab):
    def run_training(self, *args):
        time.sleep(0.02)
        return super().run_training(*args)
lab = memo.MemoLab(Slow(), Store(sys.argv[1]))
lab.train(lab.init(), lab.dense())
"""


def start(code: str, store: Store) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", code, str(store.path)]
    return subprocess.Popen(command, stderr=subprocess.PIPE, text=True)


def test_a_killed_process_loses_little(store: Store) -> None:
    victim = start(KILLED, store)
    while trained(store) < 20:
        assert victim.poll() is None
        time.sleep(0.01)
    victim.send_signal(signal.SIGKILL)
    victim.communicate()
    inner, lab = pair(store)
    assert train(lab) == plain()
    assert min(start for start, _ in inner.calls) >= 18


def test_two_processes_train_the_same_once(store: Store) -> None:
    both = [start(KILLED, store) for _ in range(2)]
    assert [process.communicate()[1] for process in both] == ["", ""]
    assert trained(store) == 60
    assert len({event.pid for event in store.events()}) == 1
    inner, lab = pair(store)
    assert train(lab) == plain()
    assert inner.calls == []


@pytest.mark.parametrize("position", [0, 8, 80, -1])
def test_a_damaged_entry_is_put_aside_and_trained_again(store: Store, position: int) -> None:
    train(pair(store)[1])
    (path,) = (store.path / "memo").rglob("*.safetensors")
    content = bytearray(path.read_bytes())
    content[position] ^= 4
    path.write_bytes(content)
    inner, lab = pair(store)
    assert train(lab) == plain()
    assert inner.calls
    assert len(os.listdir(store.path / "damaged")) == 1


def test_a_damaged_entry_falls_back_on_a_shorter_one(store: Store) -> None:
    _, lab = pair(store)
    train(lab, "30it")
    train(lab)
    next((store.path / "memo").rglob("60.safetensors")).write_bytes(b"")
    inner, lab = pair(store)
    assert train(lab) == plain()
    assert min(start for start, _ in inner.calls) == 30


def test_the_least_recently_used_goes_when_the_memo_is_full(store: Store) -> None:
    train(pair(store, seed=0)[1])
    (first,) = (store.path / "memo").rglob("*.safetensors")
    limit = int(2.5 * first.stat().st_size)
    for seed in (1, 0, 2):
        time.sleep(0.02)  # the clock of a file system ticks every few milliseconds
        train(pair(store, limit, seed=seed)[1])
    assert len(entries(store)) == 2
    for seed, kept in ((0, True), (2, True), (1, False)):
        inner, lab = pair(store, seed=seed)
        train(lab)
        assert (inner.calls == []) == kept


class Killed(SlowLab):
    """Is interrupted before `stop_at`, when it has worked for a while in vain."""

    stop_at = 10**9

    @timed
    def run_training(self, state: State, mask: Mask, stop: int, stream: str) -> Run:
        if stop > self.stop_at:
            self.hands.move(1000)
            raise KeyboardInterrupt
        return super().run_training(state, mask, stop, stream)


def slow(store: Store) -> MemoLab:
    return MemoLab(Killed(), store)


def test_seconds_are_those_of_the_work_when_it_was_done(store: Store, hands: Hands) -> None:
    first, second, third = slow(store), slow(store), slow(store)
    assert train(first).seconds == first.seconds == 60
    hands.pace = 1000
    assert train(second).seconds == second.seconds == 60
    # A longer training took what the shorter did whose end it starts from, and the rest.
    (path,) = (store.path / "memo").rglob("*.safetensors")
    path.unlink()
    hands.pace = 1
    train(third, "20it")
    hands.pace = 2
    assert train(third).seconds == 20 + 2 * 40
    assert third.seconds == 20 + 20 + 2 * 40


def test_learning_a_mask_is_remembered_with_its_seconds(store: Store, hands: Hands) -> None:
    first, second = slow(store), slow(store)
    for lab in (first, second):
        assert lab.train_mask(lab.init(), lab.dense(), EdgePopup(0.3)).seconds == 0
    assert first.seconds == second.seconds == 0


@pytest.mark.usefixtures("impatient")
def test_seconds_add_up_over_interruptions(
    store: Store, hands: Hands, monkeypatch: pytest.MonkeyPatch
) -> None:
    for stop, pace in ((20, 1.0), (45, 10.0)):
        hands.pace = pace
        monkeypatch.setattr(Killed, "stop_at", stop)
        with pytest.raises(KeyboardInterrupt):
            train(slow(store))
    monkeypatch.setattr(Killed, "stop_at", 10**9)
    reached = max(int(name.split(".")[0]) for name in entries(store))
    hands.pace = 100.0
    assert train(slow(store)).seconds == 20 + 10 * (reached - 20) + 100 * (60 - reached)


def test_what_the_memo_forgot_takes_what_it_takes_again(store: Store, hands: Hands) -> None:
    lab = MemoLab(SlowLab(), store, limit=1)
    assert train(lab).seconds == 60
    assert entries(store) == []
    hands.pace = 3
    assert train(lab).seconds == 180
    assert lab.seconds == 240


def test_entries_that_do_not_tell_leave_seconds_unknown(store: Store, hands: Hands) -> None:
    train(slow(store), "20it")
    (path,) = (store.path / "memo").rglob("*.safetensors")
    arrays, header = atomic_files.read_arrays(path)
    del header["seconds"]
    atomic_files.write_arrays(path, arrays, header)
    for _ in range(2):  # once trained on from there, once remembered
        lab = slow(store)
        run = train(lab)
        assert run == plain()
        assert math.isnan(run.seconds)
        assert math.isnan(lab.seconds)


def test_the_whole_memo_may_be_deleted(store: Store) -> None:
    _, lab = pair(store)
    train(lab)
    for path in (store.path / "memo").rglob("*.safetensors"):
        path.unlink()
    assert train(lab) == plain()


def test_history_does_not_depend_on_where_it_was_cut(store: Store) -> None:
    recipe = dataclasses.replace(RECIPE, eval_every="7it")
    task = Task(data="fake", model="fake", recipe=recipe)
    _, lab = pair(store, task=task)
    for until in ("3it", "7it", "20it"):
        train(lab, until)
    whole = FakeLab(task)
    assert train(lab) == train(whole)
    assert train(lab).history.steps == (7, 14, 21, 28, 35, 42, 49, 56, 60)


def test_an_evaluation_more_often_than_every_step_is_every_step(store: Store) -> None:
    recipe = dataclasses.replace(RECIPE, eval_every="0.1%", length="5it")
    _, lab = pair(store, task=Task(data="fake", model="fake", recipe=recipe))
    assert train(lab).history.steps == (1, 2, 3, 4, 5)


class Reading(FakeLab):
    """Counts its evaluations, which cost something."""

    reads = 0

    def run_evaluation(self, state: State, mask: Mask, split: str) -> Metrics:
        type(self).reads += 1
        self.ledger.add(Cost(flops=3))
        return super().run_evaluation(state, mask, split)


def test_a_barrier_is_computed_once_and_charged_every_time(store: Store) -> None:
    def measured(**settings: Any) -> tuple[Barrier, Cost, int]:
        Reading.reads = 0
        lab = MemoLab(Reading(), store)
        one, other = copies(lab, lab.init(), lab.dense())
        before = lab.spent
        found = barrier(lab, lab.dense(), one, other, **{"points": 5, **settings})
        return found, lab.spent - before, Reading.reads

    first = measured()
    assert first[2] == 5
    assert measured() == (*first[:2], 0)
    for settings in ({"points": 7}, {"split": "train"}, {"batches": 2}):
        assert measured(**settings)[2] > 0
    with pytest.raises(UsageError, match="test split"):
        measured(split="test")
    for path in (store.path / "memo").rglob("numbers.json"):
        path.write_text("{}")
    assert measured() == first


def test_numbers_that_were_remembered_count_as_entries(store: Store) -> None:
    lab = MemoLab(FakeLab(), store, limit=1)
    assert lab.once(["what"], lambda: [0.1, 1 / 3]) == [0.1, 1 / 3]
    assert not list((store.path / "memo").rglob("*.json"))


def test_what_a_sealed_lab_may_not_see_it_does_not_remember_either(store: Store) -> None:
    known = MemoLab(FakeLab(sealed=False), store)
    state = known.init()
    barrier(known, known.dense(), state, state, points=3, split="test")
    finder = MemoLab(FakeLab(sealed=True), store)
    with pytest.raises(UsageError, match="test split"):
        barrier(finder, finder.dense(), state, state, points=3, split="test")


def test_a_search_that_ran_before_evaluates_nothing_and_costs_the_same(store: Store) -> None:
    finder = EarlyRewind(levels=1, rewind="auto")

    def found() -> tuple[list[Ticket], list[Cost], int]:
        Reading.reads = 0
        made = list(finder.find(MemoLab(Reading(), store)))
        return made, [ticket.cost for ticket in made], Reading.reads

    first, costs, reads = found()
    assert reads > 30
    assert found() == (first, costs, 0)


def test_a_plan_looks_barriers_up_and_leaves_no_trace(store: Store) -> None:
    task = Task(data="fake", model="fake", recipe=RECIPE)
    made = Study({"auto": EarlyRewind(levels=1, rewind="auto")}, tasks=(task,), seeds=1)

    def open_lab(task: Task, seed: int, sealed: bool) -> Lab:
        return MemoLab(Reading(task, seed, sealed=sealed), store)

    list(loop.run(made, open_lab, store))
    before = {p: p.stat().st_mtime_ns for p in store.path.rglob("*") if p.is_file()}
    Reading.reads = 0
    (cell,) = plan.cells(made, open_lab, store)
    assert (cell.cost.steps, cell.error, Reading.reads) == (0, "", 0)
    assert {p: p.stat().st_mtime_ns for p in store.path.rglob("*") if p.is_file()} == before


def test_a_mask_learner_of_another_package_is_cached_by_its_code(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    @dataclasses.dataclass(frozen=True)
    class Learner(EdgePopup):
        pass

    _, lab = pair(store)
    request = (lab.init(), lab.dense(), "order")
    keys = [lab.key(*request, Learner()), lab.key(*request, EdgePopup())]
    assert [lab.key(*request, Learner()), lab.key(*request, EdgePopup())] == keys
    monkeypatch.setattr(environment, "package_hash", lambda name: "sha256-other")
    assert lab.key(*request, Learner()) != keys[0]
    assert lab.key(*request, EdgePopup()) == keys[1]
